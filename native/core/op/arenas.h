// Registered memory: which addresses belong to an environment, and for how long they must stay. An arena is one
// registration of a SharedArrayBuffer by one environment; the same bytes registered twice, or by two Workers, are two
// arenas.
//
// The lists are guarded by one lock, taken once per batch by the submitting thread and when memory comes or goes.
// `pins` counts what may still touch the bytes (ops in flight, a ring's backlog, an heir's promise) and is decremented
// by any thread.
#ifndef ACALL_CORE_OP_ARENAS_H_
#define ACALL_CORE_OP_ARENAS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/sync.h"

namespace acall {

class ArenaHeap;
struct Environment;

// All but `pins` and the range is guarded by arenas_lock.
struct Arena {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  Environment* environment = nullptr;  // nullptr: it has ended, and the record goes with its last pin
  void* holder = nullptr;              // the binding's reference to the JavaScript object
  bool registered = true;              // until arena_drop()
  bool held = false;          // the holder keeps the bytes from the collector; changed on the environment's thread
  bool collected = false;     // the collector was faster: the bytes may be gone
  bool kept = false;          // pinned until its environment ends: the kernel uses its bytes longer than any call
  Arena* heir = nullptr;      // the same bytes in another environment, pinned for us, while ours ends
  ArenaHeap* heap = nullptr;  // of whoever allocates in it, one reference; the environment's thread
  std::atomic<uint32_t> pins{0};
};

extern Lock arenas_lock;

// Registers [begin, begin + length) for the environment. nullptr when memory is short. `holder` is handed to the hooks;
// the record owns it until arena_drop() or the free_holder hook gives it back.
Arena* arena_add(Environment& environment, uintptr_t begin, size_t length, void* holder);
// The same, with the heap of whoever allocates in the memory. `fresh`: the memory has just been made. nullptr: no
// memory, and `holder` is the caller's still.
Arena* arena_register(Environment& environment, uintptr_t begin, size_t length, bool fresh, void* holder);
// On the environment's thread, in a registered arena: as ArenaHeap has it, within the arena.
int64_t arena_take(Arena& arena, uint64_t length, uint64_t align);
bool arena_give_back(Arena& arena, uint64_t offset);
// Ends a registration, on the environment's thread. Returns the holder for the caller to free, or nullptr when
// something still touches the bytes: then free_holder gets it in a later turn.
void* arena_drop(Arena* arena);

// An arena that holds [address, address + length) whole, or nullptr. The caller holds arenas_lock and is on the
// environment's thread, or holds a reference that keeps it.
Arena* arena_find(Environment& environment, uint64_t address, uint64_t length);

// Pins are taken under arenas_lock, on the environment's thread, and released by any thread. False: the bytes are gone.
bool arena_pin(Arena& arena);
void arena_unpin(Arena& arena);
// Pins it, once, until arenas_forget_kept().
void arena_keep(Arena& arena);
// On the environment's thread, as it ends. The pages that the kernel still reads stay its own.
void arenas_forget_kept(Environment& environment);

// On the environment's thread: holds what another environment has pinned, lets go of what nothing pins any more.
void arenas_settle(Environment& environment);

// What becomes of the arena's bytes when `ending` has ended. Under arenas_lock.
struct ArenaStanding {
  bool depends;  // on `ending`, itself or through heirs
  bool lives;    // another environment answers for the bytes
};
ArenaStanding arena_standing(const Arena& arena, const Environment& ending);

// The environment is over: its records stay until their last pin goes. On its thread.
void arenas_orphan(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_OP_ARENAS_H_
