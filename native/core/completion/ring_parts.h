// What the files of rings share: ring.cc, ring_registry.cc, ring_watch.cc. Nobody else includes it. All under the
// ring's lock, but for ring_retire().
#ifndef ACALL_CORE_COMPLETION_RING_PARTS_H_
#define ACALL_CORE_COMPLETION_RING_PARTS_H_

#include "completion/ring.h"

namespace acall {

// ---- ring.cc

inline std::atomic_ref<uint64_t> ring_cookie_at(Ring& ring, uint64_t index) {
  return std::atomic_ref<uint64_t>(ring.memory->comps[index % ring.nr].cookie);
}
// acquire pairs with the reader's store of 0: it has read the slot before we write it again.
inline bool ring_slot_is_free(Ring& ring) {
  return ring_cookie_at(ring, ring.stored).load(std::memory_order_acquire) == 0;
}
inline bool ring_is_full(Ring& ring) { return ring.memory == nullptr || !ring_slot_is_free(ring); }
inline bool ring_is_unused(const Ring& ring) {
  return ring.objects == 0 && ring.inflight == 0 && ring.backlog_count == 0 && ring.watchers.is_empty();
}

// Room in the backlog for every op that may complete here, so that none is ever lost for want of memory.
bool ring_reserve(Ring& ring, uint32_t ops);
// What the backlog holds, as far as slots are free.
void ring_move_backlog(Ring& ring);
// The ring is dead: what its backlog holds goes nowhere.
void ring_drop_backlog(Ring& ring);
uint64_t ring_drainable(Ring& ring);
// Takes the pin of an emptied backlog; the caller unpins after unlocking.
Arena* ring_take_idle_pin(Ring& ring);

// ---- ring_registry.cc

// Removes the record of a ring that nothing names. No lock is held.
void ring_retire(Ring& ring);

// ---- ring_watch.cc

// Threads that wait and can go on now.
void ring_wake_waiters(Ring& ring);
// Event loops that have something to drain.
void ring_bell_watchers(Ring& ring);
inline void ring_notify(Ring& ring) {
  ring_wake_waiters(ring);
  ring_bell_watchers(ring);
}

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_RING_PARTS_H_
