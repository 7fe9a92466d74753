// Threads that block for completions: acall_comp_pwait and acall_ring_pwait. The wait is ppoll on an eventfd of the
// waiting thread, because ppoll always returns -EINTR after a signal handler and applies a mask atomically; a futex
// does neither. Entered by threads that wait, and by completing threads, which wake them. id_waiters_lock guards the
// waiters of all ops, a ring's lock those of the ring.
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

// Spec: how often a waiting Worker checks whether it must end.
inline constexpr uint64_t kLivenessSliceNs = 20'000'000;

// A check that the binding adds to a blocking wait. still_alive() is called between slices of kLivenessSliceNs; false
// ends the wait with -EINTR, since the environment is ending. nullptr: the wait is one sleep.
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

// acall_comp_pwait and acall_ring_pwait, without the argument checks that need JavaScript.
int64_t wait_for_ids(const acall_id* ids, uint32_t nr, const WaitLimits& limits);
// `for_programs`: the wait also ends when no program of the ring is pending, as async_wait does.
int64_t wait_for_ring(Ring& ring, uint32_t tail, uint32_t min, const WaitLimits& limits, bool for_programs = false);

// Called by complete() for an op with kWaited.
void wake_id_waiters(Operation& op);

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_WAITERS_H_
