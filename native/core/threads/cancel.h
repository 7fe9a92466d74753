// Cancelling: the signal, its handler, the three answers of acall_cancel, and the cancel of very many ops at once.
// Entered by any thread. cancel_lock guards the list of threads that are being cancelled: a thread that signals holds
// it, and a thread whose op was cancelled takes it when its call has returned, so that no signal is sent for an op that
// is over. A thread whose op nobody cancels never takes it. The cost of one cancel does not depend on the number of
// others. Reasoning: docs/cancellation.md.
#ifndef ACALL_CORE_THREADS_CANCEL_H_
#define ACALL_CORE_THREADS_CANCEL_H_

#include <cstdint>

#include "abi.h"
#include "op/operation.h"

namespace acall {

struct PoolThread;

// Chooses the signal, the first free one from ACALL_SIGNAL (or the default) downward, and installs the handler. 0 or
// -errno (-EBUSY: each signal has a handler of other code). Called once, before the first of acall's threads starts.
int cancel_install();
// False when other code has replaced the handler since.
bool cancel_handler_is_ours();

// acall_cancel for an op found by its id: 0, -EALREADY, -ENOENT. When it returns 0, no further call of the op enters
// the kernel. The caller sends the first signal while few threads are returning from theirs, else the supervisor.
int cancel_operation(Operation& op, uint64_t sequence);

// The same for an id.
int cancel_by_id(const acall_id& id);

// Cancels many ops whose promises are being rejected. Nobody wants their results: the thread that gets a result
// disposes of the descriptors that it carries. A result that is known already stays in the promise ring, for
// PromiseSlots::settle(). When this returns, no further call of these ops begins, and queued ones never start; signals
// may still be on their way. `more`: the caller has further ops of the same abort, and signals are sent with the last.
void cancel_unwanted(const acall_id* ids, uint32_t count, bool more = false);

// Called by the thread that ran an op, when it finds kCancelling at the end: after this no signal of that cancel can
// reach the thread.
void cancel_settle(Operation& op, PoolThread& self);

// The same for an op that finish_begun() ends, whose thread gets no signal: waits until the canceller has unlocked.
void cancel_pass();

// Called by the supervisor: completes cancelled queued ops, sends first signals that are due, and signals again the
// threads that have not returned, each at growing intervals; a portion at a time. Returns the nanoseconds until the
// next call; UINT64_MAX: there is nothing to do.
uint64_t cancel_repeat(uint64_t now_ns);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_CANCEL_H_
