// How requests of lib/ become ops of the promise layer: records of calls, batches of stats, files. An op completes in
// the environment's promise ring with the cookie of its slot. The memory that arguments point to is copied into a block
// of the op; lengths and offsets of a record are checked, since JavaScript wrote them. Entered by the environment's
// thread; no lock.
#ifndef ACALL_CORE_SUBMIT_PROMISE_REQUESTS_H_
#define ACALL_CORE_SUBMIT_PROMISE_REQUESTS_H_

#include <cstddef>
#include <cstdint>

#include "submit/promise_call.h"
#include "submit/promise_slots.h"
#include "wire.h"

namespace acall {

// Bytes in the memory of JavaScript.
struct View {
  const unsigned char* bytes = nullptr;
  size_t length = 0;
};

// Submits CallRecords that follow each other, each with its data behind it, and stores the status of each. Returns how
// many calls are complete already. Stops at a record that does not fit into the rest of `bytes`.
uint32_t promise_submit_calls(Environment& environment, PromiseSlots& slots, unsigned char* records, uint32_t bytes,
                              InlineCalls inline_calls);
// Submits one call whose data is copied from views: one view for each pointer argument, in the order of the arguments.
void promise_submit_call(Environment& environment, PromiseSlots& slots, CallRecord& record, const View* views,
                         uint32_t view_count);

// Submits stats of `count` paths (at most kMaxStatsInBatch), joined by NULs: `length` bytes, and a NUL behind them, in
// a block of which one reference is taken over. Returns how many were accepted; kHasNul: there are more or fewer paths;
// -EINVAL: no such slot.
int32_t promise_submit_stats(Environment& environment, PromiseSlots& slots, Block* paths, size_t length,
                             const uint32_t* numbers, uint32_t count, uint32_t flags);
// Submits the stat of a descriptor. 1; 0: no memory, or no thread can be had.
uint32_t promise_submit_fstat(Environment& environment, PromiseSlots& slots, int32_t fd, uint32_t number,
                              uint32_t flags, uint32_t handle);
// Inline stats, into the stat result of a slot; `place` as in wire.h. 0, -errno, or kStatNotNow.
int32_t promise_inline_stat(Environment& environment, PromiseSlots& slots, const char* path, uint32_t place);
int32_t promise_inline_fstat(Environment& environment, PromiseSlots& slots, int32_t fd, uint32_t place);

// Submits a task made by file_task_make(), with its paths and data; one reference of the block is taken over. 1: the
// slot keeps the block. 0: no memory, or no thread can be had.
uint32_t promise_submit_file(Environment& environment, PromiseSlots& slots, FileKind kind, uint32_t number,
                             const FileRequest& request, Block* task);

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_PROMISE_REQUESTS_H_
