// Threads that block for completions: acall_comp_pwait and acall_ring_pwait. The wait is ppoll on an eventfd of the
// waiter, because ppoll always returns -EINTR after a signal handler and applies a mask atomically; a futex does
// neither. Entered by the threads that wait, and by completing threads through wake().
#ifndef ACALL_CORE_COMPLETION_WAITERS_H_
#define ACALL_CORE_COMPLETION_WAITERS_H_

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "abi.h"
#include "base/sync.h"
#include "op/operation.h"

namespace acall {

struct Ring;

// What the binding adds to a blocking wait: called between slices of at most 20 ms; false ends the wait with -EINTR,
// since the environment is ending. nullptr: one uninterrupted sleep.
struct Liveness {
  bool (*still_alive)(void* context) = nullptr;
  void* context = nullptr;
};

struct WaitLimits {
  const timespec* timeout = nullptr;  // relative, CLOCK_MONOTONIC; nullptr for ever
  const uint64_t* sigmask = nullptr;  // the kernel's 8 bytes
  Liveness liveness;
};

struct Waiter {
  int event_fd = -1;
  void wake();
};

struct IdWaiter {
  Waiter* waiter;
  Operation* op;
  uint64_t sequence;
  IdWaiter* next;
};

// acall_comp_pwait and acall_ring_pwait of the spec, without the argument checks that need JavaScript.
int64_t wait_for_ids(const acall_id* ids, uint32_t nr, const WaitLimits& limits);
// With `for_programs` the wait is async_wait's: it also ends when no program of the ring is pending.
int64_t wait_for_ring(Ring& ring, uint32_t tail, uint32_t min, const WaitLimits& limits, bool for_programs = false);

// Called by complete() for an op with kWaited set.
void wake_id_waiters(Operation& op);

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_WAITERS_H_
