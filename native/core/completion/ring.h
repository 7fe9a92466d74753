// Completion rings: slots, head, backlog. A record exists per ring address while an op in flight, a backlog or a
// JavaScript ring object names it. The table of records is guarded by its lock, a record by its own; order: table, then
// ring. Entered by every thread that submits, completes, drains or waits, and by the supervisor while a backlog exists.
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

// A blocked thread that wants `min` completions since index `tail`. Lives on its stack, linked under the ring's lock.
struct RingWaiter {
  Waiter* waiter;
  uint32_t tail;
  uint32_t min;
  bool for_programs;  // also content when no program is pending
  RingWaiter* next;
};

// An event loop that wants to hear when `min` completions can be drained.
struct RingWatcher {
  Environment* environment;
  uint64_t min;
  RingWatcher* next;
};

struct Ring {
  Ring* next = nullptr;  // bucket or free list; guarded by the table's lock
  uint32_t objects = 0;  // JavaScript ring objects; changed under both locks

  Lock lock;                                // guards all below
  acall_completion_ring* memory = nullptr;  // nullptr: the memory died with its environment, completions are dropped
  uintptr_t address = 0;
  uint32_t nr = 0;
  uint32_t inflight = 0;                // ops that will store here
  uint32_t programs = 0;                // those of them that are programs
  uint64_t stored = 0;                  // completions stored since the head found at first: the next index
  uint64_t claimed = 0;                 // next index that drain() looks at
  uint64_t overflows = 0;               // completions that had to wait in the backlog
  acall_completion* backlog = nullptr;  // circular, capacity a power of two, reserved at submit
  uint32_t backlog_capacity = 0;
  uint32_t backlog_first = 0;
  uint32_t backlog_count = 0;
  Arena* backlog_pin = nullptr;          // keeps the memory while the backlog is not empty
  acall_completion* returned = nullptr;  // claimed by a drain that was ended by its visitor; served first
  uint32_t returned_first = 0;
  uint32_t returned_count = 0;
  Stack<RingWaiter> waiters;
  Stack<RingWatcher> watchers;
  Block* block = nullptr;                 // core-owned memory
  std::atomic<bool> unreferenced{false};  // ops naming it do not keep the event loop alive
  bool core_owned = false;  // the promise layer's: the memory is ours, every completion rings the submitter's bell
};

enum class RingUse {
  kOps,          // ops that will complete there
  kObject,       // a JavaScript ring object over a ring that may be in use
  kFreshObject,  // the same over memory just allocated: what a stale record remembers of this address is forgotten
};

// Finds or makes the record for the ring at `address` and counts `ops` ops, or an object. `nr` is what the caller has
// read once from the ring and checked against the arena. -EINVAL: it is 0 or differs from the record's; -EAGAIN: no
// memory.
int ring_acquire(uint64_t address, uint32_t nr, uint32_t ops, RingUse use, Ring** ring);
// Counts ops that will complete in a core-owned ring. False: no memory.
bool ring_expect(Ring& ring, uint32_t ops);
// One op that was counted is a program.
void ring_count_program(Ring& ring);
// Ops that were counted and will not store here after all; so many of them are programs.
void ring_forget(Ring& ring, uint32_t ops, uint32_t programs = 0);
void ring_release_object(Ring& ring);
// On the environment's thread, for a JavaScript ring object: the ring at `address`, which must lie whole in an arena of
// the environment (-EFAULT); otherwise as ring_acquire(). `fresh`: over memory just allocated.
int ring_open(Environment& environment, uint64_t address, bool fresh, Ring** ring);
// A ring of `nr` slots in memory of the core's. nullptr: no memory.
Ring* ring_make_core_owned(uint32_t nr);
void ring_destroy_core_owned(Ring* ring);

// Stores one completion, or puts it in the backlog; never loses one. `pin` is an arena of the op that holds the ring.
// Returns whether event loops watch the ring: they are told by ring_notify_watchers() when the op counts as complete.
bool ring_store(Ring& ring, uint64_t return_code, uint64_t cookie, Arena* pin, uint32_t programs = 0);
void ring_notify_watchers(Ring& ring);

// Moves what the backlog holds to free slots. True while a backlog remains.
bool ring_flush(Ring& ring);
// The supervisor's look at all rings with a backlog; returns whether anything could be stored.
bool rings_flush();
bool rings_have_backlog();
// `notify` is called by any thread when a ring begins to have a backlog: somebody is to call rings_flush() from then
// on.
void rings_on_backlog(void (*notify)());
// Completions that have had to wait in a backlog.
uint64_t rings_overflows();

// Copies up to `max` completions, oldest first, and frees their slots. Each completion goes to exactly one caller.
uint32_t ring_drain(Ring& ring, acall_completion* into, uint32_t max);
// Gives back the last `count` of what ring_drain() handed out, in the same order. False: no memory.
bool ring_return(Ring& ring, const acall_completion* from, uint32_t count);

// How many can be drained now.
uint64_t ring_available(Ring& ring);
// How many have had to wait in the backlog.
uint64_t ring_overflows(Ring& ring);
// Whether one has not been drained, or will come.
bool ring_is_awaited(Ring& ring);
// Blocks on nothing: (int32)(stored - tail), at least 0, and whether more can arrive before slots are freed.
uint32_t ring_count_since(Ring& ring, uint32_t tail, bool* full, uint32_t* programs = nullptr);

// On the environment's thread: it is to be rung when `min` completions can be drained or the ring is full, in place of
// what it asked for before. False: no memory, and it does not watch the ring.
bool ring_watch(Ring& ring, Environment& environment, uint64_t min);
void ring_unwatch(Ring& ring, Environment& environment);

// Whether ops that name the ring keep the event loop alive, those in flight included.
void ring_set_referenced(Ring& ring, Environment& environment, bool referenced);

// The end of an environment: forgets its watchers; rings in memory that only it had are dead from now on.
void rings_environment_ended(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_RING_H_
