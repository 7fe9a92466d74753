// The test frame of the core: TEST, CHECK, CHECK_EQ, SKIP and the main of each program in test/core.
// A failed check is printed and counted against its test, which goes on. Any thread may check.
// A test that ends without a check has failed: it could not have found anything. A test that cannot run here calls
// SKIP("why") and returns; it is counted apart and printed at the end. A test that skips and has a failed check fails.
// `program [part-of-a-name]` runs the tests whose names contain the part; `program --list` prints the names.
// The last line is "N passed, N failed, N skipped"; the exit code is 1 when a test failed or none was found.
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
inline std::atomic<int> failed_checks{0};   // of the running test; written by any thread
inline std::atomic<bool> any_check{false};  // likewise; relaxed, since a test joins its threads before it ends
inline const char* skip_reason = nullptr;   // of the running test; written by its own thread only

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

inline void checked() {
  if (!any_check.load(std::memory_order_relaxed)) any_check.store(true, std::memory_order_relaxed);
}

inline bool note(bool holds, const char* file, int line, const char* text) {
  checked();
  if (!holds) {
    failed_checks.fetch_add(1);
    std::fprintf(stderr, "%s:%d: CHECK(%s)\n", file, line, text);
  }
  return holds;
}

template <typename A, typename B>
bool note_eq(const A& a, const B& b, const char* file, int line, const char* text) {
  checked();
  const bool holds = same(a, b);
  if (!holds) {
    failed_checks.fetch_add(1);
    std::fprintf(stderr, "%s:%d: CHECK_EQ(%s): %s is not %s\n", file, line, text, shown(a).bytes, shown(b).bytes);
  }
  return holds;
}

struct Name {
  const char* text;
  int length;
  explicit Name(const Test& test) : text(test.name), length(static_cast<int>(std::strlen(test.name))) {
    if (text[0] == '"') ++text, length -= 2;
  }
};

enum class End { passed, failed, skipped };

inline End run_one(const Test& test) {
  failed_checks.store(0);
  any_check.store(false);
  skip_reason = nullptr;
  test.body();
  if (failed_checks.load() > 0) {
    std::puts("FAILED");
    return End::failed;
  }
  if (skip_reason != nullptr) {
    std::printf("SKIPPED: %s\n", skip_reason);
    return End::skipped;
  }
  if (!any_check.load()) {
    std::puts("FAILED: it ended without a check");
    return End::failed;
  }
  std::puts("ok");
  return End::passed;
}

inline int run(int argc, char** argv) {
  const char* part = argc > 1 ? argv[1] : "";
  const bool list_only = std::strcmp(part, "--list") == 0;
  int ends[3] = {};
  for (Test* test = first_test; test != nullptr; test = test->next) {
    const Name name(*test);
    if (list_only) {
      std::printf("%.*s\n", name.length, name.text);
      continue;
    }
    if (std::strstr(test->name, part) == nullptr) continue;
    std::printf("%.*s ... ", name.length, name.text);
    std::fflush(stdout);
    ends[static_cast<int>(run_one(*test))]++;
  }
  if (list_only) return 0;
  std::printf("%d passed, %d failed, %d skipped\n", ends[0], ends[1], ends[2]);
  return ends[1] > 0 || ends[0] + ends[2] == 0 ? 1 : 0;
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

// The test cannot run here; the caller returns: `if (!may_mount) return SKIP("may not mount");`
#define SKIP(why) static_cast<void>(check::skip_reason = (why))

int main(int argc, char** argv) { return check::run(argc, argv); }

#endif  // ACALL_TEST_CORE_CHECK_H_
