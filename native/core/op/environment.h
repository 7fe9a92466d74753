// One JavaScript environment (main thread or Worker): its bell, the number of its ops in flight, its arenas and its
// open files. The binding attaches it, and a clean-up hook ends it: see environment_end.h. The record lives until the
// last op is complete (`references`), so that a completing thread can always read it. Each function says which threads
// enter; each field that several threads touch is atomic or names its lock.
#ifndef ACALL_CORE_OP_ENVIRONMENT_H_
#define ACALL_CORE_OP_ENVIRONMENT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/intrusive_list.h"
#include "base/sync.h"
#include "op/handle.h"
#include "op/operation.h"

namespace acall {

struct Arena;
struct Ring;

struct EnvironmentHooks {
  void* context = nullptr;
  // Any thread, under the liveness lock: asks the event loop to call environment_turn() soon.
  void (*ring_bell)(void* context) = nullptr;
  // The environment's thread, under arenas_lock: begins or ends to keep the arena's bytes from the collector. False:
  // the collector has taken the object already.
  bool (*hold_arena)(void* context, void* holder, bool hold) = nullptr;
  // Likewise: the arena is gone, and its holder is to be freed.
  void (*free_holder)(void* context, void* holder) = nullptr;
  // The environment's thread, as it ends, when nothing more is stored in the promise ring: disposes of results that
  // JavaScript has not taken.
  void (*drop_results)(void* context) = nullptr;
};

struct Environment {
  EnvironmentHooks hooks;
  Lock liveness;  // guards `alive` and the call of ring_bell()
  bool alive = true;
  std::atomic<bool> bell_pending{false};
  std::atomic<uint32_t> references{1};     // 1 while attached, and one per op in flight
  std::atomic<uint32_t> keeping_alive{0};  // ops in flight that keep the event loop alive
  bool is_kept_anew = false;  // see environment_is_kept_anew(); the environment's thread only, as the next one
  uint32_t watches = 0;       // rings that are to ring its bell
  Arena** arenas = nullptr;   // sorted by begin; guarded by arenas_lock, as the next two
  uint32_t arena_count = 0;
  uint32_t arena_capacity = 0;
  Ring* promise_ring = nullptr;
  LinkedList<OpenHandle, &OpenHandle::links> handles;  // open files of its FileHandles; guarded by handles_lock
  Environment* next = nullptr;                         // among the attached ones; guarded by environments_lock
};

// `promise_ring` (may be null) belongs to the environment from here on and is destroyed with the record.
Environment* environment_attach(const EnvironmentHooks& hooks, Ring* promise_ring = nullptr);

// Removes the environment from the attached ones. environment_end.h has the rest of its end.
void environment_unlist(Environment& environment);

// On its thread: no op of the environment is in flight and nothing pins its memory, so that its end waits for nothing.
bool environment_is_idle(Environment& environment);

// Rings the bell unless it has been rung since the last turn. Any thread that has a reference.
void environment_bell(Environment& environment);
// On the environment's thread: a bell has rung since the last turn. One that rings after this asks for another turn.
inline bool environment_bell_is_pending(const Environment& environment) {
  return environment.bell_pending.load(std::memory_order_seq_cst);  // pairs with environment_bell()
}
// The event loop's thread calls this first in a turn: from here on the bell can ring again. Lets go of arenas without
// pins.
void environment_turn(Environment& environment);

// The attached environments. Lock order: environments_lock, then arenas_lock.
extern Lock environments_lock;
extern Stack<Environment> environments;  // guarded by environments_lock

// Any thread: rings every environment's bell.
void environments_bell();

// The next functions say how long the environment's objects in JavaScript and its event loop are kept alive. All on its
// thread.
//
// A cheap check when environment_is_awaited() was false a moment ago. False: nothing has begun since.
inline bool environment_may_be_awaited(const Environment& environment) {
  return environment.watches > 0 || environment.references.load(std::memory_order_acquire) > 1 ||
         environment.bell_pending.load(std::memory_order_seq_cst);
}
// Whether ops that keep the event loop alive have been submitted since the last call. They may be complete by now; the
// turn that brings their results is still to come.
inline bool environment_is_kept_anew(Environment& environment) {
  return std::exchange(environment.is_kept_anew, false);
}
// Whether the event loop must go on: for ops in flight, or for a turn that is still to come.
inline bool environment_keeps_loop(const Environment& environment) {
  return environment.keeping_alive.load(std::memory_order_seq_cst) > 0 ||
         environment.bell_pending.load(std::memory_order_seq_cst);
}
// Begins or ends to keep the event loop alive for something that is no op.
void environment_hold_loop(Environment& environment, bool hold);
// On the thread of the op's environment: the op no longer keeps the event loop alive.
void environment_let_go(const acall_id& id);

inline void environment_reference(Environment& environment, uint32_t count) {
  environment.references.fetch_add(count, std::memory_order_relaxed);
}
// Whether no op of the environment is in flight.
inline bool environment_is_only_attached(const Environment& environment) {
  return environment.references.load(std::memory_order_acquire) == 1;
}
// On the environment's thread: counts `ops` more ops that keep its event loop alive.
inline void environment_keep_alive(Environment& environment, uint32_t ops) {
  environment.keeping_alive.fetch_add(ops, std::memory_order_relaxed);
  if (ops > 0) environment.is_kept_anew = true;
}

// Guards the sinks of running ops while their environment ends: its thread drops the sinks under this lock, and the
// thread that ends an op with kAbandoned reads them under it.
extern Lock abandon_lock;

// Called for an op with kAbandoned, by the thread that ends it, before it reads the sinks. True: nobody can see the
// result any more, and what it carries is to be disposed of.
bool environment_settle_abandoned(Operation& op);

}  // namespace acall

#endif  // ACALL_CORE_OP_ENVIRONMENT_H_
