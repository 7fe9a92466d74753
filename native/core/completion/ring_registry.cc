// The records of rings by their address, and rings of the core. See ring.h.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/block.h"
#include "base/seams.h"
#include "completion/ring_parts.h"
#include "op/arenas.h"

namespace acall {

namespace {

constexpr uint32_t kBuckets = 1024;
constexpr uint32_t kKeptBacklog = 1024;  // a record in the free list keeps a backlog of up to so many completions

Lock table_lock;  // guards the next two
Stack<Ring> buckets[kBuckets];
Stack<Ring> free_rings;

Stack<Ring>& bucket_of(uint64_t address) { return buckets[((address * 0x9e3779b97f4a7c15ull) >> 54) % kBuckets]; }

// Removes a record that nothing names, unless another thread has done so. Under table_lock.
void retire_if_unused(Ring& ring) {
  Hold hold(ring.lock);
  if (!ring_is_unused(ring) || ring.address == 0 || !bucket_of(ring.address).remove(ring)) return;
  ring.address = 0;
  free(ring.returned);
  ring.returned = nullptr;
  ring.returned_first = ring.returned_count = 0;
  if (ring.backlog_capacity > kKeptBacklog) {
    free(ring.backlog);
    ring.backlog = nullptr;
    ring.backlog_capacity = 0;
  }
  free_rings.push(ring);
}

// Where drain() starts on a ring that has completions already: at the oldest unread slot.
uint64_t oldest_unread(Ring& ring) {
  uint64_t index = ring.stored;
  while (index > 0 && ring.stored - index < ring.nr &&
         ring_cookie_at(ring, index - 1).load(std::memory_order_acquire) != 0)
    --index;
  return index;
}

// The record begins anew with the memory at its address. Under the ring's lock.
void begin_at(Ring& ring, acall_completion_ring* memory, uint32_t nr) {
  ring.memory = memory;
  ring.nr = nr;
  ring.overflows = 0;
  ring.unreferenced.store(false, std::memory_order_relaxed);
  ring.returned_count = 0;
  ring.stored = std::atomic_ref<uint32_t>(memory->head).load(std::memory_order_acquire);
  ring.claimed = oldest_unread(ring);
}

}  // namespace

void ring_retire(Ring& ring) {
  Hold table(table_lock);
  retire_if_unused(ring);
}

int ring_acquire(uint64_t address, uint32_t nr, uint32_t ops, RingUse use, Ring** result) {
  auto* memory = reinterpret_cast<acall_completion_ring*>(address);
  if (nr == 0) return -EINVAL;
  Hold table(table_lock);
  Ring* ring = bucket_of(address).first();
  while (ring != nullptr && ring->address != address) ring = ring->next;
  if (ring == nullptr) {
    ring = free_rings.pop();
    if (ring == nullptr) {
      void* room = seams.allocate(sizeof(Ring) + alignof(Ring));
      if (room == nullptr) return -EAGAIN;
      ring = new (room) Ring();
    }
    Hold hold(ring->lock);
    ring->address = address;
    begin_at(*ring, memory, nr);
    bucket_of(address).push(*ring);
  }
  int error = 0;
  {
    Hold hold(ring->lock);
    if (ring->memory == nullptr || (use == RingUse::kFreshObject && ring->inflight == 0 && ring->backlog_count == 0)) {
      begin_at(*ring, memory, nr);  // the ring that was here is dead, and its address is used again
    }
    if (ring->nr != nr) {
      error = -EINVAL;
    } else if (!ring_reserve(*ring, ops)) {
      error = -EAGAIN;
    } else {
      ring->inflight += ops;
    }
    if (error == 0 && use != RingUse::kOps) ++ring->objects;
  }
  if (error == 0) {
    *result = ring;
  } else {
    retire_if_unused(*ring);
  }
  return error;
}

void ring_release_object(Ring& ring) {
  {
    Hold table(table_lock);
    Hold hold(ring.lock);
    --ring.objects;
  }
  ring_retire(ring);
}

int ring_open(Environment& environment, uint64_t address, bool fresh, Ring** ring) {
  Hold hold(arenas_lock);
  const Arena* arena = arena_find(environment, address, sizeof(acall_completion_ring));
  if (arena == nullptr || (address & 7) != 0) return -EFAULT;
  // Read once: JavaScript may change it.
  const uint32_t nr =
      std::atomic_ref<uint32_t>(reinterpret_cast<acall_completion_ring*>(address)->nr).load(std::memory_order_relaxed);
  if (sizeof(acall_completion_ring) + uint64_t{nr} * sizeof(acall_completion) > arena->end - address) return -EFAULT;
  return ring_acquire(address, nr, 0, fresh ? RingUse::kFreshObject : RingUse::kObject, ring);
}

Ring* ring_make_core_owned(uint32_t nr) {
  Block* block = block_make(sizeof(acall_completion_ring) + size_t{nr} * sizeof(acall_completion));
  void* room = block == nullptr ? nullptr : seams.allocate(sizeof(Ring));
  if (room == nullptr) {
    block_release(block);
    return nullptr;
  }
  memset(block->data(), 0, block->size);
  Ring* ring = new (room) Ring();
  ring->memory = reinterpret_cast<acall_completion_ring*>(block->data());
  ring->memory->nr = nr;
  ring->nr = nr;
  ring->core_owned = true;
  ring->block = block;
  return ring;
}

void ring_destroy_core_owned(Ring* ring) {
  ring_drop_backlog(*ring);
  free(ring->backlog);
  free(ring->returned);
  block_release(ring->block);
  free(ring);
}

bool rings_flush() {
  bool moved = false;
  Ring* retired[16];
  uint32_t retired_count = 0;
  Arena* idle_pins[16];
  uint32_t pin_count = 0;
  {
    Hold table(table_lock);
    for (Stack<Ring>& bucket : buckets) {
      for (Ring& ring : bucket) {
        if (pin_count == 16) break;
        Hold hold(ring.lock);
        if (ring.backlog_count == 0 || ring.memory == nullptr) continue;
        uint64_t before = ring.stored;
        ring_move_backlog(ring);
        moved |= ring.stored != before;
        if (ring.stored != before) ring_notify(ring);
        if (ring.backlog_count == 0 && ring_is_unused(ring) && retired_count < 16) retired[retired_count++] = &ring;
        if (Arena* pin = ring_take_idle_pin(ring)) idle_pins[pin_count++] = pin;
      }
    }
  }
  for (uint32_t i = 0; i < pin_count; ++i) arena_unpin(*idle_pins[i]);
  for (uint32_t i = 0; i < retired_count; ++i) ring_retire(*retired[i]);
  return moved;
}

void rings_environment_ended(Environment& environment) {
  for (;;) {
    Arena* lost = nullptr;
    {
      Hold arenas(arenas_lock);
      Hold table(table_lock);
      for (Stack<Ring>& bucket : buckets) {
        for (Ring& ring : bucket) {
          if (lost != nullptr) break;
          ring_unwatch(ring, environment);
          Hold hold(ring.lock);
          if (ring.backlog_pin == nullptr) continue;
          ArenaStanding standing = arena_standing(*ring.backlog_pin, environment);
          if (!standing.depends || standing.lives) continue;
          ring_drop_backlog(ring);
          ring.memory = nullptr;
          lost = ring_take_idle_pin(ring);
        }
      }
    }
    if (lost == nullptr) return;
    arena_unpin(*lost);  // after unlocking: it takes arenas_lock
  }
}

}  // namespace acall
