// The record of a thread that runs ops, a pool thread or an own thread. pool.cc and own_threads.cc make it; it lives
// longer than its thread. Each field that several threads touch is atomic or names its lock.
#ifndef ACALL_CORE_THREADS_POOL_THREAD_H_
#define ACALL_CORE_THREADS_POOL_THREAD_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "base/claim_range.h"
#include "base/intrusive_list.h"
#include "base/seams.h"
#include "base/sync.h"

namespace acall {

struct Operation;

// How many ops a pool thread claims at once. Row getppid: a tenth slower with one.
inline constexpr uint32_t kClaimMax = 32;

// "Lock of the threads": ThreadsState::lock.
struct alignas(64) PoolThread {
  // Even: outside the kernel. Odd: inside a call. Written by the thread, read by the supervisor (relaxed: a hint).
  std::atomic<uint32_t> activity{0};
  // Written under cancel_lock, read by the stub.
  CancelWord cancel_word{0};
  std::atomic<pid_t> tid{0};
  uint32_t seen_activity = 0;  // `activity` when the supervisor last read it; guarded by the lock of the threads

  // Which of claimed[] are still to run. The supervisor takes them back from a thread that is blocked. Both are filled
  // under the lock of the threads only.
  ClaimRange range;
  Operation* claimed[kClaimMax] = {};

  // Guarded by the lock of the threads.
  uint64_t idle_since_ns = 0;
  Links<PoolThread> idle_links;
  Links<PoolThread> working_links;
  uint64_t folded = 0;  // how many of `completed` are in ThreadsState::completed_by_others already
  bool in_idle_list = false;
  bool retired = false;                      // the thread must end: it has been idle for too long
  std::atomic<bool> counted_blocked{false};  // written under the lock, read without it by the thread itself

  // Guarded by cancel_lock.
  bool is_cancelled = false;    // in one of the lists of threads that are being cancelled
  uint32_t cancel_signals = 0;  // how many signals the thread has got for this cancel
  uint64_t cancel_due_ns = 0;   // when the next signal is due
  Links<PoolThread> cancel_links;

  std::atomic<uint64_t> completed{0};  // ops that this thread has completed; written by this thread alone
  std::atomic<bool> busy{false};       // the thread has an op; written by this thread alone
  bool own = false;                    // an own thread; constant
  bool rests_shortly = false;          // the last rest was short; used by this thread alone, as the next two
  uint32_t watches_in_vain = 0;        // how many watches in a row brought no work
  uint32_t watches_left_out = 0;       // how many rests are to go without a watch
  Parker parker;
};

}  // namespace acall

#endif  // ACALL_CORE_THREADS_POOL_THREAD_H_
