// The test frame of the core: TEST, CHECK, CHECK_EQ and the main of each program in test/core.
// A failed check is printed, counted against its test and lets the test go on; any thread may check.
// `program [part-of-a-name]` runs the tests whose names contain the part; `program --list` prints the names.
// The last line is "N passed, N failed"; the exit code is 1 when a test failed or none ran.
#ifndef ACALL_TEST_CORE_CHECK_H_
#define ACALL_TEST_CORE_CHECK_H_

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace check {

struct Test {
  const char* name;  // as it stands in TEST(...): a sentence with its quotes, or an identifier
  void (*body)();
  Test* next;
};

inline Test* first_test = nullptr;
inline Test** last_link = &first_test;
inline std::atomic<int> failed_checks{0};  // of the running test; written by any thread

struct Registration {
  Test test;
  Registration(const char* name, void (*body)()) : test{name, body, nullptr} {
    *last_link = &test;
    last_link = &test.next;
  }
};

struct Text {
  char bytes[80];
};

template <typename T>
Text shown(const T& value) {
  Text text;
  if constexpr (std::is_same_v<T, bool>) {
    std::snprintf(text.bytes, sizeof text.bytes, "%s", value ? "true" : "false");
  } else if constexpr (std::is_enum_v<T>) {
    std::snprintf(text.bytes, sizeof text.bytes, "%lld", static_cast<long long>(value));
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    std::snprintf(text.bytes, sizeof text.bytes, "%lld", static_cast<long long>(value));
  } else if constexpr (std::is_integral_v<T>) {
    const auto bits = static_cast<unsigned long long>(value);
    std::snprintf(text.bytes, sizeof text.bytes, "%llu (0x%llx)", bits, bits);
  } else if constexpr (std::is_floating_point_v<T>) {
    std::snprintf(text.bytes, sizeof text.bytes, "%.17g", static_cast<double>(value));
  } else if constexpr (std::is_null_pointer_v<T>) {
    std::snprintf(text.bytes, sizeof text.bytes, "null");
  } else if constexpr (std::is_convertible_v<T, const char*>) {
    const char* string = value;
    std::snprintf(text.bytes, sizeof text.bytes, string == nullptr ? "null" : "\"%.70s\"", string);
  } else {
    static_assert(std::is_pointer_v<T>, "CHECK_EQ shows numbers, enums, strings and pointers");
    std::snprintf(text.bytes, sizeof text.bytes, "%p", reinterpret_cast<const void*>(value));
  }
  return text;
}

// Integers are compared by value, whatever their signs and sizes; C strings by content.
template <typename A, typename B>
bool same(const A& a, const B& b) {
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
    if constexpr (std::is_signed_v<A> == std::is_signed_v<B>) {
      return a == b;
    } else if constexpr (std::is_signed_v<A>) {
      return a >= 0 && static_cast<std::make_unsigned_t<A>>(a) == b;
    } else {
      return same(b, a);
    }
  } else if constexpr (std::is_convertible_v<A, const char*> && std::is_convertible_v<B, const char*> &&
                       !std::is_null_pointer_v<A> && !std::is_null_pointer_v<B>) {
    const char *left = a, *right = b;
    return left == right || (left != nullptr && right != nullptr && std::strcmp(left, right) == 0);
  } else {
    return a == b;
  }
}

inline bool note(bool holds, const char* file, int line, const char* text) {
  if (!holds) {
    failed_checks.fetch_add(1);
    std::fprintf(stderr, "%s:%d: CHECK(%s)\n", file, line, text);
  }
  return holds;
}

template <typename A, typename B>
bool note_eq(const A& a, const B& b, const char* file, int line, const char* text) {
  const bool holds = same(a, b);
  if (!holds) {
    failed_checks.fetch_add(1);
    std::fprintf(stderr, "%s:%d: CHECK_EQ(%s): %s is not %s\n", file, line, text, shown(a).bytes, shown(b).bytes);
  }
  return holds;
}

inline int run(int argc, char** argv) {
  const char* part = argc > 1 ? argv[1] : "";
  const bool list_only = std::strcmp(part, "--list") == 0;
  int passed = 0, failed = 0;
  for (Test* test = first_test; test != nullptr; test = test->next) {
    const int quote = test->name[0] == '"' ? 1 : 0;
    const int length = static_cast<int>(std::strlen(test->name)) - 2 * quote;
    if (list_only) {
      std::printf("%.*s\n", length, test->name + quote);
      continue;
    }
    if (std::strstr(test->name, part) == nullptr) continue;
    std::printf("%.*s ... ", length, test->name + quote);
    std::fflush(stdout);
    failed_checks.store(0);
    test->body();
    const bool good = failed_checks.load() == 0;
    (good ? passed : failed)++;
    std::puts(good ? "ok" : "FAILED");
  }
  if (list_only) return 0;
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0 ? 1 : 0;
}

}  // namespace check

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)

// TEST("a sentence that says what holds") { ... } or TEST(a_name) { ... }
#define TEST(name) CHECK_TEST_(name, CHECK_JOIN(test_at_line_, __LINE__))
#define CHECK_TEST_(name, function)                                              \
  static void function();                                                        \
  static check::Registration CHECK_JOIN(registered_, function)(#name, function); \
  static void function()

// True when it holds, so that `if (!CHECK(fd >= 0)) return;` ends a test that cannot go on.
#define CHECK(condition) check::note(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define CHECK_EQ(a, b) check::note_eq((a), (b), __FILE__, __LINE__, #a ", " #b)

int main(int argc, char** argv) { return check::run(argc, argv); }

#endif  // ACALL_TEST_CORE_CHECK_H_
