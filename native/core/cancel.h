// Cancelling: the signal, its handler, the three answers of acall_cancel. The cancel lock serialises everybody who
// signals with the thread that is signalled and has returned, so that no signal is ever sent on behalf of an op that is
// over. A thread that nobody cancels never takes it. Reasoning: docs/cancellation.md.
#ifndef ACALL_CORE_CANCEL_H_
#define ACALL_CORE_CANCEL_H_

#include <cstdint>

#include "abi.h"
#include "operation.h"

namespace acall {

struct Worker;

// Chooses the signal, the first free one from ACALL_SIGNAL (or the default) downward, and installs the handler; 0 or
// -errno (-EBUSY: each has a handler of somebody else). Called once before the first thread starts.
int cancel_install();
int cancel_signal();
uint64_t cancel_signal_bit();  // its bit in a kernel sigset
// False when somebody else has replaced our handler since.
bool cancel_handler_is_ours();

// acall_cancel of the spec for an op found by id: 0, -EALREADY, -ENOENT.
int cancel_operation(Operation& op, uint64_t sequence);

// By the thread that ran an op, when it finds kCancelling at the end: after this no signal of that cancel can reach it.
void cancel_settle(Operation& op, Worker& self);

// The same for an op that no thread of its own runs (a job).
void cancel_forget(Operation& op);

// The supervisor signals again those that have not returned, each at growing intervals. Returns nanoseconds until the
// next one is due, UINT64_MAX when nobody is being cancelled.
uint64_t cancel_repeat(uint64_t now_ns);

}  // namespace acall

#endif  // ACALL_CORE_CANCEL_H_
