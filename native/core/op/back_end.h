// A back end: what a kind of op does, as a constant table of functions and traits. The code that queues, interrupts,
// completes and abandons ops knows an op by its table alone, and a new kind of op is a new table. Each function says
// which thread calls it, and under which lock. A function that is nullptr is not called.
#ifndef ACALL_CORE_OP_BACK_END_H_
#define ACALL_CORE_OP_BACK_END_H_

#include <cstdint>

namespace acall {

struct Call;
class Leftovers;
struct Operation;
struct PoolThread;

struct BackEnd {
  // A pool thread or an own thread: runs the op and returns its result or -errno. A cancel makes invoke() return.
  // nullptr: ops of this kind are published as running and never queued; finish_begun() ends them.
  int64_t (*run)(Operation& op, PoolThread& self) = nullptr;

  // Any thread, under the cancel lock, after the op was marked as cancelled and before it can end: raises a flag.
  void (*cancel)(Operation& op) = nullptr;
  // The same thread, after unlocking, for an op that was running: stops the threads that work for the op, which gets no
  // signal. The op may be over by then; its block, in which `extra` lies, is kept.
  void (*interrupt)(void* extra) = nullptr;
  // Any thread: the op was cancelled before a thread took it, and is about to complete.
  void (*dropped)(Operation& op) = nullptr;

  // The environment's thread, before the op is published: whether its result may carry descriptors.
  bool (*carries)(const Call& call, const void* extra) = nullptr;
  // The result is no error and nobody takes it: adds the descriptors that it carries. Called by the thread that ran the
  // op, or by one that has a copy of its call.
  void (*collect)(const Call& call, void* extra, int64_t return_code, Leftovers& into) = nullptr;
  // The back end that closes the descriptors of a result whose op is gone. Its op has the same call and `extra`, and
  // the result as its cookie.
  const BackEnd* disposal = nullptr;

  // An op of this kind that is cancelled in its queue stays there and runs, since others count on it. It touches
  // nothing of its environment then.
  bool runs_cancelled = false;
  // The thread that runs the op reads the state word between calls, so that a cancel has an effect also when it comes
  // during a call that is never interrupted.
  bool looks_for_cancel = false;
  // The op's ring counts it among the programs that async_wait waits for.
  bool is_awaited = false;
};

}  // namespace acall

#endif  // ACALL_CORE_OP_BACK_END_H_
