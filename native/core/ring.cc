// Completion rings. See ring.h for who enters and what guards what.
#include "ring.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "arenas.h"
#include "block.h"
#include "environment.h"
#include "operation.h"
#include "seams.h"
#include "waiters.h"

namespace acall {

namespace {

constexpr uint32_t kBuckets = 1024;
constexpr uint32_t kKeptBacklog = 1024;  // slots that a record in the free list keeps for the next ring

Lock table_lock;
Stack<Ring> buckets[kBuckets];
Stack<Ring> free_rings;
std::atomic<uint32_t> backlogged{0};
std::atomic<uint64_t> overflows{0};
std::atomic<void (*)()> tell_of_backlog{nullptr};

Stack<Ring>& bucket_of(uint64_t address) { return buckets[((address * 0x9e3779b97f4a7c15ull) >> 54) % kBuckets]; }

std::atomic_ref<uint64_t> cookie_at(Ring& ring, uint64_t index) {
  return std::atomic_ref<uint64_t>(ring.memory->comps[index % ring.nr].cookie);
}

std::atomic_ref<uint64_t> return_code_at(Ring& ring, uint64_t index) {
  return std::atomic_ref<uint64_t>(ring.memory->comps[index % ring.nr].return_code);
}

// acquire pairs with the reader's store of 0: it has read the slot before we write it again.
bool slot_is_free(Ring& ring) { return cookie_at(ring, ring.stored).load(std::memory_order_acquire) == 0; }

void put(Ring& ring, const acall_completion& completion) {
  uint64_t index = ring.stored++;
  std::atomic_ref<uint32_t>(ring.memory->head).store(static_cast<uint32_t>(ring.stored), std::memory_order_release);
  return_code_at(ring, index).store(completion.return_code, std::memory_order_relaxed);
  // release: the return code is there before the cookie; pairs with the reader's acquire load of the cookie.
  cookie_at(ring, index).store(completion.cookie, std::memory_order_release);
}

void flush_locked(Ring& ring) {
  while (ring.backlog_count > 0 && slot_is_free(ring)) {
    put(ring, ring.backlog[ring.backlog_first]);
    ring.backlog_first = (ring.backlog_first + 1) & (ring.backlog_capacity - 1);
    if (--ring.backlog_count == 0) backlogged.fetch_sub(1, std::memory_order_relaxed);
  }
}

// Room in the backlog for every op that may complete here, so that none is ever lost for want of memory.
bool reserve(Ring& ring, uint32_t ops) {
  uint64_t wanted = static_cast<uint64_t>(ring.inflight) + ring.backlog_count + ops;
  if (wanted <= ring.backlog_capacity) return true;
  uint64_t capacity = ring.backlog_capacity ? ring.backlog_capacity : 64;
  while (capacity < wanted) capacity *= 2;
  if (capacity > UINT32_MAX) return false;
  auto* grown = static_cast<acall_completion*>(seams.allocate(capacity * sizeof(acall_completion)));
  if (grown == nullptr) return false;
  for (uint32_t i = 0; i < ring.backlog_count; ++i) {
    grown[i] = ring.backlog[(ring.backlog_first + i) & (ring.backlog_capacity - 1)];
  }
  free(ring.backlog);
  ring.backlog = grown;
  ring.backlog_capacity = static_cast<uint32_t>(capacity);
  ring.backlog_first = 0;
  return true;
}

// A reader that uses memory alone has taken what lies further back than a whole ring.
void skip_overwritten(Ring& ring) {
  if (ring.stored - ring.claimed > ring.nr) ring.claimed = ring.stored - ring.nr;
}

uint64_t available(Ring& ring) {
  skip_overwritten(ring);
  return ring.stored - ring.claimed + ring.returned_count;
}

bool is_full(Ring& ring) { return ring.memory == nullptr || !slot_is_free(ring); }

// Threads that wait and can go on now. Under the ring's lock, as the next one.
void notify_waiters(Ring& ring) {
  if (ring.waiters.is_empty()) return;
  bool full = is_full(ring);
  for (const RingWaiter& w : ring.waiters) {
    if (full || (w.for_programs && ring.programs == 0) ||
        static_cast<int32_t>(static_cast<uint32_t>(ring.stored) - w.tail) >= static_cast<int64_t>(w.min)) {
      w.waiter->wake();
    }
  }
}

void notify_watchers(Ring& ring) {
  if (ring.watchers.is_empty()) return;
  bool full = is_full(ring);
  for (const RingWatcher& w : ring.watchers) {
    if (full || available(ring) >= w.min) environment_bell(*w.environment);
  }
}

void notify(Ring& ring) {
  notify_waiters(ring);
  notify_watchers(ring);
}

// Takes the pin of an emptied backlog; the caller unpins after unlocking.
Arena* take_idle_pin(Ring& ring) {
  if (ring.backlog_count > 0) return nullptr;
  Arena* pin = ring.backlog_pin;
  ring.backlog_pin = nullptr;
  return pin;
}

bool is_unused(const Ring& ring) {
  return ring.objects == 0 && ring.inflight == 0 && ring.backlog_count == 0 && ring.watchers.is_empty();
}

// Removes a record that nothing names. Under the table's lock; whoever comes first does it.
void retire_if_unused(Ring& ring) {
  Hold hold(ring.lock);
  if (!is_unused(ring) || ring.address == 0 || !bucket_of(ring.address).remove(ring)) return;
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

void maybe_retire(Ring& ring) {
  Hold table(table_lock);
  retire_if_unused(ring);
}

// Where drain() starts on a ring that holds completions already: behind the oldest unread slot.
uint64_t oldest_unread(Ring& ring) {
  uint64_t index = ring.stored;
  while (index > 0 && ring.stored - index < ring.nr && cookie_at(ring, index - 1).load(std::memory_order_acquire) != 0)
    --index;
  return index;
}

}  // namespace

int ring_acquire(uint64_t address, uint32_t nr, uint32_t ops, RingUse use, Ring** result) {
  auto* memory = reinterpret_cast<acall_completion_ring*>(address);
  if (nr == 0) return -22;
  Hold table(table_lock);
  Ring* ring = bucket_of(address).first();
  while (ring != nullptr && ring->address != address) ring = ring->next;
  if (ring == nullptr) {
    ring = free_rings.pop();
    if (ring == nullptr) {
      void* room = seams.allocate(sizeof(Ring) + alignof(Ring));
      if (room == nullptr) return -11;
      ring = new (room) Ring();
    }
    Hold hold(ring->lock);
    ring->memory = memory;
    ring->address = address;
    ring->nr = nr;
    ring->overflows = 0;
    ring->unreferenced.store(false, std::memory_order_relaxed);
    ring->stored = std::atomic_ref<uint32_t>(memory->head).load(std::memory_order_acquire);
    ring->claimed = oldest_unread(*ring);
    bucket_of(address).push(*ring);
  }
  int error = 0;
  {
    Hold hold(ring->lock);
    if (ring->memory == nullptr || (use == RingUse::kFreshObject && ring->inflight == 0 && ring->backlog_count == 0)) {
      ring->memory = memory;  // what was here before has died and the address is in use again
      ring->nr = nr;
      ring->overflows = 0;
      ring->unreferenced.store(false, std::memory_order_relaxed);
      ring->returned_count = 0;
      ring->stored = std::atomic_ref<uint32_t>(memory->head).load(std::memory_order_acquire);
      ring->claimed = oldest_unread(*ring);
    }
    if (ring->nr != nr) {
      error = -22;
    } else if (!reserve(*ring, ops)) {
      error = -11;
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

bool ring_expect(Ring& ring, uint32_t ops) {
  Hold hold(ring.lock);
  if (!reserve(ring, ops)) return false;
  ring.inflight += ops;
  return true;
}

void ring_count_program(Ring& ring) {
  Hold hold(ring.lock);
  ++ring.programs;
}

void ring_forget(Ring& ring, uint32_t ops, uint32_t programs) {
  bool unused;
  {
    Hold hold(ring.lock);
    ring.inflight -= ops;
    ring.programs -= programs;
    if (programs > 0) notify_waiters(ring);
    unused = is_unused(ring);
  }
  if (unused) maybe_retire(ring);
}

void ring_release_object(Ring& ring) {
  {
    Hold table(table_lock);
    Hold hold(ring.lock);
    --ring.objects;
  }
  maybe_retire(ring);
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
  if (ring->backlog_count > 0) backlogged.fetch_sub(1, std::memory_order_relaxed);
  free(ring->backlog);
  free(ring->returned);
  block_release(ring->block);
  free(ring);
}

bool ring_store(Ring& ring, uint64_t return_code, uint64_t cookie, Arena* pin, uint32_t programs) {
  bool unused, watched, backlog_begins = false;
  Arena* idle_pin = nullptr;
  {
    Hold hold(ring.lock);
    --ring.inflight;
    ring.programs -= programs;
    if (ring.memory != nullptr) {
      if (ring.backlog_count > 0) flush_locked(ring);
      if (ring.backlog_count == 0 && slot_is_free(ring)) {
        put(ring, {return_code, cookie});
      } else {
        uint32_t last = (ring.backlog_first + ring.backlog_count) & (ring.backlog_capacity - 1);
        ring.backlog[last] = {return_code, cookie};
        ++ring.overflows;
        overflows.fetch_add(1, std::memory_order_relaxed);
        if (ring.backlog_count++ == 0) {
          backlogged.fetch_add(1, std::memory_order_relaxed);
          backlog_begins = true;
          if (ring.backlog_pin == nullptr && pin != nullptr) {
            ring.backlog_pin = pin;
            pin->pins.fetch_add(1, std::memory_order_relaxed);  // the op's own pin is still there
          }
        }
      }
      idle_pin = take_idle_pin(ring);
    }
    notify_waiters(ring);
    watched = !ring.watchers.is_empty();
    unused = is_unused(ring) && !ring.core_owned;
  }
  if (idle_pin != nullptr) arena_unpin(*idle_pin);
  if (backlog_begins) {
    if (void (*tell)() = tell_of_backlog.load(std::memory_order_acquire)) tell();
  }
  if (unused) maybe_retire(ring);
  return watched;
}

void ring_notify_watchers(Ring& ring) {
  Hold hold(ring.lock);
  notify_watchers(ring);
}

bool ring_flush(Ring& ring) {
  bool remains;
  Arena* idle_pin;
  {
    Hold hold(ring.lock);
    uint64_t before = ring.stored;
    if (ring.memory != nullptr) flush_locked(ring);
    remains = ring.backlog_count > 0;
    idle_pin = take_idle_pin(ring);
    if (ring.stored != before) notify(ring);
  }
  if (idle_pin != nullptr) arena_unpin(*idle_pin);
  return remains;
}

bool rings_have_backlog() { return backlogged.load(std::memory_order_relaxed) > 0; }
void rings_on_backlog(void (*tell)()) { tell_of_backlog.store(tell, std::memory_order_release); }
uint64_t rings_overflows() { return overflows.load(std::memory_order_relaxed); }

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
        flush_locked(ring);
        moved |= ring.stored != before;
        if (ring.stored != before) notify(ring);
        if (ring.backlog_count == 0 && is_unused(ring) && retired_count < 16) retired[retired_count++] = &ring;
        if (Arena* pin = take_idle_pin(ring)) idle_pins[pin_count++] = pin;
      }
    }
  }
  for (uint32_t i = 0; i < pin_count; ++i) arena_unpin(*idle_pins[i]);
  for (uint32_t i = 0; i < retired_count; ++i) maybe_retire(*retired[i]);
  return moved;
}

uint32_t ring_drain(Ring& ring, acall_completion* into, uint32_t max) {
  uint32_t got = 0;
  Arena* idle_pin = nullptr;
  {
    Hold hold(ring.lock);
    for (; got < max && ring.returned_count > 0; ++got) {
      into[got] = ring.returned[ring.returned_first++];
      --ring.returned_count;
    }
    if (ring.memory == nullptr) return got;
    skip_overwritten(ring);
    while (got < max) {
      if (ring.claimed == ring.stored) {
        flush_locked(ring);
        if (ring.claimed == ring.stored) break;
      }
      uint64_t index = ring.claimed++;
      // acquire pairs with the release in put(); 0: a reader that uses memory alone has taken it.
      uint64_t cookie = cookie_at(ring, index).load(std::memory_order_acquire);
      if (cookie == 0) continue;
      into[got++] = {return_code_at(ring, index).load(std::memory_order_relaxed), cookie};
      // release: the slot is read before it is free; pairs with the acquire in slot_is_free().
      cookie_at(ring, index).store(0, std::memory_order_release);
    }
    if (ring.backlog_count > 0) flush_locked(ring);
    idle_pin = take_idle_pin(ring);
  }
  if (idle_pin != nullptr) arena_unpin(*idle_pin);
  return got;
}

bool ring_return(Ring& ring, const acall_completion* from, uint32_t count) {
  if (count == 0) return true;
  Hold hold(ring.lock);
  auto* grown =
      static_cast<acall_completion*>(seams.allocate((ring.returned_count + count) * sizeof(acall_completion)));
  if (grown == nullptr) return false;
  for (uint32_t i = 0; i < count; ++i) grown[i] = from[i];
  for (uint32_t i = 0; i < ring.returned_count; ++i) grown[count + i] = ring.returned[ring.returned_first + i];
  free(ring.returned);
  ring.returned = grown;
  ring.returned_first = 0;
  ring.returned_count += count;
  notify(ring);
  return true;
}

uint64_t ring_available(Ring& ring) {
  Hold hold(ring.lock);
  if (ring.memory != nullptr && ring.backlog_count > 0) flush_locked(ring);
  return available(ring);
}

uint64_t ring_overflows(Ring& ring) {
  Hold hold(ring.lock);
  return ring.overflows;
}

bool ring_is_awaited(Ring& ring) {
  Hold hold(ring.lock);
  return ring.inflight > 0 || available(ring) > 0;
}

uint32_t ring_count_since(Ring& ring, uint32_t tail, bool* full, uint32_t* programs) {
  Hold hold(ring.lock);
  if (ring.memory != nullptr && ring.backlog_count > 0) flush_locked(ring);
  *full = is_full(ring);
  if (programs != nullptr) *programs = ring.programs;
  int32_t count = static_cast<int32_t>(static_cast<uint32_t>(ring.stored) - tail);
  return count > 0 ? static_cast<uint32_t>(count) : 0;
}

bool ring_watch(Ring& ring, Environment& environment, uint64_t min) {
  ring_unwatch(ring, environment);
  void* room = seams.allocate(sizeof(RingWatcher));
  if (room == nullptr) return false;
  auto* watcher = new (room) RingWatcher{&environment, min, nullptr};
  Hold hold(ring.lock);
  ring.watchers.push(*watcher);
  ++environment.watches;
  notify(ring);
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
    // Counted before it is marked: complete() takes back what it finds marked.
    if (referenced) environment.keeping_alive.fetch_add(1, std::memory_order_acq_rel);
    bool changed =
        op.keeps_alive.compare_exchange_strong(expected, sequence | (referenced ? 1 : 0), std::memory_order_acq_rel);
    if (referenced != changed) environment.keeping_alive.fetch_sub(1, std::memory_order_acq_rel);
  });
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
          if (ring.backlog_count > 0) backlogged.fetch_sub(1, std::memory_order_relaxed);
          ring.backlog_count = 0;
          ring.memory = nullptr;
          lost = take_idle_pin(ring);
        }
      }
    }
    if (lost == nullptr) return;
    arena_unpin(*lost);  // takes arenas_lock; then we look for the next
  }
}

}  // namespace acall
