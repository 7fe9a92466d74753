// A back end: what a kind of op does, as a constant table of functions and traits. The rooms that queue, interrupt,
// complete and abandon ops know an op by its table alone, and a new kind of op is a new table. Which thread calls what,
// and under which lock, stands at each function; a function that is nullptr is not called.
#ifndef ACALL_CORE_OP_BACK_END_H_
#define ACALL_CORE_OP_BACK_END_H_

#include <cstdint>

namespace acall {

struct Call;
class Leftovers;
struct Operation;
struct PoolThread;

struct BackEnd {
  // A thread of ours: runs the op and returns its result or -errno. A cancel makes invoke() come back. nullptr: no
  // thread takes such an op, and whoever began it ends it.
  int64_t (*run)(Operation& op, PoolThread& self) = nullptr;

  // Any thread, under the cancel lock, after the op was marked as cancelled and before it can end: raises a flag.
  void (*cancel)(Operation& op) = nullptr;
  // The same thread, without a lock, for an op that was begun: stops those who work for it. The op may be over, and its
  // block, where `extra` lives, is kept. Instead of the signal that other running ops get.
  void (*interrupt)(void* extra) = nullptr;
  // Any thread: the op was cancelled before a thread took it, and is about to complete.
  void (*dropped)(Operation& op) = nullptr;

  // The environment's thread, before the op is published: whether its result may carry descriptors.
  bool (*carries)(const Call& call, const void* extra) = nullptr;
  // Nobody takes the result, which is no error: what it carries. The thread that ran the op, or one that has its call.
  void (*collect)(const Call& call, void* extra, int64_t return_code, Leftovers& into) = nullptr;
  // Closes what a result carries whose op is gone: an op with the same call and `extra`, and the result as its cookie.
  const BackEnd* disposal = nullptr;

  // A cancelled op of this kind stays in its queue and runs: somebody counts on it. It touches nothing of its
  // environment.
  bool runs_cancelled = false;
  // Its thread looks at the state word between calls, so that a cancel counts also in a call that is never interrupted.
  bool looks_for_cancel = false;
  // Its ring counts it among the programs that async_wait waits for.
  bool is_awaited = false;
};

}  // namespace acall

#endif  // ACALL_CORE_OP_BACK_END_H_
