// Environments. See environment.h.
#include "environment.h"

#include <cerrno>
#include <cstdlib>
#include <new>
#include <sched.h>
#include <time.h>

#include "arenas.h"
#include "block.h"
#include "cancel.h"
#include "complete.h"
#include "engine.h"
#include "ring.h"
#include "seams.h"

namespace acall {

namespace {

constexpr uint64_t kDetachWaitNs = 50'000'000;

Lock environments_lock;
Environment* environments;  // guarded by environments_lock

// Serialises an ending environment that rewrites the sinks of its running ops with the threads that come back from them.
Lock abandon_lock;

void pause_ns(long nanoseconds) {
  timespec span{0, nanoseconds};
  nanosleep(&span, nullptr);
}

// Visits the environment's ops that are not complete.
template <typename Visitor>
void each_op(Environment& environment, Visitor visit) {
  engine_table().each_live([&](Operation& op) {
    if (op.environment.load(std::memory_order_relaxed) == &environment) visit(op);
  });
}

bool only_attached(const Environment& environment) {
  return environment.references.load(std::memory_order_acquire) == 1;
}

// Another live environment with the same bytes whose binding holds them already. Under arenas_lock and environments_lock.
Arena* find_heir(const Arena& arena) {
  for (Environment* other = environments; other != nullptr; other = other->next) {
    if (other == arena.environment) continue;
    Arena* same = arena_find(*other, arena.begin, arena.end - arena.begin);
    if (same == nullptr) continue;
    if (same->held) {
      same->pins.fetch_add(1, std::memory_order_relaxed);
      return same;
    }
    same->wanted_by_heir = true;
    environment_bell(*other);  // its turn holds the bytes; we ask again
  }
  return nullptr;
}

void find_heirs(Environment& environment) {
  Hold list(environments_lock);
  Hold hold(arenas_lock);
  for (uint32_t i = 0; i < environment.arena_count; ++i) {
    Arena* arena = environment.arenas[i];
    if (arena->pins.load(std::memory_order_acquire) > 0 && arena->heir == nullptr) arena->heir = find_heir(*arena);
  }
}

template <typename Visitor>
void each_pin(Operation& op, Visitor visit) {
  for (uint32_t i = 0; i < op.pin_count; ++i) visit(*op.pins[i]);
  for (uint32_t i = 0; i < op.more_pin_count; ++i) visit(*op.more_pins[i]);
}

bool survives(Operation& op, uint64_t address) {
  bool found = false;
  each_pin(op, [&](Arena& arena) { found |= arena.heir != nullptr && address >= arena.begin && address < arena.end; });
  return found;
}

// Under abandon_lock. False: the op has returned from the kernel meanwhile, and completes any moment now.
bool abandon(Operation& op) {
  uint64_t state = op.state.load(std::memory_order_acquire);
  do {
    if (!(state & kRunning)) return false;
  } while (!op.state.compare_exchange_weak(state, state | kAbandoned, std::memory_order_acq_rel));
  uint32_t facts = 0;
  if (op.slot != nullptr && !survives(op, reinterpret_cast<uint64_t>(op.slot))) op.slot = nullptr;
  if (op.ring != nullptr && (op.ring->core_owned || !survives(op, op.ring->address))) facts |= kOpDropRing;
  bool all_survive = true;
  each_pin(op, [&](Arena& arena) { all_survive &= arena.heir != nullptr; });
  if (!all_survive) facts |= kOpDropCopies;
  op.facts.fetch_or(facts, std::memory_order_relaxed);
  return true;
}

// True when the kernel may write to memory that dies with the environment.
bool holds_dying_memory(Operation& op) {
  if (!(op.facts.load(std::memory_order_relaxed) & kOpKernelHoldsArena)) return false;
  if (!(op.state.load(std::memory_order_acquire) & kRunning)) return false;
  bool dying = false;
  each_pin(op, [&](Arena& arena) { dying |= arena.heir == nullptr; });
  return dying;
}

// Abandons what can be abandoned. Returns whether something is left that must be waited for.
bool abandon_all(Environment& environment) {
  find_heirs(environment);
  bool left = false;
  Hold hold(abandon_lock);
  each_op(environment, [&](Operation& op) {
    uint64_t state = op.state.load(std::memory_order_acquire);
    if (state & kAbandoned) return;
    if (!(state & kRunning) || holds_dying_memory(op) || !abandon(op)) left = true;
  });
  return left;
}

// The records stay until the binding drops its registrations and the last pin goes.
void orphan_arenas(Environment& environment) {
  Hold hold(arenas_lock);
  for (uint32_t i = 0; i < environment.arena_count; ++i) environment.arenas[i]->orphan = true;
  environment.arena_count = environment.arena_capacity = 0;
  free(environment.arenas);
  environment.arenas = nullptr;
}

}  // namespace

Environment* environment_attach(const EnvironmentHooks& hooks, Ring* promise_ring) {
  void* memory = seams.allocate(sizeof(Environment));
  if (memory == nullptr) return nullptr;
  Environment* environment = new (memory) Environment();
  environment->hooks = hooks;
  environment->promise_ring = promise_ring;
  Hold hold(environments_lock);
  environment->next = environments;
  environments = environment;
  return environment;
}

void environment_detach(Environment* environment, bool process_end) {
  {
    Hold hold(environments_lock);
    for (Environment** link = &environments; *link != nullptr; link = &(*link)->next) {
      if (*link != environment) continue;
      *link = environment->next;
      break;
    }
  }
  each_op(*environment, [](Operation& op) { cancel_operation(op, op.sequence()); });
  const uint64_t deadline_ns = seams.now_ns() + (process_end ? 0 : kDetachWaitNs);
  while (!only_attached(*environment) && seams.now_ns() < deadline_ns) pause_ns(100'000);
  // Ops that are past the kernel complete in a moment; those that hold memory dying with us are waited for.
  while (!only_attached(*environment) && abandon_all(*environment)) {
    if (process_end && seams.now_ns() > deadline_ns + kDetachWaitNs) break;
    pause_ns(200'000);
  }
  rings_environment_ended(*environment);
  orphan_arenas(*environment);
  {
    Hold hold(environment->liveness);
    environment->alive = false;
  }
  environment_release(*environment);
}

void environment_bell(Environment& environment) {
  if (environment.bell_pending.load(std::memory_order_relaxed)) return;
  // acq_rel: what was stored before the bell is seen by the turn that clears it (environment_turn).
  if (environment.bell_pending.exchange(true, std::memory_order_acq_rel)) return;
  Hold hold(environment.liveness);
  if (environment.alive && environment.hooks.ring_bell) environment.hooks.ring_bell(environment.hooks.context);
}

void environment_turn(Environment& environment) {
  environment.bell_pending.exchange(false, std::memory_order_acq_rel);
  arenas_settle(environment);
}

void environment_release(Environment& environment) {
  if (environment.references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (environment.promise_ring != nullptr) ring_destroy_core_owned(environment.promise_ring);
  free(&environment);
}

void environment_settle_abandoned(Operation& op, int64_t return_code) {
  bool seen;
  {
    Hold hold(abandon_lock);
    bool ring_lives = op.ring != nullptr && !(op.facts.load(std::memory_order_relaxed) & kOpDropRing);
    seen = op.slot != nullptr || ring_lives;
  }
  if (!seen) dispose_result(op, return_code);
}

}  // namespace acall
