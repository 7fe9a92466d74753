// Registered memory. See arenas.h for who enters and what guards what.
#include "arenas.h"

#include <cstdlib>
#include <new>

#include "environment.h"
#include "seams.h"

namespace acall {

Lock arenas_lock;

namespace {

// Index of the first arena of the environment that begins after `address`. Under arenas_lock.
uint32_t upper_bound(const Environment& environment, uint64_t address) {
  uint32_t low = 0, high = environment.arena_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (environment.arenas[middle]->begin <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

void unlink(Arena& arena) {
  Environment& environment = *arena.environment;
  for (uint32_t i = upper_bound(environment, arena.begin); i-- > 0;) {
    if (environment.arenas[i] != &arena) continue;
    --environment.arena_count;
    for (; i < environment.arena_count; ++i) environment.arenas[i] = environment.arenas[i + 1];
    return;
  }
}

// Under arenas_lock. True when the record can go; the caller frees it after unlocking.
bool is_spent(const Arena& arena) {
  return arena.registrations == 0 && arena.pins.load(std::memory_order_acquire) == 0;
}

}  // namespace

Arena* arena_add(Environment& environment, uintptr_t begin, size_t length, void* holder) {
  Hold hold(arenas_lock);
  uint32_t place = upper_bound(environment, begin);
  if (place > 0) {
    Arena* before = environment.arenas[place - 1];
    if (before->begin == begin && before->end == begin + length) {
      ++before->registrations;
      return before;
    }
  }
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
  arena->registrations = 1;
  for (uint32_t i = environment.arena_count++; i > place; --i) environment.arenas[i] = environment.arenas[i - 1];
  environment.arenas[place] = arena;
  return arena;
}

void arena_drop(Arena* arena) {
  {
    Hold hold(arenas_lock);
    if (--arena->registrations > 0) return;
    if (!arena->orphan) unlink(*arena);
    if (!is_spent(*arena)) return;  // the last unpin frees it
  }
  free(arena);
}

Arena* arena_find(Environment& environment, uint64_t address, uint64_t length) {
  uint32_t place = upper_bound(environment, address);
  if (place == 0) return nullptr;
  Arena* arena = environment.arenas[place - 1];
  return address < arena->end && length <= arena->end - address ? arena : nullptr;
}

void arena_pin(Arena& arena, uint32_t count) {
  arena.pins.fetch_add(count, std::memory_order_relaxed);  // under arenas_lock: nothing can free it meanwhile
  if (!arena.held && !arena.orphan) {
    arena.held = true;
    if (arena.environment->hooks.hold_arena) {
      arena.environment->hooks.hold_arena(arena.environment->hooks.context, arena.holder, true);
    }
  }
}

void arena_unpin(Arena& arena, uint32_t count) {
  // The last pin goes under the lock, since a drop may free the record as soon as it sees none. Release order: what the
  // kernel and we wrote is written before the memory may go; pairs with the acquire in is_spent() and arenas_settle().
  uint32_t pins = arena.pins.load(std::memory_order_relaxed);
  while (pins > count) {
    if (arena.pins.compare_exchange_weak(pins, pins - count, std::memory_order_release, std::memory_order_relaxed)) return;
  }
  Arena* heir = nullptr;
  bool spent = false;
  {
    Hold hold(arenas_lock);
    if (arena.pins.fetch_sub(count, std::memory_order_acq_rel) != count) return;
    if (arena.orphan) {
      heir = arena.heir;
      arena.heir = nullptr;
      spent = is_spent(arena);
    } else {
      environment_bell(*arena.environment);  // arenas_settle() lets go of the bytes, on the environment's thread
    }
  }
  if (spent) free(&arena);
  if (heir != nullptr) arena_unpin(*heir);
}

void arenas_settle(Environment& environment) {
  Hold hold(arenas_lock);
  for (uint32_t i = 0; i < environment.arena_count; ++i) {
    Arena* arena = environment.arenas[i];
    if (arena->wanted_by_heir && !arena->held) {
      arena->held = true;  // the next turn lets go unless somebody has pinned it by then
      if (environment.hooks.hold_arena) environment.hooks.hold_arena(environment.hooks.context, arena->holder, true);
      continue;
    }
    if (!arena->held || arena->pins.load(std::memory_order_acquire) != 0) continue;
    arena->held = false;
    if (environment.hooks.hold_arena) environment.hooks.hold_arena(environment.hooks.context, arena->holder, false);
  }
}

}  // namespace acall
