// The steps of an environment's end: heirs of its memory, abandoned ops, dead rings. See environment_end.h.
#include "environment/environment_end.h"

#include <sched.h>
#include <time.h>

#include "base/seams.h"
#include "base/watchdog.h"
#include "completion/environment_results.h"
#include "completion/ring.h"
#include "environment/process_end.h"
#include "op/arenas.h"
#include "op/handle.h"
#include "threads/cancel.h"

namespace acall {

namespace {

constexpr uint64_t kDetachWaitNs = 50'000'000;  // spec: the end of a Worker waits no longer
constexpr uint64_t kJoinLookNs = 5'000'000;     // latency of a Worker's end; a reading of /proc takes some 10 us

void pause_ns(long nanoseconds) {
  timespec span{0, nanoseconds};
  nanosleep(&span, nullptr);
}

// Visits ops of the environment that are not complete. The record may be used for another op meanwhile: act on it by
// its sequence number only.
template <typename Visitor>
void each_op(Environment& environment, Visitor visit) {
  operation_table().each_live([&](Operation& op, uint64_t state) {
    if (op.environment.load(std::memory_order_relaxed) == &environment) visit(op, state >> kStateBits);
  });
}

// Finds an arena of another environment over the same bytes and pins it. That environment holds the bytes in its next
// turn, unless it does already. nullptr: there is none. Under arenas_lock and environments_lock.
Arena* find_heir(const Arena& arena) {
  for (Environment& other : environments) {
    if (&other == arena.environment) continue;
    Arena* same = arena_find(other, arena.begin, arena.end - arena.begin);
    if (same == nullptr) continue;
    same->pins.fetch_add(1, std::memory_order_relaxed);
    if (!same->held) environment_bell(other);
    return same;
  }
  return nullptr;
}

// Finds heirs for the pinned arenas. Returns whether there is an heir that does not hold the bytes yet.
bool find_heirs(Environment& environment) {
  Arena* useless = nullptr;
  bool waiting = false;
  {
    Hold list(environments_lock);
    Hold hold(arenas_lock);
    for (uint32_t i = 0; i < environment.arena_count; ++i) {
      Arena* arena = environment.arenas[i];
      if (arena->pins.load(std::memory_order_acquire) == 0) continue;
      if (arena->heir != nullptr && !arena->heir->held && (arena->heir->collected || !arena->heir->registered)) {
        useless = arena->heir;  // its environment has dropped or lost the bytes; one at a time, the caller comes back
        arena->heir = nullptr;
        waiting = true;
        break;
      }
      if (arena->heir == nullptr) arena->heir = find_heir(*arena);
      waiting |= arena->heir != nullptr && !arena->heir->held;
    }
  }
  if (useless != nullptr) arena_unpin(*useless);
  return waiting;
}

// Abandons an op in the kernel: takes the sinks that die with `ending` from it. The op is one of `ending`, or of an
// earlier environment whose memory has its heir in this one. False: the op must be waited for. `last`: the process ends
// with the environment, and it does not matter what the kernel writes into its memory. Under abandon_lock.
bool abandon(Operation& op, uint64_t sequence, Environment& ending, bool last) {
  uint64_t state = op.state.load(std::memory_order_acquire);
  do {
    if (state >> kStateBits != sequence || (state & kDone)) return true;
    // Ops of these kinds stay in the queue, run later and touch nothing of the environment.
    bool waits =
        (state & kQueued) && (op.kind().runs_cancelled || (op.facts.load(std::memory_order_relaxed) & kOpDetached));
    if (!(state & kRunning) && !waits) return false;  // the op is about to complete
  } while (!op.state.compare_exchange_weak(state, state | kAbandoned, std::memory_order_acq_rel));
  // From here on the thread that ends the op cannot pass environment_settle_abandoned(): pins and sinks stay.
  Hold hold(arenas_lock);
  bool depends = op.environment.load(std::memory_order_relaxed) == &ending;
  bool all_live = true;
  each_pin(op.call, [&](Arena& arena) {
    ArenaStanding standing = arena_standing(arena, ending);
    depends |= standing.depends;
    all_live &= standing.lives;
  });
  if (!depends) return true;
  const bool kernel_holds = (state & kRunning) && (op.facts.load(std::memory_order_relaxed) & kOpKernelHoldsArena);
  if (kernel_holds && !all_live) {
    if (!last) return false;
    op.facts.fetch_or(kOpMemoryGone, std::memory_order_relaxed);
  }
  auto survives = [&](uint64_t address) {
    bool found = false;
    each_pin(op.call, [&](Arena& arena) {
      found |= address >= arena.begin && address < arena.end && arena_standing(arena, ending).lives;
    });
    return found;
  };
  if (op.slot != nullptr && !survives(reinterpret_cast<uint64_t>(op.slot))) op.slot = nullptr;
  Ring* ring = op.ring.load(std::memory_order_relaxed);
  if (ring != nullptr && (ring->core_owned || !survives(ring->address))) {
    op.ring.store(nullptr, std::memory_order_relaxed);
    ring_forget(*ring, 1, op.kind().is_awaited ? 1 : 0);
  }
  if (!all_live) op.facts.fetch_or(kOpDropCopies, std::memory_order_relaxed);
  return true;
}

// Abandons every op that can be abandoned; with `last`, every op in the kernel. Returns whether the environment must
// wait for an op.
bool abandon_all(Environment& environment, bool last) {
  find_heirs(environment);
  bool left = false;
  Hold hold(abandon_lock);
  operation_table().each_live([&](Operation& op, uint64_t state) {
    if (op.environment.load(std::memory_order_relaxed) != &environment && !(state & kAbandoned)) return;
    if (!abandon(op, state >> kStateBits, environment, last)) left = true;
  });
  return left;
}

}  // namespace

void environment_detach(Environment* environment, bool process_end) {
  environment_begin_end(*environment);
  environment_end(environment, process_end, environment_end_deadline_ns(process_end));
}

bool environment_detach_if_idle(Environment* environment) {
  if (!environment_is_idle(*environment)) return false;
  environment_detach(environment, false);
  return true;
}

void environment_begin_end(Environment& environment) {
  environment_unlist(environment);
  environment_cancel_all(environment);
}

uint64_t environment_end_deadline_ns(bool process_end) { return seams.now_ns() + (process_end ? 0 : kDetachWaitNs); }

void environment_end(Environment* environment, bool process_end, uint64_t deadline_ns) {
  [[maybe_unused]] const WatchedCode watched;
  watchdog_loop_ends();
  if (!process_end) handles_environment_ended(*environment);
  arenas_forget_kept(*environment);
  for (bool heir_is_asked = find_heirs(*environment); !environment_is_only_attached(*environment) || heir_is_asked;) {
    if (seams.now_ns() >= deadline_ns) break;
    pause_ns(100'000);
    heir_is_asked = find_heirs(*environment);
  }
  // Ops that have returned from the kernel complete in a moment. Ops with memory that dies here are waited for.
  uint64_t look_ns = seams.now_ns() + kJoinLookNs;
  while (abandon_all(*environment, process_end)) {
    pause_ns(200'000);
    if (process_end || seams.now_ns() < look_ns) continue;
    process_end = process_waits_for_this_thread();
    look_ns = seams.now_ns() + kJoinLookNs;
  }
  if (!process_end && environment->hooks.drop_results) environment->hooks.drop_results(environment->hooks.context);
  rings_environment_ended(*environment);
  arenas_orphan(*environment);
  {
    Hold hold(environment->liveness);
    environment->alive = false;
  }
  environment_release(*environment);
}

void environment_cancel_all(Environment& environment) {
  each_op(environment, [](Operation& op, uint64_t sequence) {
    if (!(op.facts.load(std::memory_order_relaxed) & kOpDetached)) cancel_operation(op, sequence);
  });
}

}  // namespace acall
