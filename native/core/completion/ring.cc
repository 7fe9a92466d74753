// One ring: its slots, its head, its backlog. See ring.h for who enters and what guards what.
#include "completion/ring.h"

#include <cstdlib>

#include "base/seams.h"
#include "completion/ring_parts.h"
#include "op/arenas.h"

namespace acall {

namespace {

std::atomic<uint32_t> backlogged{0};
std::atomic<uint64_t> overflows{0};
std::atomic<void (*)()> on_backlog{nullptr};

std::atomic_ref<uint64_t> return_code_at(Ring& ring, uint64_t index) {
  return std::atomic_ref<uint64_t>(ring.memory->comps[index % ring.nr].return_code);
}

void put(Ring& ring, const acall_completion& completion) {
  uint64_t index = ring.stored++;
  std::atomic_ref<uint32_t>(ring.memory->head).store(static_cast<uint32_t>(ring.stored), std::memory_order_release);
  return_code_at(ring, index).store(completion.return_code, std::memory_order_relaxed);
  // release: the return code is there before the cookie; pairs with the reader's acquire load of the cookie.
  ring_cookie_at(ring, index).store(completion.cookie, std::memory_order_release);
}

// Completions that lie further back than a whole ring have been taken by a reader that uses memory alone.
void skip_overwritten(Ring& ring) {
  if (ring.stored - ring.claimed > ring.nr) ring.claimed = ring.stored - ring.nr;
}

}  // namespace

bool ring_reserve(Ring& ring, uint32_t ops) {
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

void ring_move_backlog(Ring& ring) {
  while (ring.backlog_count > 0 && ring_slot_is_free(ring)) {
    put(ring, ring.backlog[ring.backlog_first]);
    ring.backlog_first = (ring.backlog_first + 1) & (ring.backlog_capacity - 1);
    if (--ring.backlog_count == 0) backlogged.fetch_sub(1, std::memory_order_relaxed);
  }
}

void ring_drop_backlog(Ring& ring) {
  if (ring.backlog_count > 0) backlogged.fetch_sub(1, std::memory_order_relaxed);
  ring.backlog_count = 0;
}

uint64_t ring_drainable(Ring& ring) {
  skip_overwritten(ring);
  return ring.stored - ring.claimed + ring.returned_count;
}

Arena* ring_take_idle_pin(Ring& ring) {
  if (ring.backlog_count > 0) return nullptr;
  Arena* pin = ring.backlog_pin;
  ring.backlog_pin = nullptr;
  return pin;
}

bool ring_expect(Ring& ring, uint32_t ops) {
  Hold hold(ring.lock);
  if (!ring_reserve(ring, ops)) return false;
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
    if (programs > 0) ring_wake_waiters(ring);
    unused = ring_is_unused(ring);
  }
  if (unused) ring_retire(ring);
}

bool ring_store(Ring& ring, uint64_t return_code, uint64_t cookie, Arena* pin, uint32_t programs) {
  bool unused, watched, backlog_begins = false;
  Arena* idle_pin = nullptr;
  {
    Hold hold(ring.lock);
    --ring.inflight;
    ring.programs -= programs;
    if (ring.memory != nullptr) {
      if (ring.backlog_count > 0) ring_move_backlog(ring);
      if (ring.backlog_count == 0 && ring_slot_is_free(ring)) {
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
            pin->pins.fetch_add(1, std::memory_order_relaxed);  // without arenas_lock: the op still has its pin
          }
        }
      }
      idle_pin = ring_take_idle_pin(ring);
    }
    ring_wake_waiters(ring);
    watched = !ring.watchers.is_empty();
    unused = ring_is_unused(ring) && !ring.core_owned;
  }
  if (idle_pin != nullptr) arena_unpin(*idle_pin);
  if (backlog_begins) {
    if (void (*notify)() = on_backlog.load(std::memory_order_acquire)) notify();
  }
  if (unused) ring_retire(ring);
  return watched;
}

bool rings_have_backlog() { return backlogged.load(std::memory_order_relaxed) > 0; }
void rings_on_backlog(void (*notify)()) { on_backlog.store(notify, std::memory_order_release); }
uint64_t rings_overflows() { return overflows.load(std::memory_order_relaxed); }

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
        ring_move_backlog(ring);
        if (ring.claimed == ring.stored) break;
      }
      uint64_t index = ring.claimed++;
      // acquire pairs with the release in put(). 0: a reader that uses memory alone has taken this completion.
      uint64_t cookie = ring_cookie_at(ring, index).load(std::memory_order_acquire);
      if (cookie == 0) continue;
      into[got++] = {return_code_at(ring, index).load(std::memory_order_relaxed), cookie};
      // release: the slot is read before it is free; pairs with the acquire in ring_slot_is_free().
      ring_cookie_at(ring, index).store(0, std::memory_order_release);
    }
    if (ring.backlog_count > 0) ring_move_backlog(ring);
    idle_pin = ring_take_idle_pin(ring);
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
  ring_notify(ring);
  return true;
}

uint64_t ring_available(Ring& ring) {
  Hold hold(ring.lock);
  if (ring.memory != nullptr && ring.backlog_count > 0) ring_move_backlog(ring);
  return ring_drainable(ring);
}

uint64_t ring_overflows(Ring& ring) {
  Hold hold(ring.lock);
  return ring.overflows;
}

bool ring_is_awaited(Ring& ring) {
  Hold hold(ring.lock);
  return ring.inflight > 0 || ring_drainable(ring) > 0;
}

uint32_t ring_count_since(Ring& ring, uint32_t tail, bool* full, uint32_t* programs) {
  Hold hold(ring.lock);
  if (ring.memory != nullptr && ring.backlog_count > 0) ring_move_backlog(ring);
  *full = ring_is_full(ring);
  if (programs != nullptr) *programs = ring.programs;
  int32_t count = static_cast<int32_t>(static_cast<uint32_t>(ring.stored) - tail);
  return count > 0 ? static_cast<uint32_t>(count) : 0;
}

}  // namespace acall
