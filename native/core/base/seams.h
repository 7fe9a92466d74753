// Where the core touches the world: the syscall, the clock, the start of a thread, memory. Production code never
// changes these pointers; the core's own tests replace them, also while threads that idle look at them.
#ifndef ACALL_CORE_BASE_SEAMS_H_
#define ACALL_CORE_BASE_SEAMS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

// native/arch: unless *cancelled, executes the call between two labels that the handler in cancel.cc knows.
extern "C" int64_t acall_syscall_cp(const volatile uint32_t* cancelled, uint64_t nr, const uint64_t args[6]);

namespace acall {

// A thread's own word: while it is not 0 the calls of that thread are not made and answer -ECANCELED.
using CancelWord = std::atomic<uint32_t>;

// A pointer to a function that may be replaced while others call it.
template <typename Function>
class Seam {
 public:
  constexpr Seam(Function* function) : function_(function) {}
  Seam(const Seam& other) : function_(other) {}
  Seam& operator=(const Seam& other) { return *this = static_cast<Function*>(other); }
  Seam& operator=(Function* function) {
    function_.store(function, std::memory_order_relaxed);
    return *this;
  }
  operator Function*() const { return function_.load(std::memory_order_relaxed); }

 private:
  std::atomic<Function*> function_;
};

struct Seams {
  // Enters the kernel on behalf of an op; returns the result or -errno. See invoke.h.
  Seam<int64_t(CancelWord& word, uint32_t nr, const uint64_t args[6])> syscall;
  // CLOCK_MONOTONIC in nanoseconds.
  Seam<uint64_t()> now_ns;
  // Starts a detached thread with the given stack; 0 or a positive errno (EAGAIN: no thread to be had).
  Seam<int(size_t stack_bytes, void* (*entry)(void*), void* argument)> start_thread;
  Seam<void*(size_t bytes)> allocate;
};

extern Seams seams;

}  // namespace acall

#endif  // ACALL_CORE_BASE_SEAMS_H_
