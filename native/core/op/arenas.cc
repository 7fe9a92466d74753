// Registered memory. See arenas.h for who enters and what guards what.
#include "op/arenas.h"

#include <cstdlib>
#include <new>

#include "base/seams.h"
#include "op/arena_heap.h"
#include "op/environment.h"

namespace acall {

Lock arenas_lock;

namespace {

// Index of the first arena of the environment that begins after `address`. Under arenas_lock, as all below.
uint32_t upper_bound(const Environment& environment, uint64_t address) {
  uint32_t low = 0, high = environment.arena_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (environment.arenas[middle]->begin <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void remove_at(Environment& environment, uint32_t place) {
  --environment.arena_count;
  for (uint32_t i = place; i < environment.arena_count; ++i) environment.arenas[i] = environment.arenas[i + 1];
}

void unlink(Arena& arena) {
  Environment& environment = *arena.environment;
  for (uint32_t i = upper_bound(environment, arena.begin); i-- > 0;) {
    if (environment.arenas[i] == &arena) return remove_at(environment, i);
  }
}

bool is_usable(const Arena& arena) { return arena.held || (arena.registered && !arena.collected); }

// On the environment's thread.
void set_held(Arena& arena, bool held) {
  const EnvironmentHooks& hooks = arena.environment->hooks;
  bool kept = hooks.hold_arena == nullptr || hooks.hold_arena(hooks.context, arena.holder, held);
  if (held && !kept) arena.collected = true;
  arena.held = held && kept;
}

void free_holder(const Environment& environment, Arena& arena) {
  if (environment.hooks.free_holder != nullptr) environment.hooks.free_holder(environment.hooks.context, arena.holder);
  arena.holder = nullptr;
}

void free_record(Arena* arena) {
  arena_heap_close(arena->heap);
  free(arena);
}

}  // namespace

Arena* arena_add(Environment& environment, uintptr_t begin, size_t length, void* holder) {
  Hold hold(arenas_lock);
  if (environment.arena_count == environment.arena_capacity) {
    uint32_t capacity = environment.arena_capacity ? environment.arena_capacity * 2 : 8;
    Arena** grown = static_cast<Arena**>(seams.allocate(sizeof(Arena*) * capacity));
    if (grown == nullptr) return nullptr;
    for (uint32_t i = 0; i < environment.arena_count; ++i) grown[i] = environment.arenas[i];
    free(environment.arenas);
    environment.arenas = grown;
    environment.arena_capacity = capacity;
  }
  void* memory = seams.allocate(sizeof(Arena));
  if (memory == nullptr) return nullptr;
  Arena* arena = new (memory) Arena();
  arena->begin = begin;
  arena->end = begin + length;
  arena->environment = &environment;
  arena->holder = holder;
  const uint32_t place = upper_bound(environment, begin);
  for (uint32_t i = environment.arena_count++; i > place; --i) environment.arenas[i] = environment.arenas[i - 1];
  environment.arenas[place] = arena;
  return arena;
}

Arena* arena_register(Environment& environment, uintptr_t begin, size_t length, bool fresh, void* holder) {
  Arena* arena = arena_add(environment, begin, length, holder);
  if (arena == nullptr) return nullptr;
  arena->heap = arena_heap_open(begin, length, fresh);
  if (arena->heap != nullptr) return arena;
  arena_drop(arena);  // frees the record: it has no pins yet
  return nullptr;
}

int64_t arena_take(Arena& arena, uint64_t length, uint64_t align) {
  return arena.heap->take(length, align, arena.end - arena.begin);
}

bool arena_give_back(Arena& arena, uint64_t offset) { return arena.heap->give_back(offset); }

void* arena_drop(Arena* arena) {
  void* holder;
  {
    Hold hold(arenas_lock);
    arena->registered = false;
    // acquire pairs with the release in arena_unpin(): the kernel no longer uses the bytes when they are freed.
    const bool pinned = arena->pins.load(std::memory_order_acquire) != 0;
    if (arena->environment != nullptr && (pinned || arena->held)) {
      environment_bell(*arena->environment);  // arenas_settle() does the rest in a turn
      return nullptr;
    }
    holder = arena->holder;
    arena->holder = nullptr;
    if (arena->environment != nullptr) {
      unlink(*arena);
    } else if (pinned) {
      return holder;  // the last unpin frees the record
    }
  }
  free_record(arena);
  return holder;
}

Arena* arena_find(Environment& environment, uint64_t address, uint64_t length) {
  // Most often the first candidate is the one. The search goes on where the same bytes are registered twice, and where
  // the collector has taken the bytes of an arena that is still in the list: an arena that begins before it may contain
  // them by now.
  for (uint32_t place = upper_bound(environment, address); place-- > 0;) {
    Arena* arena = environment.arenas[place];
    if (address < arena->end && length <= arena->end - address && is_usable(*arena)) return arena;
  }
  return nullptr;
}

bool arena_pin(Arena& arena) {
  if (!arena.held) {
    set_held(arena, true);
    if (!arena.held) return false;
  }
  arena.pins.fetch_add(1, std::memory_order_relaxed);  // arenas_lock is held: no other thread can free the arena
  return true;
}

void arena_unpin(Arena& first) {
  Arena* next = &first;
  while (next != nullptr) {
    Arena& arena = *next;
    next = nullptr;
    // The last pin is released under the lock, since arena_drop() may free the record as soon as it sees no pin.
    // release: all writes to the bytes come before the memory may go; pairs with the acquire in arena_drop() and
    // arenas_settle().
    uint32_t pins = arena.pins.load(std::memory_order_relaxed);
    bool done = false;
    while (pins > 1 && !done) {
      done = arena.pins.compare_exchange_weak(pins, pins - 1, std::memory_order_release, std::memory_order_relaxed);
    }
    if (done) return;
    bool spent = false;
    {
      Hold hold(arenas_lock);
      if (arena.pins.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      next = arena.heir;
      arena.heir = nullptr;
      if (arena.environment != nullptr) {
        environment_bell(*arena.environment);  // arenas_settle() lets go of the bytes in a turn
      } else {
        spent = !arena.registered;
      }
    }
    if (spent) free_record(&arena);
  }
}

void arena_keep(Arena& arena) {
  if (!arena.kept) arena.pins.fetch_add(1, std::memory_order_relaxed);
  arena.kept = true;
}

void arenas_forget_kept(Environment& environment) {
  for (;;) {
    Arena* kept = nullptr;
    {
      Hold hold(arenas_lock);
      for (uint32_t i = 0; i < environment.arena_count && kept == nullptr; ++i) {
        Arena* arena = environment.arenas[i];
        if (arena->kept) kept = arena;  // NOLINT(clang-analyzer-unix.Malloc): no unpin frees an arena in a list
      }
      if (kept != nullptr) kept->kept = false;
    }
    if (kept == nullptr) return;
    arena_unpin(*kept);  // after unlocking: it takes the lock
  }
}

void arenas_settle(Environment& environment) {
  Hold hold(arenas_lock);
  for (uint32_t i = environment.arena_count; i-- > 0;) {
    Arena& arena = *environment.arenas[i];
    const bool pinned = arena.pins.load(std::memory_order_acquire) != 0;
    if (pinned && !arena.held && is_usable(arena)) set_held(arena, true);  // pinned as the heir of another arena
    if (pinned) continue;
    if (arena.held) set_held(arena, false);
    if (arena.registered) continue;
    free_holder(environment, arena);
    remove_at(environment, i);
    free_record(&arena);
  }
}

ArenaStanding arena_standing(const Arena& arena, const Environment& ending) {
  const Arena* last = &arena;
  bool depends = last->environment == &ending;
  while (last->heir != nullptr) {
    last = last->heir;
    depends |= last->environment == &ending;
  }
  return {depends, last->environment != nullptr && last->environment != &ending && last->held};
}

void arenas_orphan(Environment& environment) {
  Hold hold(arenas_lock);
  for (uint32_t i = 0; i < environment.arena_count; ++i) {
    Arena* arena = environment.arenas[i];
    arena->environment = nullptr;
    if (arena->registered) continue;  // arena_drop() takes the holder and frees the record
    free_holder(environment, *arena);
    if (arena->pins.load(std::memory_order_acquire) == 0) free_record(arena);
  }
  environment.arena_count = environment.arena_capacity = 0;
  free(environment.arenas);
  environment.arenas = nullptr;
}

}  // namespace acall
