// The records of environments. See environment.h.
#include "op/environment.h"

#include <new>

#include "base/seams.h"
#include "base/watchdog.h"
#include "op/arenas.h"

namespace acall {

Lock environments_lock;
Stack<Environment> environments;
Lock abandon_lock;

Environment* environment_attach(const EnvironmentHooks& hooks, Ring* promise_ring) {
  void* memory = seams.allocate(sizeof(Environment));
  if (memory == nullptr) return nullptr;
  Environment* environment = new (memory) Environment();
  environment->hooks = hooks;
  environment->promise_ring = promise_ring;
  watchdog_loop_begins();
  Hold hold(environments_lock);
  environments.push(*environment);
  return environment;
}

void environment_unlist(Environment& environment) {
  Hold hold(environments_lock);
  environments.remove(environment);
}

bool environment_is_idle(Environment& environment) {
  if (!environment_is_only_attached(environment)) return false;
  Hold hold(arenas_lock);
  for (uint32_t i = 0; i < environment.arena_count; ++i) {
    if (environment.arenas[i]->pins.load(std::memory_order_acquire) != 0) return false;
  }
  return true;
}

void environment_bell(Environment& environment) {
  // seq_cst, as the exchange in environment_turn(): when the bell is still pending here, the turn that clears it later
  // sees everything that this thread has done before.
  if (environment.bell_pending.load(std::memory_order_seq_cst)) return;
  if (environment.bell_pending.exchange(true, std::memory_order_seq_cst)) return;
  Hold hold(environment.liveness);
  if (environment.alive && environment.hooks.ring_bell) environment.hooks.ring_bell(environment.hooks.context);
}

void environments_bell() {
  Hold hold(environments_lock);
  for (Environment& each : environments) environment_bell(each);
}

void environment_let_go(const acall_id& id) {
  Operation* op;
  uint64_t sequence;
  if (operation_table().find(id, &op, &sequence) != OperationTable::Found::kLive) return;
  Environment* environment = op->environment.load(std::memory_order_relaxed);
  uint64_t keeps = (sequence << kStateBits) | 1;
  // Only one of this and complete() finds the mark and counts down. seq_cst: see environment_bell().
  if (op->keeps_alive.compare_exchange_strong(keeps, sequence << kStateBits, std::memory_order_acq_rel) &&
      environment->keeping_alive.fetch_sub(1, std::memory_order_seq_cst) == 1) {
    environment_bell(*environment);
  }
}

void environment_hold_loop(Environment& environment, bool hold) {
  if (hold) {
    environment_keep_alive(environment, 1);
  } else {
    environment.keeping_alive.fetch_sub(1, std::memory_order_seq_cst);
  }
}

void environment_turn(Environment& environment) {
  environment.bell_pending.exchange(false, std::memory_order_seq_cst);
  arenas_settle(environment);
}

bool environment_settle_abandoned(Operation& op) {
  bool seen;
  {
    Hold hold(abandon_lock);
    seen = op.slot != nullptr || op.ring.load(std::memory_order_relaxed) != nullptr;
  }
  return !seen && !(op.facts.load(std::memory_order_relaxed) & kOpMemoryGone);
}

}  // namespace acall
