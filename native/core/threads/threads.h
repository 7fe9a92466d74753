// The threads: a pool shared by all environments, an own thread for each op that is not for the pool, and one
// supervisor that grows the pool, starts own threads for ops that had to wait, repeats cancel signals and flushes
// backlogs. The supervisor is the first of acall's threads to start and the last to end, so that no accepted op is left
// alone.
//
// The pool grows when its threads are blocked: docs/threads.md. Entered by any thread; ThreadsState::lock guards the
// queues and the lists.
#ifndef ACALL_CORE_THREADS_THREADS_H_
#define ACALL_CORE_THREADS_THREADS_H_

#include <cstdint>

#include "base/intrusive_list.h"
#include "op/operation.h"

namespace acall {

struct PoolThread;

// Around a submission: between the two calls the supervisor does not end. False: no thread of acall lives and none can
// be started.
bool threads_enter();
void threads_leave();

// Moves published ops to the queue of the pool, in order. With `leave`, does what threads_leave() does.
void threads_submit_pool(Queue<Operation>& ops, bool leave);
// Starts an own thread for the published op, cloned from the calling thread. When none can be had, the op waits in
// order.
void threads_submit_own(Operation* op);

// Called by a pool thread whose op makes calls that sleep, each for less time than the supervisor takes to count a
// thread as blocked: the thread counts as blocked until the op is over, and another thread may use its core.
void threads_count_as_blocked(PoolThread& self);

// Wakes the supervisor, if one lives, because an op waits or a cancel has begun.
void supervisor_wake();
// The same, and starts a supervisor when none lives, because a backlog has begun. No lock is held.
void supervisor_call();

// `notify` is called on the supervisor, once in the life of the process, when a limit has kept ops waiting for a
// second.
void threads_on_limit(void (*notify)());
// The name of the limit that has kept ops waiting for a second and still does; nullptr: there is none.
const char* threads_limited_by();

struct ThreadCounts {
  uint64_t completed;
  uint32_t queued;
  uint32_t running;
  uint32_t pool_threads;
  uint32_t own_threads;
  uint32_t blocked;
  uint32_t supervisor;  // 1 while it lives
};
ThreadCounts thread_counts();

// How many unblocked pool threads there may be at the same time: the CPUs of the process's affinity mask.
uint32_t core_count();

}  // namespace acall

#endif  // ACALL_CORE_THREADS_THREADS_H_
