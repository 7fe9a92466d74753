// One thread of ours, pool or own, as the other rooms see it. Made by pool.cc and own_threads.cc, never freed while its
// thread lives. Fields say who writes them; what several threads touch is atomic or names its lock.
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

inline constexpr uint32_t kClaimMax = 32;  // ops a pool thread claims with one trip to the queue

struct alignas(64) PoolThread {
  // Even: outside the kernel. Odd: inside a call. Written by the thread, read by the supervisor (relaxed: a hint).
  std::atomic<uint32_t> activity{0};
  // Written under the cancel lock, read by the stub.
  CancelWord cancel_word{0};
  std::atomic<pid_t> tid{0};
  uint32_t seen_activity = 0;  // supervisor: activity at the last look; guarded by the pool lock

  // Which of claimed[] are still to run: the supervisor takes them back from a thread that is stuck. claimed[] is
  // written and the range refilled under the pool lock only.
  ClaimRange range;
  Operation* claimed[kClaimMax] = {};

  // Guarded by the pool lock.
  uint64_t idle_since_ns = 0;
  Links<PoolThread> idle_links;
  Links<PoolThread> working_links;
  uint64_t folded = 0;  // of `completed`: in the sum of all already
  bool in_idle_list = false;
  bool retired = false;  // told to end: idle for too long
  std::atomic<bool> counted_blocked{
      false};  // set by the supervisor under the pool lock, cleared by the thread likewise

  // Guarded by the cancel lock: its place among the threads that are being cancelled, and how many signals it has got.
  bool is_cancelled = false;
  uint32_t cancel_signals = 0;
  uint64_t cancel_due_ns = 0;  // the next one
  Links<PoolThread> cancel_links;

  std::atomic<uint64_t> completed{0};  // ops this thread has completed: written by it alone
  std::atomic<bool> busy{false};       // has an op: written by it alone
  bool own = false;                    // a thread for one op
  bool rests_shortly = false;          // its own, as the next two: the last rest was short
  uint32_t watches_in_vain = 0;        // in a row
  uint32_t watches_left_out = 0;       // before the next one
  Parker parker;
};

}  // namespace acall

#endif  // ACALL_CORE_THREADS_WORKER_H_
