// The state that pool.cc, pool_thread.cc, own_threads.cc, pool_growth.cc and supervisor.cc share; no other file
// includes this one. One lock guards the queues and the lists of threads. It is held for a few dozen instructions at a
// time, and no call into the kernel is made under it but futexes; only growth_read_first() reads files, when no other
// thread of acall lives.
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

inline constexpr uint64_t kIdleNs = 200'000'000;  // an idle pool thread ends after 200 ms, as in 2009
inline constexpr uint64_t kRetryNs = 5'000'000;   // limit: between two starts of a thread that could not be had
inline constexpr size_t kPoolStack = size_t{256} * 1024;

struct ThreadsState {
  Lock lock;  // guards everything below that is not atomic
  ThreadLimits limits{};

  using WorkingList = LinkedList<PoolThread, &PoolThread::working_links>;
  using IdleList = LinkedList<PoolThread, &PoolThread::idle_links>;
  Queue<Operation> pool_queue;
  WorkingList working;        // threads that are neither idle nor counted as blocked: few, however many are blocked
  WorkingList free_records;   // records of threads that have ended, never freed
  IdleList idle_first;        // the thread that went idle last comes first, so that the others end after a while
  uint32_t pool_threads = 0;  // started and not ended, those that are starting included
  uint32_t blocked_threads = 0;
  uint64_t completed_by_others = 0;  // by threads that are not in `working`: idle, blocked and ended ones
  uint32_t pool_allowed = 0;         // limits.pool_max, and more while all these threads are blocked
  uint64_t returns = 0;              // how often a thread that was counted as blocked has returned

  Queue<Operation> own_queue;  // ops that wait for an own thread
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
  // Whether one more thread of a kind may start. Each kind leaves an eighth of the total to the other, so that neither
  // starves the other.
  bool has_room(uint32_t mine, uint32_t others) const {
    const uint32_t reserve = limits.total / 8;
    return mine == 0 || mine + (others > reserve ? others : reserve) < limits.total;
  }
};
extern ThreadsState threads;

// ---- pool.cc

// Gives work to an idle thread and returns it, to be unparked after unlocking; nullptr: no thread is idle. Under the
// lock.
PoolThread* pool_engage_idle();
// Starts a thread that the caller has counted in pool_threads. Not under the lock. False: none can be had.
bool pool_start_thread();
// Counts the thread as blocked; the ops that it has claimed go back to the queue. Under the lock.
void pool_count_blocked(PoolThread& thread);
// Called by a thread whose call has returned: it no longer counts as blocked. Not under the lock.
void pool_no_longer_blocked(PoolThread& self);
// Ends threads that have been idle for 200 ms, a portion at a time. Returns the nanoseconds until the next call.
uint64_t pool_retire_idle(uint64_t now_ns);

// ---- own_threads.cc

// Starts threads for ops that had to wait, in order. Returns whether ops still wait.
bool own_start_waiting();

// ---- pool_growth.cc

struct Growth {
  uint32_t found = 0;             // threads that blocked since threads were last started, while ops wait
  uint64_t not_before_ns = 0;     // a thread could not be had: when to start one again
  uint64_t returns = 0;           // ThreadsState::returns at quiet_since_ns
  uint64_t quiet_since_ns = 0;    // since when all threads are blocked and none has returned
  uint32_t read_at = 0;           // the limits are read when there are so many threads,
  uint64_t read_ns = 0;           // and, while ops wait, some time after they were last read, which was then
  uint64_t limited_since_ns = 0;  // since when a limit keeps ops waiting; 0: none does
};
// Called by the supervisor: counts blocked threads and starts others. Returns whether ops still wait.
bool growth_look(Growth& growth);
// Called by the supervisor: finds the limit that keeps ops waiting, and since when.
void growth_look_at_limit(Growth& growth);
// Reads the limits before the first thread of the process starts. Under the lock.
void growth_read_first();

// ---- pool_thread.cc

// Begins a thread: sets its name, stores its number, and unblocks the cancel signal.
void thread_begin(PoolThread& self, const char* name);
// Runs one op on the calling thread, or unlinks it when it was cancelled.
void run_operation(Operation& op, PoolThread& self);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_THREADS_STATE_H_
