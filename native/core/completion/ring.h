// Completion rings: slots, head, backlog. There is one record for each ring address while an op in flight, a backlog, a
// watcher or a JavaScript ring object names it; rings of the core have a record of their own. table_lock guards the
// table of records, and each record has a lock; the order is table, then ring. Entered by every thread that submits,
// completes, drains or waits, and by the supervisor while there is a backlog.
#ifndef ACALL_CORE_COMPLETION_RING_H_
#define ACALL_CORE_COMPLETION_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi.h"
#include "base/intrusive_list.h"
#include "base/sync.h"

namespace acall {

struct Arena;
struct Block;
struct Environment;
struct Waiter;

// A blocked thread that waits for `min` completions since index `tail`. Lies on the thread's stack, linked under the
// ring's lock.
struct RingWaiter {
  Waiter* waiter;
  uint32_t tail;
  uint32_t min;
  bool for_programs;  // the wait also ends when no program is pending
  RingWaiter* next;
};

// An event loop whose bell rings when `min` completions can be drained.
struct RingWatcher {
  Environment* environment;
  uint64_t min;
  RingWatcher* next;
};

struct Ring {
  Ring* next = nullptr;  // in a bucket or the free list; guarded by table_lock
  uint32_t objects = 0;  // JavaScript ring objects; changed under both locks

  Lock lock;                                // guards all below that is not atomic
  acall_completion_ring* memory = nullptr;  // nullptr: the memory died with its environment, completions are dropped
  uintptr_t address = 0;
  uint32_t nr = 0;
  uint32_t inflight = 0;                // ops that will store here
  uint32_t programs = 0;                // how many of them are programs
  uint64_t stored = 0;                  // index of the next completion; the first is the head that was found
  uint64_t claimed = 0;                 // next index that drain() reads
  uint64_t overflows = 0;               // completions that have gone to the backlog
  acall_completion* backlog = nullptr;  // circular, capacity a power of two, reserved at submit
  uint32_t backlog_capacity = 0;
  uint32_t backlog_first = 0;
  uint32_t backlog_count = 0;
  Arena* backlog_pin = nullptr;          // keeps the memory while the backlog is not empty
  acall_completion* returned = nullptr;  // given back by a drain whose visitor ended it; drained first
  uint32_t returned_first = 0;
  uint32_t returned_count = 0;
  Stack<RingWaiter> waiters;
  Stack<RingWatcher> watchers;
  Block* block = nullptr;                 // core-owned memory
  std::atomic<bool> unreferenced{false};  // ops that name the ring do not keep the event loop alive
  bool core_owned = false;  // of the promise layer: every completion rings the bell of the submitting environment
};

enum class RingUse {
  kOps,          // ops that will complete there
  kObject,       // a JavaScript ring object over a ring that may be in use
  kFreshObject,  // the same over memory just allocated: a record with this address begins anew
};

// Finds or makes the record for the ring at `address` and counts `ops` ops, or an object. The caller has read `nr` once
// from the ring and checked it against the arena. -EINVAL: `nr` is 0 or differs from the record's; -EAGAIN: no memory.
int ring_acquire(uint64_t address, uint32_t nr, uint32_t ops, RingUse use, Ring** ring);
// Counts ops that will complete in a core-owned ring. False: no memory.
bool ring_expect(Ring& ring, uint32_t ops);
// Counts one of the ops that were counted as a program too.
void ring_count_program(Ring& ring);
// Takes back ops that were counted and will not store here after all; `programs` of them are programs.
void ring_forget(Ring& ring, uint32_t ops, uint32_t programs = 0);
void ring_release_object(Ring& ring);
// On the environment's thread, for a JavaScript ring object: as ring_acquire(). -EFAULT: the ring does not lie whole in
// an arena of the environment. `fresh`: over memory just allocated.
int ring_open(Environment& environment, uint64_t address, bool fresh, Ring** ring);
// Makes a ring of `nr` slots in memory of the core. nullptr: no memory.
Ring* ring_make_core_owned(uint32_t nr);
void ring_destroy_core_owned(Ring* ring);

// Stores one completion in a slot or in the backlog; none is lost. `pin`: the op's pin of the arena that contains the
// ring. Returns whether event loops watch the ring: the caller calls ring_notify_watchers() when the op is done.
bool ring_store(Ring& ring, uint64_t return_code, uint64_t cookie, Arena* pin, uint32_t programs = 0);
void ring_notify_watchers(Ring& ring);

// Called by the supervisor: moves completions from the backlogs of all rings to free slots. Returns whether a
// completion has been stored.
bool rings_flush();
bool rings_have_backlog();
// `notify` is called, on any thread, when a ring begins to have a backlog: from then on rings_flush() must be called
// again and again.
void rings_on_backlog(void (*notify)());
// Completions that have ever gone to a backlog.
uint64_t rings_overflows();

// Copies up to `max` completions, oldest first, and frees their slots. Each completion goes to exactly one caller.
uint32_t ring_drain(Ring& ring, acall_completion* into, uint32_t max);
// Gives back the last `count` completions of a ring_drain(), in their order; they are drained again. False: no memory.
bool ring_return(Ring& ring, const acall_completion* from, uint32_t count);

// How many completions can be drained now.
uint64_t ring_available(Ring& ring);
// How many completions have gone to the ring's backlog.
uint64_t ring_overflows(Ring& ring);
// Whether a completion can be drained or will come.
bool ring_is_awaited(Ring& ring);
// Returns how many completions have been stored since index `tail`: (int32)(stored - tail), at least 0. *full: no more
// can be stored before slots are freed. *programs: how many programs are pending. Does not wait.
uint32_t ring_count_since(Ring& ring, uint32_t tail, bool* full, uint32_t* programs = nullptr);

// On the environment's thread: its bell rings when `min` completions can be drained or the ring is full; replaces an
// earlier call. False: no memory, and the environment does not watch the ring.
bool ring_watch(Ring& ring, Environment& environment, uint64_t min);
void ring_unwatch(Ring& ring, Environment& environment);

// On the environment's thread: whether ops that name the ring keep the event loop alive, those in flight included.
void ring_set_referenced(Ring& ring, Environment& environment, bool referenced);

// Called as an environment ends: removes its watchers, and marks rings as dead whose memory dies with it.
void rings_environment_ended(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_RING_H_
