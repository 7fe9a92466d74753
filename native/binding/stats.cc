// Stats of the promise layer: batches of stats, and inline stats.
#include <cerrno>

#include "method.h"

namespace acall::binding {

namespace {

// submitStats(paths, count, slots, flags, characters): submits the stats of `count` paths, joined by NULs. Returns how
// many were accepted; kHasNul: a path contains a NUL
int32_t submit_stats(Client& client, napi_value joined, uint32_t count, std::span<const uint32_t> slots, uint32_t flags,
                     double characters) {
  if (count == 0 || count > kMaxStatsInBatch || slots.size() < count) {
    return throw_range_error(client.env, "The batch has no paths, or too many");
  }
  JoinedPaths paths;
  if (!paths.read(client, joined, characters)) return {};
  if (paths.block == nullptr) return 0;
  const int32_t taken =
      promise_submit_stats(*client.environment, client.slots, paths.block, paths.length, slots.data(), count, flags);
  return taken == -EINVAL ? throw_range_error(client.env, "No such slot") : taken;
}

// inlineStat(path, place): an inline stat into the stat result of a slot. `place` is the slot times kStatPlaceSlot plus
// flags
int32_t inline_stat(Client& client, const ShortPath& path, uint32_t place) {
  if (!path.is_usable || client.environment == nullptr) return kStatNotNow;  // the op then has the right error
  return promise_inline_stat(*client.environment, client.slots, path.bytes, place);
}

// inlineFstat(fd, place): the same for a descriptor
int32_t inline_fstat(Client& client, int32_t fd, uint32_t place) {
  if (client.environment == nullptr) return kStatNotNow;
  return promise_inline_fstat(*client.environment, client.slots, fd, place);
}

// submitFstat(fd, slot, flags, handle): submits the stat of a descriptor. 1, or 0 when memory is short
uint32_t submit_fstat(Client& client, int32_t fd, SlotArgument slot, uint32_t flags, HandleNumber handle) {
  return promise_submit_fstat(*client.environment, client.slots, fd, slot.number, flags, handle);
}

}  // namespace

void add_stat_functions(const Exports& exports) {
  exports.add("submitStats", call<submit_stats, kSubmits>);
  exports.add("submitFstat", call<submit_fstat, kSubmits>);
  exports.add("inlineStat", call<inline_stat>);
  exports.add("inlineFstat", call<inline_fstat>);
}

}  // namespace acall::binding
