// The threads: a pool shared by all environments, a thread of its own for each op that wants one, and one supervisor
// that grows the pool, starts own threads that had to wait, repeats cancel signals and flushes backlogs. It is the
// first of our threads to start and the last to go, so "an op was accepted" means "somebody looks after it".
//
// Growth counts blocked threads, not silence: docs/threads.md.
#ifndef ACALL_CORE_THREADS_THREADS_H_
#define ACALL_CORE_THREADS_THREADS_H_

#include <cstdint>

#include "base/intrusive_list.h"
#include "op/operation.h"

namespace acall {

struct PoolThread;

// Brackets a submission: while one is open the supervisor stays. False: no thread of ours lives and none can be
// started.
bool threads_enter();
void threads_leave();

// Queues published ops for the pool, in order, and takes them from the list; with `leave` as threads_leave() does.
void threads_submit_pool(Queue<Operation>& ops, bool leave);
// Starts a thread for the published op, cloned from the calling thread; where that cannot be, the op waits in order.
void threads_submit_own(Operation* op);

// A pool thread says that the calls of its op sleep, each for less time than the supervisor waits before it counts a
// thread as blocked: until the op is over it counts as blocked, and another thread may take its core.
void threads_count_as_blocked(PoolThread& self);

// Asks the supervisor to look, if one lives: an op waits, or a cancel has begun.
void supervisor_wake();
// The same, and starts one where none lives: a backlog has begun. No lock is held.
void supervisor_call();

// `notify` is called once in the life of the process, on the supervisor, when a limit has kept ops waiting for a
// second.
void threads_on_limit(void (*notify)());
// The limit that has kept ops waiting for a second, and still does: its name; nullptr when there is none. Any thread.
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

// Unblocked pool threads the process may use at once: the CPUs of its affinity mask.
uint32_t core_count();

}  // namespace acall

#endif  // ACALL_CORE_THREADS_THREADS_H_
