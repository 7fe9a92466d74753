// The end of a running op, from its result to complete(). Entered by the thread that ends the op; no lock is held.
#ifndef ACALL_CORE_THREADS_FINISH_H_
#define ACALL_CORE_THREADS_FINISH_H_

#include <cstdint>

#include "op/operation.h"

namespace acall {

struct PoolThread;

// Ends an op that the calling thread has run.
void finish(Operation& op, PoolThread& self, int64_t return_code);
// Ends an op that was published as running and that no single thread runs (a job). Any thread.
void finish_begun(Operation& op, int64_t return_code);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_FINISH_H_
