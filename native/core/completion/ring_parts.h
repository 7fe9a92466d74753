// The functions that ring.cc, ring_registry.cc and ring_watch.cc share; no other file includes this one. Called under
// the ring's lock, except for ring_retire().
#ifndef ACALL_CORE_COMPLETION_RING_PARTS_H_
#define ACALL_CORE_COMPLETION_RING_PARTS_H_

#include "completion/ring.h"

namespace acall {

// ---- ring.cc

inline std::atomic_ref<uint64_t> ring_cookie_at(Ring& ring, uint64_t index) {
  return std::atomic_ref<uint64_t>(ring.memory->comps[index % ring.nr].cookie);
}
// acquire pairs with the reader's store of 0: the reader has read the slot before it is written again.
inline bool ring_slot_is_free(Ring& ring) {
  return ring_cookie_at(ring, ring.stored).load(std::memory_order_acquire) == 0;
}
inline bool ring_is_full(Ring& ring) { return ring.memory == nullptr || !ring_slot_is_free(ring); }
inline bool ring_is_unused(const Ring& ring) {
  return ring.objects == 0 && ring.inflight == 0 && ring.backlog_count == 0 && ring.watchers.is_empty();
}

// Makes room in the backlog for `ops` more ops, so that no completion is lost for want of memory. False: no memory.
bool ring_reserve(Ring& ring, uint32_t ops);
// Moves completions from the backlog to slots while slots are free.
void ring_move_backlog(Ring& ring);
// Drops the backlog of a dead ring.
void ring_drop_backlog(Ring& ring);
uint64_t ring_drainable(Ring& ring);
// Takes the pin of an emptied backlog; the caller unpins after unlocking.
Arena* ring_take_idle_pin(Ring& ring);

// ---- ring_registry.cc

// Removes the record of a ring that nothing names. No lock is held.
void ring_retire(Ring& ring);

// ---- ring_watch.cc

// Wakes threads whose wait is over.
void ring_wake_waiters(Ring& ring);
// Rings the bells of event loops that can drain as many completions as they asked for.
void ring_bell_watchers(Ring& ring);
inline void ring_notify(Ring& ring) {
  ring_wake_waiters(ring);
  ring_bell_watchers(ring);
}

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_RING_PARTS_H_
