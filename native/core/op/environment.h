// One JavaScript environment (main thread or Worker) as the core sees it: where its bell is, what it has in flight,
// which memory it registered. Attached by the binding, detached in its clean-up hook; the record itself lives until its
// last op is complete (`references`), so a completing thread can always look at it.
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
  // The environment's thread, under arenas_lock: keep the arena's bytes from the collector, or stop to. False: too
  // late.
  bool (*hold_arena)(void* context, void* holder, bool hold) = nullptr;
  // Likewise: the arena is gone and its holder with it.
  void (*free_holder)(void* context, void* holder) = nullptr;
  // The environment's thread, as it ends, when nothing more is stored in the promise ring: results that JavaScript has
  // not taken are to be disposed of.
  void (*drop_results)(void* context) = nullptr;
};

struct Environment {
  EnvironmentHooks hooks;
  Lock liveness;  // guards alive and the bell
  bool alive = true;
  std::atomic<bool> bell_pending{false};
  std::atomic<uint32_t> references{1};     // 1 while attached, and one per op in flight
  std::atomic<uint32_t> keeping_alive{0};  // ops in flight that keep the event loop alive
  bool is_kept_anew = false;               // see environment_is_kept_anew()
  uint32_t watches = 0;                    // rings that are to ring its bell; the environment's thread only
  Arena** arenas = nullptr;                // sorted by begin; guarded by the arenas lock
  uint32_t arena_count = 0;
  uint32_t arena_capacity = 0;
  Ring* promise_ring = nullptr;
  LinkedList<OpenHandle, &OpenHandle::links> handles;  // open files of its FileHandles; guarded in handle.cc
  Environment* next = nullptr;                         // list of attached ones, guarded by the environments lock
};

// `promise_ring` (may be null) becomes the environment's and goes with its last op.
Environment* environment_attach(const EnvironmentHooks& hooks, Ring* promise_ring = nullptr);

// It is one of the attached ones no more: what follows is environment_end.h.
void environment_unlist(Environment& environment);

// On its thread: no op of it is in flight and nothing pins its memory; its detach waits for nothing.
bool environment_is_idle(Environment& environment);

// Rings the bell unless it has been rung since the last turn. Any thread that holds a reference.
void environment_bell(Environment& environment);
// What the event loop does first in its turn: from here on a new bell rings again; arenas without pins are let go.
void environment_turn(Environment& environment);

// The attached environments. Lock order: environments_lock, then arenas_lock.
extern Lock environments_lock;
extern Stack<Environment> environments;  // guarded by environments_lock

// Any thread: rings every environment's bell.
void environments_bell();

// What holds the environment's objects in JavaScript, and its event loop. All on its thread.
//
// False: surely nothing has begun since environment_is_awaited() returned false. Costs nothing.
inline bool environment_may_be_awaited(const Environment& environment) {
  return environment.watches > 0 || environment.references.load(std::memory_order_acquire) > 1 ||
         environment.bell_pending.load(std::memory_order_seq_cst);
}
// Whether ops that keep the event loop alive have been submitted since this was asked last. They may be complete
// meanwhile: their turn is still to come.
inline bool environment_is_kept_anew(Environment& environment) {
  return std::exchange(environment.is_kept_anew, false);
}
// Whether the event loop must go on: for ops in flight, or for a turn that is still to come.
inline bool environment_keeps_loop(const Environment& environment) {
  return environment.keeping_alive.load(std::memory_order_seq_cst) > 0 ||
         environment.bell_pending.load(std::memory_order_seq_cst);
}
// Something that is no op keeps the loop alive, or does not any more.
void environment_hold_loop(Environment& environment, bool hold);

inline void environment_reference(Environment& environment, uint32_t count) {
  environment.references.fetch_add(count, std::memory_order_relaxed);
}
// No op of it is in flight.
inline bool environment_is_only_attached(const Environment& environment) {
  return environment.references.load(std::memory_order_acquire) == 1;
}
// On the environment's thread: so many more ops keep its loop alive.
inline void environment_keep_alive(Environment& environment, uint32_t ops) {
  environment.keeping_alive.fetch_add(ops, std::memory_order_relaxed);
  if (ops > 0) environment.is_kept_anew = true;
}

// Serialises an ending environment that rewrites the sinks of its running ops with the threads that come back from
// them.
extern Lock abandon_lock;

// Called by the thread that ran an op whose kAbandoned bit was set, before it looks at the sinks: they may be about to
// be dropped. True: nobody can see the result any more, and it is to be disposed of when the op is complete.
bool environment_settle_abandoned(Operation& op);

}  // namespace acall

#endif  // ACALL_CORE_OP_ENVIRONMENT_H_
