// The one completion path. Every op ends here, whether a thread ran it, an inline call had its result, or a cancel came
// before its start. The order is: completion slot, ring, waiters on the id, event loop. Entered by any thread; no lock
// is held, and none guards this file.
#ifndef ACALL_CORE_COMPLETION_COMPLETE_H_
#define ACALL_CORE_COMPLETION_COMPLETE_H_

#include <cstdint>

#include "op/operation.h"

namespace acall {

// Whether a queue still links the record. Then the record is freed when it has been unlinked too.
enum class Linked { kNo, kYes };

// Completes an op. Called by the thread that moved it to kReturned.
void complete(Operation& op, int64_t return_code, Linked linked);
// Releases the pins, blocks, copies and the handle of an op that was not accepted.
void operation_drop_resources(Operation& op);
// Called when the record of an op that was cancelled in a queue has been unlinked.
void operation_unlinked(Operation& op);

struct CompletionCounts {
  uint64_t completed;  // not by pool threads, which count the ops that they complete themselves
  uint64_t cancelled;
};
CompletionCounts completion_counts();
void count_cancelled();
void count_completed();

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_COMPLETE_H_
