// Cancelling: the signal, its handler, the three answers of acall_cancel, and very many ops given up at once. The
// cancel lock serialises everybody who signals with the thread that is signalled and has returned, so that no signal is
// ever sent on behalf of an op that is over. A thread that nobody cancels never takes it. What a cancel costs does not
// depend on how many others there are. Reasoning: docs/cancellation.md.
#ifndef ACALL_CORE_THREADS_CANCEL_H_
#define ACALL_CORE_THREADS_CANCEL_H_

#include <cstdint>

#include "abi.h"
#include "op/operation.h"

namespace acall {

struct PoolThread;

// Chooses the signal, the first free one from ACALL_SIGNAL (or the default) downward, and installs the handler; 0 or
// -errno (-EBUSY: each has a handler of somebody else). Called once before the first thread starts.
int cancel_install();
// False when somebody else has replaced our handler since.
bool cancel_handler_is_ours();

// acall_cancel of the spec for an op found by id: 0, -EALREADY, -ENOENT. When it returns 0, no further call of the op
// passes the stub. The first of a burst are signalled by the caller, the others by the supervisor.
int cancel_operation(Operation& op, uint64_t sequence);

// The same by the id. Any thread.
int cancel_by_id(const acall_id& id);

// An op as cancel_many() gets it.
struct CancelTarget {
  Operation* op;
  uint64_t sequence;
};
// The same for many ops whose results nobody wants any more: those in the kernel are marked kUnwanted as well. Words
// only: what was queued never starts, and is completed by the supervisor when there are more than a few. The threads
// are not told before cancel_signal_marked(): those that come back want the core of whoever is still at it.
void cancel_many(const CancelTarget* targets, uint32_t count);
void cancel_signal_marked();

// By the thread that ran an op, when it finds kCancelling at the end: after this no signal of that cancel can reach it.
void cancel_settle(Operation& op, PoolThread& self);

// By the thread that ends an op of a job, when it finds kCancelling: whoever cancels the op is through with it.
void cancel_pass();

// The supervisor's part: sends first signals that are due, completes what was given up in a queue, and signals again
// those that have not returned, each at growing intervals; some of it at a time. Returns nanoseconds until it is to be
// called again, UINT64_MAX when there is nothing to do.
uint64_t cancel_repeat(uint64_t now_ns);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_CANCEL_H_
