// Registered memory: which addresses belong to an environment, and for how long they must stay. An arena is one
// SharedArrayBuffer as one environment sees it; the same bytes registered by two Workers are two arenas.
//
// The lists are guarded by one lock, taken once per batch by the submitting thread and when memory comes or goes. `pins`
// counts what may still touch the bytes (ops in flight, a ring's backlog, an heir's promise) and is decremented by any thread.
#ifndef ACALL_CORE_ARENAS_H_
#define ACALL_CORE_ARENAS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "sync.h"

namespace acall {

struct Environment;

struct Arena {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  Environment* environment = nullptr;
  void* holder = nullptr;            // the binding's reference to the JavaScript object
  uint32_t registrations = 0;        // guarded by the arenas lock
  bool held = false;                 // the binding keeps the bytes from the collector; changed on the environment's thread under the lock
  bool wanted_by_heir = false;       // another environment is ending and asks that the bytes be held; guarded by the lock
  bool orphan = false;               // its environment has ended; guarded by the arenas lock
  Arena* heir = nullptr;             // the same bytes in another live environment, pinned for us; guarded by the arenas lock
  std::atomic<uint32_t> pins{0};
};

extern Lock arenas_lock;

// Registers [begin, begin + length) for the environment, or counts one more registration of the same range. nullptr when
// memory is short. `holder` is kept for the hold_arena hook.
Arena* arena_add(Environment& environment, uintptr_t begin, size_t length, void* holder);
// One registration less; the record goes when nothing is registered and nothing pinned.
void arena_drop(Arena* arena);

// The arena that holds [address, address + length) whole, or nullptr. The caller holds arenas_lock and is on the
// environment's thread, or holds a reference that keeps it.
Arena* arena_find(Environment& environment, uint64_t address, uint64_t length);

// Pins are taken under arenas_lock (so that a drop cannot pass by) and released by any thread.
void arena_pin(Arena& arena, uint32_t count = 1);
void arena_unpin(Arena& arena, uint32_t count = 1);

// On the environment's thread: lets go of arenas that nothing pins any more.
void arenas_settle(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_ARENAS_H_
