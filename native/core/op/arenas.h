// Registered memory: which addresses belong to an environment, and for how long the bytes must stay. An arena is one
// registration of a SharedArrayBuffer by one environment; the same bytes registered twice, or by two Workers, are two
// arenas.
//
// arenas_lock guards the lists of all environments. Submitting threads take it once per batch, and any thread takes it
// to release a last pin. `pins` counts what may still touch the bytes: ops in flight, a ring's backlog, an arena of
// another environment that has this one as its heir. Any thread releases pins.
#ifndef ACALL_CORE_OP_ARENAS_H_
#define ACALL_CORE_OP_ARENAS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/sync.h"

namespace acall {

class ArenaHeap;
struct Environment;

// Guarded by arenas_lock, but for `begin` and `end` (constant), `heap` and `pins`.
struct Arena {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  Environment* environment = nullptr;  // nullptr: it has ended, and the record is freed with the last pin
  void* holder = nullptr;              // the binding's reference to the JavaScript object
  bool registered = true;              // until arena_drop()
  bool held = false;          // the holder keeps the bytes from the collector; changed on the environment's thread
  bool collected = false;     // the collector has taken the JavaScript object: the bytes may be gone
  bool kept = false;          // pinned until its environment ends: the kernel uses the bytes longer than the call
  Arena* heir = nullptr;      // an arena of another environment over the same bytes, pinned for this one
  ArenaHeap* heap = nullptr;  // one reference; nullptr: nothing is allocated in the arena. The environment's thread
  std::atomic<uint32_t> pins{0};
};

extern Lock arenas_lock;

// Registers [begin, begin + length) for the environment; nullptr: no memory. `holder` is an argument of the hooks; the
// record owns it until arena_drop() or the free_holder hook gives it back.
Arena* arena_add(Environment& environment, uintptr_t begin, size_t length, void* holder);
// The same, with a heap to allocate in. `fresh`: the memory has just been made. nullptr: no memory, and `holder` stays
// the caller's.
Arena* arena_register(Environment& environment, uintptr_t begin, size_t length, bool fresh, void* holder);
// On the environment's thread, in a registered arena: take() and give_back() of its heap, within the arena.
int64_t arena_take(Arena& arena, uint64_t length, uint64_t align);
bool arena_give_back(Arena& arena, uint64_t offset);
// Ends a registration, on the environment's thread. Returns the holder for the caller to free. nullptr: something may
// still touch the bytes, and the hook free_holder is called with the holder in a later turn.
void* arena_drop(Arena* arena);

// An arena that contains all of [address, address + length), or nullptr. The caller holds arenas_lock and is on the
// environment's thread, or has a reference that keeps the environment.
Arena* arena_find(Environment& environment, uint64_t address, uint64_t length);

// Pins are taken under arenas_lock, on the environment's thread, and released by any thread. False: the bytes are gone.
bool arena_pin(Arena& arena);
void arena_unpin(Arena& arena);
// Under arenas_lock, for an arena that is pinned: pins it once more, until arenas_forget_kept().
void arena_keep(Arena& arena);
// On the environment's thread, as it ends: releases the pins of arena_keep(). The kernel has its own references to the
// pages that it still reads.
void arenas_forget_kept(Environment& environment);

// On the environment's thread: holds arenas that another environment has pinned, and lets go of those without pins.
void arenas_settle(Environment& environment);

// What becomes of the arena's bytes when `ending` has ended. Under arenas_lock.
struct ArenaStanding {
  bool depends;  // the arena, or one of its heirs, is of `ending`
  bool lives;    // another environment holds the bytes
};
ArenaStanding arena_standing(const Arena& arena, const Environment& ending);

// The environment has ended: pinned records stay until the last pin is released. On its thread.
void arenas_orphan(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_OP_ARENAS_H_
