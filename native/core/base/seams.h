// The seams: the system call, the clock, the start of a thread and memory, each behind a pointer. Production code never
// changes these pointers; the tests of the core replace them, also while idle threads read them. Any thread, no lock.
#ifndef ACALL_CORE_BASE_SEAMS_H_
#define ACALL_CORE_BASE_SEAMS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

// In native/arch: executes the call between two labels that the handler in cancel_signal.cc knows, unless *cancelled.
extern "C" int64_t acall_syscall_cp(const volatile uint32_t* cancelled, uint64_t nr, const uint64_t args[6]);

namespace acall {

// One per thread: while it is not 0, the thread's calls return -ECANCELED and are not made.
using CancelWord = std::atomic<uint32_t>;

// A pointer to a function that one thread may replace while others call it.
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
  // Enters the kernel for an op; returns the result or -errno. See invoke.h.
  Seam<int64_t(CancelWord& word, uint32_t nr, const uint64_t args[6])> syscall;
  // CLOCK_MONOTONIC in nanoseconds.
  Seam<uint64_t()> now_ns;
  // Starts a detached thread with the given stack; 0 or a positive errno (EAGAIN: no thread can be had).
  Seam<int(size_t stack_bytes, void* (*entry)(void*), void* argument)> start_thread;
  Seam<void*(size_t bytes)> allocate;
};

extern Seams seams;

}  // namespace acall

#endif  // ACALL_CORE_BASE_SEAMS_H_
