// The promise layer's calls: slots, batches of stats and calls, draining, copying results out. lib/engine.ts is the
// only caller and keeps the slot numbers.
#include <fcntl.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "addon.h"

namespace acall::binding {

namespace {

constexpr uint32_t kAbandonedAtOnce = 128;
constexpr size_t kMostPath = 4096;              // PATH_MAX, its NUL included
constexpr uint64_t kNoDescriptor = 0x7fffffff;  // EBADF: of a handle that is being closed

// growSlots(): the stat results of the next 4,096 slots, as one ArrayBuffer; null when there can be no more
napi_value grow_slots(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t place = 0;
  while (place < kMaxSlotChunks && data.chunks[place] != nullptr) ++place;
  napi_value none = nullptr;
  napi_get_null(env, &none);
  if (place == kMaxSlotChunks || !open_environment(data)) return none;
  Block* stats = block_make(static_cast<size_t>(kSlotChunk) * sizeof(StatResult));
  auto* chunk = static_cast<SlotChunk*>(calloc(1, sizeof(SlotChunk)));
  if (stats == nullptr || chunk == nullptr) {
    block_release(stats);
    free(chunk);
    return none;
  }
  chunk->stats = stats;
  data.chunks[place] = chunk;
  block_reference(*stats);
  return to_array_buffer(env, stats, stats->size);
}

// submitStats(paths, count, slots, flags): `count` paths joined by NULs. How many were queued; kHasNul: a path
// contains a NUL
napi_value submit_stats(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t count, flags;
  double characters;
  unsigned char* slot_bytes;
  size_t slot_length;
  if (!uint32_of(env, arguments[1], &count) || !bytes_of(env, arguments[2], &slot_bytes, &slot_length) ||
      !uint32_of(env, arguments[3], &flags) || !number_of(env, arguments[4], &characters)) {
    return nullptr;
  }
  if (count == 0 || count > kMaxStatsInBatch || slot_length < count * sizeof(uint32_t)) {
    throw_range_error(env, "The batch has no paths, or too many");
    return nullptr;
  }
  size_t room = static_cast<size_t>(characters) * 3 + 1;  // UTF-8 needs at most three bytes for a UTF-16 unit
  Block* paths = block_make(room);
  if (paths == nullptr) return to_number(env, 0);
  size_t length = 0;
  auto* text = reinterpret_cast<char*>(paths->data());
  if (napi_get_value_string_utf8(env, arguments[0], text, room, &length) != napi_ok) {
    block_release(paths);
    throw_type_error(env, "The paths must be of type string");
    return nullptr;
  }
  const auto* slots = reinterpret_cast<const uint32_t*>(slot_bytes);
  PromiseWork works[kMaxStatsInBatch];
  acall_id ids[kMaxStatsInBatch];
  char* end = text + length;
  for (uint32_t i = 0; i < count; ++i) {
    char* nul = static_cast<char*>(memchr(text, 0, static_cast<size_t>(end - text)));
    if ((nul == nullptr) != (i + 1 == count)) {
      block_release(paths);
      return to_number(env, kHasNul);
    }
    Slot* slot = slot_of(data, slots[i]);
    if (slot == nullptr) {
      block_release(paths);
      throw_range_error(env, "No such slot");
      return nullptr;
    }
    PromiseWork& work = works[i];
    work.run = run_stat;
    work.extra = &stat_result_of(data, slots[i]);
    work.cookie = uint64_t{slots[i]} + 1;
    work.args[0] = static_cast<uint64_t>(AT_FDCWD);
    work.args[1] = reinterpret_cast<uint64_t>(text);
    work.args[2] = flags & StatFlag::kNoFollow ? AT_SYMLINK_NOFOLLOW : 0;
    work.args[3] = flags & StatFlag::kIntegers ? 1 : 0;
    work.block = paths;
    work.result = data.chunks[slots[i] >> kSlotChunkBits]->stats;
    work.keep_alive = !(flags & StatFlag::kUnreferenced);
    text = nul + 1;
  }
  block_reference(*paths, count);
  for (uint32_t i = 0; i < count; ++i) block_reference(*works[i].result);
  uint32_t taken = engine_submit_work(*data.environment, *data.ring, works, count, ids);
  for (uint32_t i = 0; i < count; ++i) {
    if (i < taken) {
      slot_of(data, slots[i])->id = ids[i];
    } else {
      block_release(works[i].result);
    }
  }
  block_release(paths, count - taken + 1);
  hold_bell(data);
  return to_number(env, taken);
}

// What tryStat and tryFstat have in common: 0, -errno, or kStatNotNow.
napi_value try_request(napi_env env, Client& data, StatRequest request, uint32_t place) {
  const uint32_t number = place / kStatPlaceSlot;
  if (slot_of(data, number) == nullptr || data.environment == nullptr) return to_number(env, kStatNotNow);
  if (place & StatFlag::kNoFollow) request.flags |= AT_SYMLINK_NOFOLLOW;
  request.integers = place & StatFlag::kIntegers;
  int64_t result;
  if (!engine_try_stat(*data.environment, request, &stat_result_of(data, number), &result)) result = kStatNotNow;
  napi_value value = nullptr;
  napi_create_int32(env, static_cast<int32_t>(result), &value);
  return value;
}

// tryStat(path, place): here and now, into the result record of a slot; `place` is the slot times kStatPlaceSlot, and
// flags
napi_value try_stat(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  uint32_t place;
  char path[kMostPath];
  size_t length;
  if (!uint32_of(env, arguments[1], &place)) return nullptr;
  if (napi_get_value_string_utf8(env, arguments[0], path, sizeof path, &length) != napi_ok) {
    throw_type_error(env, "The path must be of type string");
    return nullptr;
  }
  // Cut off, or with a NUL inside: the long way has the right error.
  if (length + 1 >= sizeof path || memchr(path, 0, length) != nullptr) return to_number(env, kStatNotNow);
  return try_request(env, *arguments.client, {AT_FDCWD, path, 0, false}, place);
}

// tryFstat(fd, place): the same for a descriptor
napi_value try_fstat(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  uint32_t fd, place;
  if (!uint32_of(env, arguments[0], &fd) || !uint32_of(env, arguments[1], &place)) return nullptr;
  return try_request(env, *arguments.client, {static_cast<int>(fd), "", AT_EMPTY_PATH, false}, place);
}

// submitFstat(fd, slot, flags, handle): 1, or 0 when there is no room
napi_value submit_fstat(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t fd, number, flags, handle;
  if (!uint32_of(env, arguments[0], &fd) || !uint32_of(env, arguments[1], &number) ||
      !uint32_of(env, arguments[2], &flags) || !uint32_of(env, arguments[3], &handle))
    return nullptr;
  Slot* slot = slot_of(data, number);
  if (slot == nullptr) {
    throw_range_error(env, "No such slot");
    return nullptr;
  }
  static const char kEmpty[1] = "";
  PromiseWork work;
  work.run = run_stat;
  work.extra = &stat_result_of(data, number);
  work.cookie = uint64_t{number} + 1;
  work.handle = handle == 0 ? nullptr : handle_find(*data.environment, handle);
  work.args[0] = handle != 0 && work.handle == nullptr ? kNoDescriptor : fd;
  work.args[1] = reinterpret_cast<uint64_t>(kEmpty);
  work.args[2] = AT_EMPTY_PATH;
  work.args[3] = flags & StatFlag::kIntegers ? 1 : 0;
  work.result = data.chunks[number >> kSlotChunkBits]->stats;
  work.keep_alive = !(flags & StatFlag::kUnreferenced);
  block_reference(*work.result);
  uint32_t taken = engine_submit_work(*data.environment, *data.ring, &work, 1, &slot->id);
  if (taken == 0) block_release(work.result);
  hold_bell(data);
  return to_number(env, taken);
}

int submit_record(Client& data, CallRecord& record, const unsigned char* bytes, Tries tries) {
  Slot* slot = slot_of(data, record.slot);
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
    call.handle = handle_find(*data.environment, record.handle);
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
  call.carrier = &carrier_of(data, record.slot);
  Block* kept = record.facts & CallFact::kKeep ? call.block : nullptr;
  if (kept != nullptr) block_reference(*kept);
  int64_t result = 0;
  const int status = engine_submit_call(*data.environment, *data.ring, call, &slot->id, &result);
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

// submitCalls(scratch, bytes, tries): every record's status tells what became of it. How many are complete
napi_value submit_calls(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  unsigned char* bytes;
  size_t length;
  uint32_t used, tries, done = 0;
  if (!bytes_of(env, arguments[0], &bytes, &length) || !uint32_of(env, arguments[1], &used) ||
      !uint32_of(env, arguments[2], &tries)) {
    return nullptr;
  }
  if (used > length) used = static_cast<uint32_t>(length);
  for (uint32_t at = 0; at + sizeof(CallRecord) <= used;) {
    auto& record = *reinterpret_cast<CallRecord*>(bytes + at);
    if (record.bytes < sizeof(CallRecord) || record.bytes > used - at ||
        record.data_bytes > record.bytes - sizeof(CallRecord))
      break;
    const unsigned char* own = bytes + at + sizeof(CallRecord);
    record.status = record.facts & CallFact::kSkip ? 0 : submit_record(data, record, own, static_cast<Tries>(tries));
    done += record.status == kCallDone;
    at += record.bytes;
  }
  hold_bell(data);
  return to_number(env, done);
}

// submitCall(record, views): one call whose data comes straight from up to six views, in the order of its pointers
napi_value submit_call(napi_env env, napi_callback_info info) {
  Arguments<8> arguments(env, info);
  Client& data = *arguments.client;
  unsigned char* bytes;
  size_t length;
  if (!bytes_of(env, arguments[0], &bytes, &length)) return nullptr;
  if (length < sizeof(CallRecord)) {
    throw_range_error(env, "The record is too short");
    return nullptr;
  }
  auto& record = *reinterpret_cast<CallRecord*>(bytes);
  Block* gathered = block_make(record.data_bytes);
  record.status = gathered == nullptr ? -EAGAIN : 0;
  size_t view = 1;
  for (const auto& arg : record.args) {
    if (arg.kind == ArgumentKind::kValue || gathered == nullptr || view >= arguments.count) continue;
    unsigned char* from;
    size_t available;
    if (!bytes_of(env, arguments[view++], &from, &available)) {
      block_release(gathered);
      return nullptr;
    }
    if (arg.low <= record.data_bytes && arg.length <= record.data_bytes - arg.low && available <= arg.length) {
      memcpy(gathered->data() + arg.low, from, available);
      memset(gathered->data() + arg.low + available, 0, arg.length - available);
    }
  }
  if (gathered != nullptr) record.status = submit_record(data, record, gathered->data(), Tries::kNothing);
  block_release(gathered);
  hold_bell(data);
  return nullptr;
}

// drain(out, max): completions as DrainedResult. How many
napi_value drain(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  unsigned char* bytes;
  size_t length;
  uint32_t max;
  if (!bytes_of(env, arguments[0], &bytes, &length) || !uint32_of(env, arguments[1], &max)) return nullptr;
  if (data.environment == nullptr) return to_number(env, 0);
  acall_completion scratch[256];
  auto* out = reinterpret_cast<DrainedResult*>(bytes);
  uint32_t got = 0;
  if (max > length / sizeof(DrainedResult)) max = static_cast<uint32_t>(length / sizeof(DrainedResult));
  while (got < max) {
    uint32_t wanted = max - got < 256 ? max - got : 256;
    uint32_t count = ring_drain(*data.ring, scratch, wanted);
    for (uint32_t i = 0; i < count; ++i, ++got) {
      const auto slot = static_cast<uint32_t>(scratch[i].cookie - 1);
      const bool carries = scratch[i].cookie & kCarriesDescriptors;
      if (carries) {
        ResultCarrier& carrier = carrier_of(data, slot);
        carrier.is_drained = true;
        carrier.result = static_cast<int64_t>(scratch[i].return_code);
      }
      out[got].word = slot;
      if (carries) out[got].word |= DrainedWord::kCarriesDescriptors;
      out[got].low = static_cast<uint32_t>(scratch[i].return_code);
      out[got].high = static_cast<uint32_t>(scratch[i].return_code >> 32);
    }
    if (count < wanted) break;
  }
  return to_number(env, got);
}

// copyOut(slot, offset, view, length): from the op's memory to the caller's
napi_value copy_out(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t number, offset, length;
  unsigned char* bytes;
  size_t available;
  if (!uint32_of(env, arguments[0], &number) || !uint32_of(env, arguments[1], &offset) ||
      !bytes_of(env, arguments[2], &bytes, &available) || !uint32_of(env, arguments[3], &length)) {
    return nullptr;
  }
  Slot* slot = slot_of(data, number);
  if (slot == nullptr || slot->kept == nullptr || offset > slot->kept->size) return nullptr;
  if (length > available) length = static_cast<uint32_t>(available);  // resized or detached meanwhile: what is left
  if (length > slot->kept->size - offset) length = static_cast<uint32_t>(slot->kept->size - offset);
  memcpy(bytes, slot->kept->data() + offset, length);
  return nullptr;
}

// release(slot): the op's memory is not needed any more
napi_value release(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  uint32_t number;
  if (!uint32_of(env, arguments[0], &number)) return nullptr;
  Slot* slot = slot_of(*arguments.client, number);
  if (slot == nullptr) return nullptr;
  block_release(slot->kept);
  slot->kept = nullptr;
  return nullptr;
}

// The ids of up to kAbandonedAtOnce slots; those that are none are left out. How many.
uint32_t ids_of(Client& data, const uint32_t* slots, uint32_t count, acall_id* ids) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (const Slot* slot = slot_of(data, slots[i]); slot != nullptr) ids[found++] = slot->id;
  }
  return found;
}

// Reads (slots, count): `count` numbers of slots, or as many as there are.
bool slots_of(napi_env env, napi_value view, napi_value number, const uint32_t** slots, uint32_t* count) {
  unsigned char* bytes;
  size_t length;
  if (!bytes_of(env, view, &bytes, &length) || !uint32_of(env, number, count)) return false;
  if (*count > length / sizeof(uint32_t)) *count = static_cast<uint32_t>(length / sizeof(uint32_t));
  *slots = reinterpret_cast<const uint32_t*>(bytes);
  return true;
}

// abandonSlots(slots, count): nobody wants the results of these ops any more; no call of theirs begins when this
// returns
napi_value abandon_slots(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  const uint32_t* slots;
  uint32_t count;
  if (!slots_of(env, arguments[0], arguments[1], &slots, &count)) return nullptr;
  acall_id ids[kAbandonedAtOnce];
  for (uint32_t begin = 0; begin < count; begin += kAbandonedAtOnce) {
    const bool more = count - begin > kAbandonedAtOnce;
    const uint32_t found = ids_of(data, slots + begin, more ? kAbandonedAtOnce : count - begin, ids);
    engine_abandon(ids, found, more);
  }
  return nullptr;
}

// endTurn(): results have been taken in a turn that no bell has asked for; the loop and the client may be let go
napi_value end_turn(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  let_go_of_bell(*arguments.client);
  return nullptr;
}

// leaveSlots(slots, count): their ops do not keep the loop alive any more
napi_value leave_slots(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  const uint32_t* slots;
  uint32_t count;
  if (!slots_of(env, arguments[0], arguments[1], &slots, &count)) return nullptr;
  for (uint32_t i = 0; i < count; ++i) {
    if (const Slot* slot = slot_of(data, slots[i]); slot != nullptr) engine_let_go(slot->id);
  }
  return nullptr;
}

// hasSignal(): false when somebody else has a handler for the engine's signal
napi_value has_signal(napi_env env, napi_callback_info) {
  napi_value result;
  napi_get_boolean(env, engine_has_signal(), &result);
  return result;
}

// settleSlot(slot, unwanted, low, high): the result has arrived; if it is unwanted, descriptors that it carries are
// closed
napi_value settle_slot(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t number, low, high;
  bool unwanted = false;
  if (!uint32_of(env, arguments[0], &number) || !uint32_of(env, arguments[2], &low) ||
      !uint32_of(env, arguments[3], &high)) {
    return nullptr;
  }
  napi_get_value_bool(env, arguments[1], &unwanted);
  if (slot_of(data, number) == nullptr) return nullptr;
  ResultCarrier& carrier = carrier_of(data, number);
  const auto result = static_cast<int64_t>(uint64_t{high} << 32 | low);
  if (unwanted) {
    dispose_later(*data.environment, carrier, result);
    return nullptr;
  }
  // Here and not when JavaScript asks for it: a Worker may be terminated in between.
  if (carrier.opened != nullptr && result >= 0) {
    data.opened_handle = handle_make(*data.environment, static_cast<int>(result), *carrier.opened);
  }
  carrier.forget();
  return nullptr;
}

// takeHandle(): of the call with CallFact::kOpens that has completed just now; 0: there was no memory for it
napi_value take_handle(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  return to_number(env, std::exchange(arguments.client->opened_handle, 0));
}

// handleClose(handle, slot): the slot's op completes when the descriptor is closed. 0: it is on its way;
// kCloseWaits: aborted calls have it still, and the last one back has it closed; -EBADF, -EAGAIN
napi_value close_handle(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t handle, number;
  if (!uint32_of(env, arguments[0], &handle) || !uint32_of(env, arguments[1], &number)) return nullptr;
  Slot* slot = slot_of(data, number);
  if (slot == nullptr) {
    throw_range_error(env, "No such slot");
    return nullptr;
  }
  const int answer = handle_close(*data.environment, *data.ring, handle, uint64_t{number} + 1, true, &slot->id);
  hold_bell(data);
  return to_number(env, answer);
}

// handleDetach(handle): the descriptor is JavaScript's from here on. 0; -EBUSY: calls have it; -EBADF
napi_value detach_handle(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  uint32_t handle;
  if (!uint32_of(env, arguments[0], &handle)) return nullptr;
  return to_number(env, handle_detach(*arguments.client->environment, handle));
}

// restrict(numbers): leaves only these syscalls
napi_value restrict_to(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  unsigned char* bytes;
  size_t length;
  if (!bytes_of(env, arguments[0], &bytes, &length)) return nullptr;
  uint64_t bits[16] = {};
  for (size_t i = 0; i + 4 <= length; i += 4) {
    uint32_t nr;
    memcpy(&nr, bytes + i, sizeof nr);
    if (nr < 16 * 64) bits[nr / 64] |= uint64_t{1} << (nr % 64);
  }
  policy_restrict(bits, 16);
  return nullptr;
}

// mayRun(numbers): whether restrict() has left all of these syscalls
napi_value may_run(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  unsigned char* bytes;
  size_t length;
  if (!bytes_of(env, arguments[0], &bytes, &length)) return nullptr;
  bool allowed = true;
  for (size_t at = 0; allowed && at + sizeof(uint32_t) <= length; at += sizeof(uint32_t)) {
    uint32_t nr;
    memcpy(&nr, bytes + at, sizeof nr);
    allowed = policy_allows(nr);
  }
  napi_value result = nullptr;
  napi_get_boolean(env, allowed, &result);
  return result;
}

}  // namespace

void define_promise(napi_env env, napi_value exports) {
  define(env, exports, "growSlots", grow_slots);
  define(env, exports, "submitStats", submit_stats);
  define(env, exports, "submitFstat", submit_fstat);
  define(env, exports, "tryStat", try_stat);
  define(env, exports, "tryFstat", try_fstat);
  define(env, exports, "submitCalls", submit_calls);
  define(env, exports, "submitCall", submit_call);
  define(env, exports, "drain", drain);
  define(env, exports, "copyOut", copy_out);
  define(env, exports, "release", release);
  define(env, exports, "abandonSlots", abandon_slots);
  define(env, exports, "leaveSlots", leave_slots);
  define(env, exports, "endTurn", end_turn);
  define(env, exports, "hasSignal", has_signal);
  define(env, exports, "settleSlot", settle_slot);
  define(env, exports, "takeHandle", take_handle);
  define(env, exports, "handleClose", close_handle);
  define(env, exports, "handleDetach", detach_handle);
  define(env, exports, "restrict", restrict_to);
  define(env, exports, "mayRun", may_run);
}

}  // namespace acall::binding
