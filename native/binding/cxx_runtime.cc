// The functions that the addon has instead of libstdc++. It is not linked with a static one, which would need symbols
// of the newest glibc, nor with a shared one, which would have to be as new as that of the build. Templates of the
// headers need only memory, and functions that they call instead of throwing, which end the process here. exports.map
// hides these functions. Entered by every thread; no lock.
#include <bits/functexcept.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

// The headers declare that the library has the members of this template; code without optimization calls them.
template class std::allocator<char>;

namespace {

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "acall: %s\n", what);
  abort();
}

void* allocate(size_t size) { return malloc(size == 0 ? 1 : size); }

void* allocate(size_t size, std::align_val_t align) {
  const auto step = static_cast<size_t>(align);
  void* memory = nullptr;
  return posix_memalign(&memory, step < sizeof(void*) ? sizeof(void*) : step, size == 0 ? 1 : size) == 0 ? memory
                                                                                                         : nullptr;
}

void* or_die(void* memory) {
  if (memory == nullptr) die("out of memory");
  return memory;
}

}  // namespace

// Code of acall allocates with std::nothrow and checks for a null pointer. Other forms end the process.
const std::nothrow_t std::nothrow{};

void* operator new(size_t size) { return or_die(allocate(size)); }
void* operator new[](size_t size) { return or_die(allocate(size)); }
void* operator new(size_t size, std::align_val_t align) { return or_die(allocate(size, align)); }
void* operator new[](size_t size, std::align_val_t align) { return or_die(allocate(size, align)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new(size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
  return allocate(size, align);
}
void* operator new[](size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
  return allocate(size, align);
}

void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { free(memory); }

// libstdc++'s headers call these instead of throwing.
namespace std {

void __throw_bad_alloc() { die("out of memory"); }
void __throw_bad_array_new_length() { die("an array is too long"); }
void __throw_bad_function_call() { die("an empty function was called"); }
void __throw_length_error(const char* what) { die(what); }
void __throw_logic_error(const char* what) { die(what); }
void __throw_invalid_argument(const char* what) { die(what); }
void __throw_out_of_range(const char* what) { die(what); }
void __throw_out_of_range_fmt(const char* what, ...) { die(what); }

}  // namespace std

// Called when a check of a header fails that was compiled with _GLIBCXX_ASSERTIONS; not every libstdc++ declares it.
[[noreturn]] void check_failed(const char*, int, const char*, const char*) noexcept
    __asm__("_ZSt21__glibcxx_assert_failPKciS0_S0_");
void check_failed(const char* file, int line, const char*, const char*) noexcept {
  fprintf(stderr, "%s:%d: ", file, line);
  die("a check of the C++ library failed");
}

// NOLINTBEGIN(readability-identifier-naming): the compiler's names
extern "C" {

// Called by code that the compiler adds: for an abstract function, and for a thread_local with a destructor.
[[noreturn]] void __cxa_pure_virtual() { die("an abstract function was called"); }

int __cxa_thread_atexit_impl(void (*)(void*), void*, void*) noexcept;
int __cxa_thread_atexit(void (*destroy)(void*), void* object, void* addon) noexcept {
  return __cxa_thread_atexit_impl(destroy, object, addon);
}
}
// NOLINTEND(readability-identifier-naming)
