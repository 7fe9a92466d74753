// Where the core touches the world: the syscall, the clock, the start of a thread, memory. Production code never
// changes these pointers; the core's own tests replace one before the first thread starts, so no lock guards them.
#ifndef ACALL_CORE_SEAMS_H_
#define ACALL_CORE_SEAMS_H_

#include <cstddef>
#include <cstdint>

namespace acall {

struct Worker;

struct Seams {
  // Enters the kernel on behalf of an op; returns the result or -errno. See invoke.h.
  int64_t (*syscall)(Worker& self, uint32_t nr, const uint64_t args[6]);
  // CLOCK_MONOTONIC in nanoseconds.
  uint64_t (*now_ns)();
  // Starts a detached thread with the given stack; 0 or a positive errno (EAGAIN: no thread to be had).
  int (*start_thread)(size_t stack_bytes, void* (*entry)(void*), void* argument);
  void* (*allocate)(size_t bytes);
};

extern Seams seams;

}  // namespace acall

#endif  // ACALL_CORE_SEAMS_H_
