// The one completion path. Whatever ran an op (pool, own thread, a cancel before its start) ends here, in the order the
// spec gives: completion slot, ring, waiters on the id, event loop. Entered by every thread.
#ifndef ACALL_CORE_COMPLETION_COMPLETE_H_
#define ACALL_CORE_COMPLETION_COMPLETE_H_

#include <cstdint>

#include "op/operation.h"

namespace acall {

// Whether a queue still links the record; then the record is free when the queue has let go of it too.
enum class Linked { kNo, kYes };

// For whoever moved the op to kReturned.
void complete(Operation& op, int64_t return_code, Linked linked);
// Pins, blocks, copies and the handle of an op that is over, or was not accepted.
void operation_drop_resources(Operation& op);
// A queue lets go of a record that was cancelled while it was linked.
void operation_unlinked(Operation& op);

struct CompletionCounts {
  uint64_t completed;  // by other threads than pool workers, which count for themselves
  uint64_t cancelled;
};
CompletionCounts completion_counts();
void count_cancelled();
void count_completed();

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_COMPLETE_H_
