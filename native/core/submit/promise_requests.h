// What lib/ asks for over the border becomes ops of the promise layer: records of calls, batches of stats, files. An op
// completes in the environment's promise ring with the cookie of its slot. The memory that arguments point to is copied
// here, into a block of the op's own; lengths and offsets of a record are checked, since JavaScript wrote them. Entered
// by the environment's thread.
#ifndef ACALL_CORE_SUBMIT_PROMISE_REQUESTS_H_
#define ACALL_CORE_SUBMIT_PROMISE_REQUESTS_H_

#include <cstddef>
#include <cstdint>

#include "submit/promise_call.h"
#include "submit/promise_slots.h"
#include "wire.h"

namespace acall {

// Bytes of JavaScript's.
struct View {
  const unsigned char* bytes = nullptr;
  size_t length = 0;
};

// CallRecords, one behind the other, with their data behind each; the status of each says what became of it. How many
// are complete already. What does not fit into `bytes` is left alone, and so is all that follows.
uint32_t promise_submit_calls(Environment& environment, PromiseSlots& slots, unsigned char* records, uint32_t bytes,
                              InlineCalls inline_calls);
// One call whose data comes straight from views, one for each argument that is a pointer, in their order.
void promise_submit_call(Environment& environment, PromiseSlots& slots, CallRecord& record, const View* views,
                         uint32_t view_count);

// `count` (at most kMaxStatsInBatch) paths joined by NULs and followed by one, `length` bytes in a block of which one
// reference is taken over. How many were queued; kHasNul: there are more paths; -EINVAL: no such slot.
int32_t promise_submit_stats(Environment& environment, PromiseSlots& slots, Block* paths, size_t length,
                             const uint32_t* numbers, uint32_t count, uint32_t flags);
// Of a descriptor. 1, or 0: no memory.
uint32_t promise_submit_fstat(Environment& environment, PromiseSlots& slots, int32_t fd, uint32_t number,
                              uint32_t flags, uint32_t handle);
// Here and now, into the record of a slot; `place` as in wire.h. 0, -errno, or kStatNotNow.
int32_t promise_inline_stat(Environment& environment, PromiseSlots& slots, const char* path, uint32_t place);
int32_t promise_inline_fstat(Environment& environment, PromiseSlots& slots, int32_t fd, uint32_t place);

// A task made by file_task_make(), its paths and data in place; one reference of the block is taken over. 1: the slot
// keeps the block; 0: no memory.
uint32_t promise_submit_file(Environment& environment, PromiseSlots& slots, FileKind kind, uint32_t number,
                             const FileRequest& request, Block* task);

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_PROMISE_REQUESTS_H_
