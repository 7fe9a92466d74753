// Stats of the promise layer: batches of them, and those that are answered here and now.
#include <fcntl.h>

#include <cstring>

#include "method.h"

namespace acall::binding {

namespace {

constexpr uint64_t kNoDescriptor = 0x7fffffff;  // EBADF: of a handle that is being closed

// submitStats(paths, count, slots, flags, characters): `count` paths joined by NULs. How many were queued; kHasNul: a
// path contains a NUL
int32_t submit_stats(Client& client, napi_value joined, uint32_t count, std::span<const uint32_t> slots, uint32_t flags,
                     double characters) {
  if (count == 0 || count > kMaxStatsInBatch || slots.size() < count) {
    return throw_range_error(client.env, "The batch has no paths, or too many");
  }
  JoinedPaths paths;
  if (!paths.read(client, joined, characters)) return {};
  if (paths.block == nullptr) return 0;
  PromiseWork works[kMaxStatsInBatch];
  acall_id ids[kMaxStatsInBatch];
  auto* text = reinterpret_cast<char*>(paths.block->data());
  const char* end = text + paths.length;
  for (uint32_t i = 0; i < count; ++i) {
    char* nul = static_cast<char*>(memchr(text, 0, static_cast<size_t>(end - text)));
    if ((nul == nullptr) != (i + 1 == count)) {
      block_release(paths.block);
      return kHasNul;
    }
    if (client.slots.find(slots[i]) == nullptr) {
      block_release(paths.block);
      return throw_range_error(client.env, "No such slot");
    }
    PromiseWork& work = works[i];
    work.back_end = &kStat;
    work.extra = &client.slots.stat_result(slots[i]);
    work.cookie = uint64_t{slots[i]} + 1;
    work.args[0] = static_cast<uint64_t>(AT_FDCWD);
    work.args[1] = reinterpret_cast<uint64_t>(text);
    work.args[2] = flags & StatFlag::kNoFollow ? AT_SYMLINK_NOFOLLOW : 0;
    work.args[3] = flags & StatFlag::kIntegers ? 1 : 0;
    work.block = paths.block;
    work.result = &client.slots.stats(slots[i]);
    work.keep_alive = !(flags & StatFlag::kUnreferenced);
    text = nul + 1;
  }
  block_reference(*paths.block, count);
  for (uint32_t i = 0; i < count; ++i) block_reference(*works[i].result);
  const uint32_t taken = engine_submit_work(*client.environment, *client.environment->promise_ring, works, count, ids);
  for (uint32_t i = 0; i < count; ++i) {
    if (i < taken) {
      client.slots.find(slots[i])->id = ids[i];
    } else {
      block_release(works[i].result);
    }
  }
  block_release(paths.block, count - taken + 1);
  return static_cast<int32_t>(taken);
}

// What tryStat and tryFstat have in common: 0, -errno, or kStatNotNow.
int32_t try_request(Client& client, StatRequest request, uint32_t place) {
  const uint32_t number = place / kStatPlaceSlot;
  if (client.slots.find(number) == nullptr || client.environment == nullptr) return kStatNotNow;
  if (place & StatFlag::kNoFollow) request.flags |= AT_SYMLINK_NOFOLLOW;
  request.integers = place & StatFlag::kIntegers;
  int64_t result;
  if (!engine_try_stat(*client.environment, request, &client.slots.stat_result(number), &result)) return kStatNotNow;
  return static_cast<int32_t>(result);
}

// tryStat(path, place): here and now, into the result record of a slot; `place` is the slot times kStatPlaceSlot, and
// flags
int32_t try_stat(Client& client, const ShortPath& path, uint32_t place) {
  if (!path.is_usable) return kStatNotNow;  // the long way has the right error
  return try_request(client, {AT_FDCWD, path.bytes, 0, false}, place);
}

// tryFstat(fd, place): the same for a descriptor
int32_t try_fstat(Client& client, uint32_t fd, uint32_t place) {
  return try_request(client, {static_cast<int>(fd), "", AT_EMPTY_PATH, false}, place);
}

// submitFstat(fd, slot, flags, handle): 1, or 0 when there is no room
uint32_t submit_fstat(Client& client, uint32_t fd, SlotArgument slot, uint32_t flags, uint32_t handle) {
  static const char kEmpty[1] = "";
  PromiseWork work;
  work.back_end = &kStat;
  work.extra = &client.slots.stat_result(slot.number);
  work.cookie = uint64_t{slot.number} + 1;
  work.handle = handle == 0 ? nullptr : handle_find(*client.environment, handle);
  work.args[0] = handle != 0 && work.handle == nullptr ? kNoDescriptor : fd;
  work.args[1] = reinterpret_cast<uint64_t>(kEmpty);
  work.args[2] = AT_EMPTY_PATH;
  work.args[3] = flags & StatFlag::kIntegers ? 1 : 0;
  work.result = &client.slots.stats(slot.number);
  work.keep_alive = !(flags & StatFlag::kUnreferenced);
  block_reference(*work.result);
  const uint32_t taken =
      engine_submit_work(*client.environment, *client.environment->promise_ring, &work, 1, &slot->id);
  if (taken == 0) block_release(work.result);
  return taken;
}

}  // namespace

void add_stat_functions(const Exports& exports) {
  exports.add("submitStats", call<submit_stats, kSubmits>);
  exports.add("submitFstat", call<submit_fstat, kSubmits>);
  exports.add("tryStat", call<try_stat>);
  exports.add("tryFstat", call<try_fstat>);
}

}  // namespace acall::binding
