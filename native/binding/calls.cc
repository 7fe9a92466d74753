// System calls of the promise layer: records of them, and calls whose data comes straight from views.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "method.h"

namespace acall::binding {

namespace {

int submit_record(Client& client, CallRecord& record, const unsigned char* bytes, Tries tries) {
  PromiseSlots::Slot* slot = client.slots.find(record.slot);
  if (slot == nullptr) return -EINVAL;
  PromiseCall call;
  Segment segments[kArgumentCount];
  call.nr = record.nr;
  call.flags = record.flags;
  call.tries = tries;
  call.cookie = uint64_t{record.slot} + 1;
  call.segments = segments;
  call.keep_alive = !(record.facts & CallFact::kUnreferenced);
  call.closes_ours = record.facts & CallFact::kClosesOurs;
  if (record.handle != 0) {
    call.handle = handle_find(*client.environment, record.handle);
    if (call.handle == nullptr) return -EBADF;
  }
  const size_t opened_at = (size_t{record.data_bytes} + 7) & ~size_t{7};
  if (record.data_bytes > 0 || (record.facts & CallFact::kOpens)) {
    call.block = block_make(opened_at + (record.facts & CallFact::kOpens ? sizeof(HandleIdentity) : 0));
    if (call.block == nullptr) return -EAGAIN;
    if (bytes != nullptr) memcpy(call.block->data(), bytes, record.data_bytes);
  }
  if (record.facts & CallFact::kOpens) call.opens = new (call.block->data() + opened_at) HandleIdentity();
  for (uint32_t i = 0; i < kArgumentCount; ++i) {
    const auto& arg = record.args[i];
    if (arg.kind == ArgumentKind::kValue) {
      call.args[i] = uint64_t{arg.high} << 32 | arg.low;
    } else {
      if (call.block == nullptr || arg.low > record.data_bytes || arg.length > record.data_bytes - arg.low) {
        block_release(call.block);
        return -EINVAL;
      }
      call.args[i] = call.block->address() + arg.low;
      segments[call.segment_count++] = {call.args[i], call.args[i] + arg.length};
    }
  }
  call.carrier = &client.slots.carrier(record.slot);
  Block* kept = record.facts & CallFact::kKeep ? call.block : nullptr;
  if (kept != nullptr) block_reference(*kept);
  int64_t result = 0;
  const int status =
      engine_submit_call(*client.environment, *client.environment->promise_ring, call, &slot->id, &result);
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

// submitCalls(scratch, bytes, tries): every record's status says what became of it. How many are complete
uint32_t submit_calls(Client& client, std::span<unsigned char> scratch, uint32_t bytes, uint32_t tries) {
  const auto used = static_cast<uint32_t>(std::min<size_t>(bytes, scratch.size()));
  uint32_t done = 0;
  for (uint32_t at = 0; at + sizeof(CallRecord) <= used;) {
    auto& record = *reinterpret_cast<CallRecord*>(scratch.data() + at);
    if (record.bytes < sizeof(CallRecord) || record.bytes > used - at ||
        record.data_bytes > record.bytes - sizeof(CallRecord)) {
      break;
    }
    const unsigned char* own = scratch.data() + at + sizeof(CallRecord);
    record.status = record.facts & CallFact::kSkip ? 0 : submit_record(client, record, own, static_cast<Tries>(tries));
    done += record.status == kCallDone;
    at += record.bytes;
  }
  return done;
}

// submitCall(record, views): one call whose data comes straight from up to six views, in the order of its pointers
void submit_call(Client& client, Record<CallRecord> into, const OptionalBytes& a, const OptionalBytes& b,
                 const OptionalBytes& c, const OptionalBytes& d, const OptionalBytes& e, const OptionalBytes& f) {
  auto& record = *reinterpret_cast<CallRecord*>(into.bytes);
  Block* gathered = block_make(record.data_bytes);
  if (gathered == nullptr) {
    record.status = -EAGAIN;
    return;
  }
  const OptionalBytes* const views[kArgumentCount] = {&a, &b, &c, &d, &e, &f};
  uint32_t next = 0;
  for (const auto& arg : record.args) {
    if (arg.kind == ArgumentKind::kValue) continue;
    const auto& view = views[next++]->bytes;
    if (arg.low > record.data_bytes || arg.length > record.data_bytes - arg.low || view.size() > arg.length) continue;
    unsigned char* to = gathered->data() + arg.low;
    if (!view.empty()) memcpy(to, view.data(), view.size());
    memset(to + view.size(), 0, arg.length - view.size());
  }
  record.status = submit_record(client, record, gathered->data(), Tries::kNothing);
  block_release(gathered);
}

}  // namespace

void add_call_functions(const Exports& exports) {
  exports.add("submitCalls", call<submit_calls, kSubmits>);
  exports.add("submitCall", call<submit_call, kSubmits>);
}

}  // namespace acall::binding
