// From the kernel to completion: what a thread of ours does with an op that it has run.
#ifndef ACALL_CORE_THREADS_FINISH_H_
#define ACALL_CORE_THREADS_FINISH_H_

#include <cstdint>

#include "op/operation.h"

namespace acall {

struct PoolThread;

// For a thread that ran the op: from kRunning to the end.
void finish(Operation& op, PoolThread& self, int64_t return_code);
// The same for an op that was begun and that no thread has: whoever ends it, on any thread.
void finish_begun(Operation& op, int64_t return_code);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_FINISH_H_
