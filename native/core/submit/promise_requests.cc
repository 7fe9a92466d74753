// Requests of lib/ as ops. See promise_requests.h.
#include "submit/promise_requests.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "base/block.h"
#include "files/file_tasks.h"
#include "files/stat_columns.h"
#include "op/environment.h"
#include "op/handle.h"

namespace acall {

namespace {

constexpr int32_t kNoDescriptor = 0x7fffffff;  // calls with it fail with EBADF

const BackEnd& back_end_of(FileKind kind) {
  switch (kind) {
    case FileKind::kRead:
      return kReadFile;
    case FileKind::kWrite:
      return kWriteFile;
    case FileKind::kCopy:
      return kCopyFile;
    case FileKind::kMakeDirectories:
      break;
  }
  return kMakeDirectories;
}

// The handle's record. Where there is none, or it is being closed, `fd` becomes kNoDescriptor.
OpenHandle* find_handle(Environment& environment, uint32_t handle, int32_t& fd) {
  if (handle == 0) return nullptr;
  OpenHandle* found = handle_find(environment, handle);
  if (found == nullptr) fd = kNoDescriptor;
  return found;
}

// Whether the memory of an argument lies in the data of its record.
bool lies_inside(const CallRecord& record, const CallArgument& arg) {
  return arg.low <= record.data_bytes && arg.length <= record.data_bytes - arg.low;
}

// Copies the views into the data of a call. Where a view is shorter than its argument, the rest is zero.
void gather(const CallRecord& record, const View* views, uint32_t view_count, unsigned char* into) {
  uint32_t next = 0;
  for (const CallArgument& arg : record.args) {
    if (arg.kind == ArgumentKind::kValue || next == view_count) continue;
    const View& view = views[next++];
    if (!lies_inside(record, arg) || view.length > arg.length) continue;
    if (view.length > 0) memcpy(into + arg.low, view.bytes, view.length);
    memset(into + arg.low + view.length, 0, arg.length - view.length);
  }
}

// Submits one record. Its data comes from `data`, or from views where that is nullptr.
int submit_record(Environment& environment, PromiseSlots& slots, CallRecord& record, InlineCalls inline_calls,
                  const unsigned char* data, const View* views, uint32_t view_count) {
  PromiseSlots::Slot* slot = slots.find(record.slot);
  if (slot == nullptr) return -EINVAL;
  PromiseCall call;
  Segment segments[kArgumentCount];
  call.nr = record.nr;
  call.flags = record.flags;
  call.inline_calls = inline_calls;
  call.cookie = PromiseSlots::cookie_of(record.slot);
  call.segments = segments;
  call.keep_alive = !(record.facts & CallFact::kUnreferenced);
  call.closes_ours = record.facts & CallFact::kClosesOurs;
  if (record.handle != 0) {
    call.handle = handle_find(environment, record.handle);
    if (call.handle == nullptr) return -EBADF;
  }
  const bool opens = record.facts & CallFact::kOpens;
  const size_t opened_at = (size_t{record.data_bytes} + 7) & ~size_t{7};
  if (record.data_bytes > 0 || opens) {
    call.block = block_make(opened_at + (opens ? sizeof(HandleIdentity) : 0));
    if (call.block == nullptr) return -EAGAIN;
    if (data != nullptr) {
      memcpy(call.block->data(), data, record.data_bytes);
    } else {
      gather(record, views, view_count, call.block->data());
    }
  }
  if (opens) call.opens = new (call.block->data() + opened_at) HandleIdentity();
  for (uint32_t i = 0; i < kArgumentCount; ++i) {
    const CallArgument& arg = record.args[i];
    if (arg.kind == ArgumentKind::kValue) {
      call.args[i] = uint64_t{arg.high} << 32 | arg.low;
      continue;
    }
    if (call.block == nullptr || !lies_inside(record, arg)) {
      block_release(call.block);
      return -EINVAL;
    }
    call.args[i] = call.block->address() + arg.low;
    segments[call.segment_count++] = {call.args[i], call.args[i] + arg.length};
  }
  call.carrier = &slots.carrier(record.slot);
  Block* kept = record.facts & CallFact::kKeep ? call.block : nullptr;
  if (kept != nullptr) block_reference(*kept);
  int64_t result = 0;
  const int status = engine_submit_call(environment, *environment.promise_ring, call, &slot->id, &result);
  if (status < 0) {
    block_release(kept);
  } else {
    slot->kept = kept;
  }
  if (status == kCallDone) {
    record.args[0].low = static_cast<uint32_t>(result);
    record.args[0].high = static_cast<uint32_t>(result >> 32);
  }
  return status;
}

int32_t inline_stat_into(Environment& environment, PromiseSlots& slots, StatRequest request, uint32_t place) {
  const uint32_t number = place / kStatPlaceSlot;
  if (slots.find(number) == nullptr) return kStatNotNow;
  if (place & StatFlag::kNoFollow) request.flags |= AT_SYMLINK_NOFOLLOW;
  request.integers = place & StatFlag::kIntegers;
  int64_t result;
  if (!engine_inline_stat(environment, request, &slots.stat_result(number), &result)) return kStatNotNow;
  return static_cast<int32_t>(result);
}

// The work of a stat, but for its path or descriptor. The caller adds the reference of the result for the op.
PromiseWork stat_work(PromiseSlots& slots, uint32_t number, uint32_t flags) {
  PromiseWork work;
  work.back_end = &kStat;
  work.extra = &slots.stat_result(number);
  work.cookie = PromiseSlots::cookie_of(number);
  work.args[3] = flags & StatFlag::kIntegers ? 1 : 0;
  work.result = &slots.stats(number);
  work.keep_alive = !(flags & StatFlag::kUnreferenced);
  return work;
}

}  // namespace

uint32_t promise_submit_calls(Environment& environment, PromiseSlots& slots, unsigned char* records, uint32_t bytes,
                              InlineCalls inline_calls) {
  uint32_t done = 0;
  while (bytes >= sizeof(CallRecord)) {
    auto& record = *reinterpret_cast<CallRecord*>(records);
    if (record.bytes < sizeof(CallRecord) || record.bytes > bytes || record.bytes % kRecordAlign != 0 ||
        record.data_bytes > record.bytes - sizeof(CallRecord)) {
      break;
    }
    record.status = record.facts & CallFact::kSkip ? 0
                                                   : submit_record(environment, slots, record, inline_calls,
                                                                   records + sizeof(CallRecord), nullptr, 0);
    done += record.status == kCallDone;
    records += record.bytes;
    bytes -= record.bytes;
  }
  return done;
}

void promise_submit_call(Environment& environment, PromiseSlots& slots, CallRecord& record, const View* views,
                         uint32_t view_count) {
  record.status = submit_record(environment, slots, record, InlineCalls::kNone, nullptr, views, view_count);
}

int32_t promise_submit_stats(Environment& environment, PromiseSlots& slots, Block* paths, size_t length,
                             const uint32_t* numbers, uint32_t count, uint32_t flags) {
  PromiseWork works[kMaxStatsInBatch];
  acall_id ids[kMaxStatsInBatch];
  auto* text = reinterpret_cast<char*>(paths->data());
  const char* end = text + length;
  int32_t error = 0;
  for (uint32_t i = 0; i < count && error == 0; ++i) {
    char* nul = static_cast<char*>(memchr(text, 0, static_cast<size_t>(end - text)));
    if ((nul == nullptr) != (i + 1 == count)) {
      error = kHasNul;
    } else if (slots.find(numbers[i]) == nullptr) {
      error = -EINVAL;
    } else {
      works[i] = stat_work(slots, numbers[i], flags);
      works[i].args[0] = static_cast<uint64_t>(AT_FDCWD);
      works[i].args[1] = reinterpret_cast<uint64_t>(text);
      works[i].args[2] = flags & StatFlag::kNoFollow ? AT_SYMLINK_NOFOLLOW : 0;
      works[i].block = paths;
      if (nul != nullptr) text = nul + 1;
    }
  }
  if (error != 0) {
    block_release(paths);
    return error;
  }
  block_reference(*paths, count);
  for (uint32_t i = 0; i < count; ++i) block_reference(*works[i].result);
  const uint32_t taken = engine_submit_work(environment, *environment.promise_ring, works, count, ids);
  for (uint32_t i = 0; i < taken; ++i) slots.find(numbers[i])->id = ids[i];
  for (uint32_t i = taken; i < count; ++i) block_release(works[i].result);
  block_release(paths, count - taken + 1);
  return static_cast<int32_t>(taken);
}

uint32_t promise_submit_fstat(Environment& environment, PromiseSlots& slots, int32_t fd, uint32_t number,
                              uint32_t flags, uint32_t handle) {
  static const char kEmpty[1] = "";
  PromiseWork work = stat_work(slots, number, flags);
  work.handle = find_handle(environment, handle, fd);
  work.args[0] = static_cast<uint32_t>(fd);
  work.args[1] = reinterpret_cast<uint64_t>(kEmpty);
  work.args[2] = AT_EMPTY_PATH;
  block_reference(*work.result);
  const uint32_t taken = engine_submit_work(environment, *environment.promise_ring, &work, 1, &slots.find(number)->id);
  if (taken == 0) block_release(work.result);
  return taken;
}

int32_t promise_inline_stat(Environment& environment, PromiseSlots& slots, const char* path, uint32_t place) {
  return inline_stat_into(environment, slots, {AT_FDCWD, path, 0, false}, place);
}

int32_t promise_inline_fstat(Environment& environment, PromiseSlots& slots, int32_t fd, uint32_t place) {
  return inline_stat_into(environment, slots, {fd, "", AT_EMPTY_PATH, false}, place);
}

uint32_t promise_submit_file(Environment& environment, PromiseSlots& slots, FileKind kind, uint32_t number,
                             const FileRequest& request, Block* block) {
  FileTask& task = file_task_of(*block);
  task.fd = request.fd;
  task.flags = request.flags;
  task.mode = request.mode;
  task.options = request.options;
  PromiseWork work;
  work.back_end = &back_end_of(kind);
  work.extra = &task;
  work.cookie = PromiseSlots::cookie_of(number);
  work.block = block;
  work.handle = find_handle(environment, request.handle, task.fd);
  work.keep_alive = !(request.facts & JobOption::kUnreferenced);
  block_reference(*block);  // the slot's
  PromiseSlots::Slot& slot = *slots.find(number);
  const uint32_t taken = engine_submit_work(environment, *environment.promise_ring, &work, 1, &slot.id);
  if (taken == 0) {
    block_release(block, 2);
  } else {
    slot.kept = block;
  }
  return taken;
}

}  // namespace acall
