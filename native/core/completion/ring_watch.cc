// The blocked threads and event loops that wait for a ring, and which of its ops keep an event loop alive. See ring.h.
#include <cstdlib>
#include <new>

#include "base/seams.h"
#include "completion/ring_parts.h"
#include "completion/waiters.h"
#include "op/environment.h"
#include "op/operation.h"

namespace acall {

void ring_wake_waiters(Ring& ring) {
  if (ring.waiters.is_empty()) return;
  bool full = ring_is_full(ring);
  for (const RingWaiter& w : ring.waiters) {
    if (full || (w.for_programs && ring.programs == 0) ||
        static_cast<int32_t>(static_cast<uint32_t>(ring.stored) - w.tail) >= static_cast<int64_t>(w.min)) {
      w.waiter->wake();
    }
  }
}

void ring_bell_watchers(Ring& ring) {
  if (ring.watchers.is_empty()) return;
  bool full = ring_is_full(ring);
  for (const RingWatcher& w : ring.watchers) {
    if (full || ring_drainable(ring) >= w.min) environment_bell(*w.environment);
  }
}

void ring_notify_watchers(Ring& ring) {
  Hold hold(ring.lock);
  ring_bell_watchers(ring);
}

bool ring_watch(Ring& ring, Environment& environment, uint64_t min) {
  ring_unwatch(ring, environment);
  void* room = seams.allocate(sizeof(RingWatcher));
  if (room == nullptr) return false;
  auto* watcher = new (room) RingWatcher{&environment, min, nullptr};
  Hold hold(ring.lock);
  ring.watchers.push(*watcher);
  ++environment.watches;
  ring_notify(ring);
  return true;
}

void ring_unwatch(Ring& ring, Environment& environment) {
  Hold hold(ring.lock);
  for (RingWatcher* watcher = ring.watchers.first(); watcher != nullptr;) {
    RingWatcher* const after = watcher->next;
    if (watcher->environment == &environment) {
      ring.watchers.remove(*watcher);
      free(watcher);
      --environment.watches;
    }
    watcher = after;
  }
}

void ring_set_referenced(Ring& ring, Environment& environment, bool referenced) {
  ring.unreferenced.store(!referenced, std::memory_order_relaxed);
  if (referenced) environment.is_kept_anew = true;
  operation_table().each_live([&](Operation& op, uint64_t state) {
    if (op.environment.load(std::memory_order_relaxed) != &environment) return;
    if (op.ring.load(std::memory_order_relaxed) != &ring) return;
    const uint64_t sequence = state >> kStateBits << kStateBits;
    uint64_t expected = sequence | (referenced ? 0 : 1);
    // Counted before it is marked: complete() counts down for each op that it finds marked.
    if (referenced) environment.keeping_alive.fetch_add(1, std::memory_order_acq_rel);
    bool changed =
        op.keeps_alive.compare_exchange_strong(expected, sequence | (referenced ? 1 : 0), std::memory_order_acq_rel);
    if (referenced != changed) environment.keeping_alive.fetch_sub(1, std::memory_order_acq_rel);
  });
}

}  // namespace acall
