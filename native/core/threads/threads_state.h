// What pool.cc, own_threads.cc, pool_growth.cc and supervisor.cc share; nobody else includes it. One lock guards the
// queues and the lists of threads; it is held for a few dozen instructions at a time, and no call into the kernel is
// made under it but futexes.
#ifndef ACALL_CORE_THREADS_THREADS_STATE_H_
#define ACALL_CORE_THREADS_THREADS_STATE_H_

#include <atomic>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/sync.h"
#include "op/operation.h"
#include "threads/pool_thread.h"
#include "threads/thread_limits.h"

namespace acall {

inline constexpr uint64_t kIdleNs = 200'000'000;  // 2009: a pool thread with nothing to do exits after 200 ms
inline constexpr size_t kPoolStack = size_t{256} * 1024;

struct ThreadsState {
  Lock lock;  // guards everything below that is not atomic
  ThreadLimits limits{};

  using WorkerList = LinkedList<PoolThread, &PoolThread::working_links>;
  using IdleList = LinkedList<PoolThread, &PoolThread::idle_links>;
  Queue<Operation> pool_queue;
  WorkerList working;         // neither idle nor counted as blocked: few, however many are stuck
  WorkerList free_records;    // records of threads that have ended, never freed
  IdleList idle_first;        // the one that went idle last comes first, so that the others can time out
  uint32_t pool_threads = 0;  // started and not ended, those that are starting included
  uint32_t blocked_threads = 0;
  uint64_t completed_by_others = 0;  // than those that work: by the idle, the blocked and the gone
  uint32_t pool_allowed = 0;         // limits.pool_max, and more while all of those are stuck
  uint64_t returns = 0;              // calls that came back on threads counted as blocked

  Queue<Operation> own_queue;  // ops that wait for a thread of their own
  uint32_t own_threads = 0;
  std::atomic<uint32_t> own_running{0};  // own threads that are inside their op

  bool supervisor_alive = false;
  uint32_t open_submissions = 0;

  uint32_t unblocked_threads() const {
    const uint32_t busy = pool_threads - idle_first.length();
    return busy > blocked_threads ? busy - blocked_threads : 0;
  }
  bool may_start_pool() const { return pool_threads < pool_allowed && has_room(pool_threads, own_threads); }
  bool may_start_own() const { return own_threads < limits.own_max && has_room(own_threads, pool_threads); }

 private:
  // Room for one more thread, pool and own together. Each kind leaves an eighth to the other, so that neither starves
  // it.
  bool has_room(uint32_t mine, uint32_t others) const {
    const uint32_t reserve = limits.total / 8;
    return mine == 0 || mine + (others > reserve ? others : reserve) < limits.total;
  }
};
extern ThreadsState threads;

// ---- pool.cc

// A thread with work in its hands, to be unparked after the lock is released; nullptr when none idles. Under the lock.
PoolThread* pool_engage_idle();
// The caller has counted the thread in pool_threads already. Not under the lock. False: none to be had.
bool pool_start_thread();
// The thread's call sleeps: what it has claimed goes back to the queue. Under the lock.
void pool_count_blocked(PoolThread& thread);
// Sends away those that have been idle for 200 ms, a portion at a time. Returns nanoseconds until it is to be called
// again.
uint64_t pool_retire_idle(uint64_t now_ns);

// ---- own_threads.cc

// Starts threads for ops that had to wait, in order. Returns whether some still wait.
bool own_start_waiting();

// ---- pool_growth.cc

struct Growth {
  uint32_t step = 0;              // how many threads the last look started
  uint64_t not_before_ns = 0;     // a thread could not be had: the next try
  uint64_t returns = 0;           // at the last look
  uint64_t quiet_since_ns = 0;    // since when nothing has come back
  uint32_t read_at = 0;           // the limits are read when there are so many threads,
  uint64_t read_ns = 0;           // or when ops have waited for so long since
  uint64_t limited_since_ns = 0;  // since when a limit keeps ops waiting; 0: none does
};
// One look at the pool by the supervisor. Returns whether work still waits.
bool growth_look(Growth& growth);
// Whether a limit keeps ops waiting, and for how long.
void growth_look_at_limit(Growth& growth);
// The limits of a process whose first thread is about to start. Under the lock.
void growth_read_first();

// ---- finish.cc

// What a thread of ours is from its first line on: its name, its number, and the cancel signal let in.
void thread_begin(PoolThread& self, const char* name);
// One op on the calling thread.
void run_operation(Operation& op, PoolThread& self);
// Its call has come back. Not under the lock.
void pool_no_longer_blocked(PoolThread& self);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_THREADS_STATE_H_
