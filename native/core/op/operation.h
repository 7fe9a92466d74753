// One op: its call, its sinks, its state; and the table that finds an op by its id. Every accepted op lives in one
// record of the table from submit to the end of complete(). Records are reused and never freed, so a stale pointer or
// id still reads a valid record, and the sequence number inside `state` shows that it is stale.
//
// The submitting thread fills a record before it publishes it. After that, fields that are not atomic are constant
// until the record is free again, with these exceptions: `slot` is dropped under abandon_lock when the environment of a
// running op ends, `waiters` and `next` belong to the lists that link the record, and the thread that completes the op
// releases what its call and its handle keep.
#ifndef ACALL_CORE_OP_OPERATION_H_
#define ACALL_CORE_OP_OPERATION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi.h"
#include "base/intrusive_list.h"
#include "base/sync.h"
#include "op/back_end.h"
#include "op/call.h"

namespace acall {

struct Environment;
struct OpenHandle;
struct Operation;
struct Ring;
struct PoolThread;
struct IdWaiter;

// The state word: sequence << 8 | bits. Exactly one phase bit is set.
inline constexpr uint64_t kQueued = 1;       // nobody runs it yet
inline constexpr uint64_t kRunning = 2;      // a thread has the op and may be in the kernel
inline constexpr uint64_t kReturned = 4;     // the result is known, sinks are being written
inline constexpr uint64_t kDone = 8;         // complete, or not yet published; free or about to be
inline constexpr uint64_t kCancelling = 16;  // cancelled; if its call can be interrupted, its thread is signalled
inline constexpr uint64_t kWaited = 32;      // a thread waits on the id: completion must wake the waiters
inline constexpr uint64_t kAbandoned = 64;   // its environment has ended: see environment_end.h
inline constexpr uint64_t kUnwanted = 128;   // its promise has been rejected: what the result carries is disposed of
inline constexpr uint64_t kPhaseMask = kQueued | kRunning | kReturned | kDone;
inline constexpr unsigned kStateBits = 8;

// Facts about an op. The submitter decides most of them; two are flags of its call (Call::kShown).
inline constexpr uint32_t kOpPool = 1u << 0;  // runs on a pool thread; else on an own thread
inline constexpr uint32_t kOpUninterruptible = Call::kUninterruptible;
inline constexpr uint32_t kOpKernelHoldsArena = Call::kKernelHoldsArena;
inline constexpr uint32_t kOpDetached = 1u << 8;       // nobody waits for it, and it outlives its environment
inline constexpr uint32_t kOpDropCopies = 1u << 9;     // nothing is copied back to the caller's memory
inline constexpr uint32_t kOpMemoryGone = 1u << 11;    // the process ends, and memory that the call points to is gone
inline constexpr uint32_t kOpNoCompletion = 1u << 13;  // leaves no ring entry; its back end decides that at the end

// The fields that most ops touch come first, in three lines of the cache; pins are for calls that point into arenas.
struct alignas(64) Operation {
  std::atomic<uint64_t> state{kDone};
  Operation* next = nullptr;  // in a queue, a list of a launch, or the free list
  // Relaxed, as facts and ring: a canceller may read a record that is being filled for its next op.
  std::atomic<const BackEnd*> back_end{nullptr};
  std::atomic<uint32_t> facts{0};
  // Counts to 2 for an op that was cancelled in a queue: one completes it, one unlinks it, and the second frees it.
  std::atomic<uint32_t> releases{0};
  uint64_t cookie = 0;
  std::atomic<Ring*> ring{nullptr};
  std::atomic<Environment*> environment{nullptr};
  std::atomic<PoolThread*> thread{nullptr};  // stored before kRunning, read under the cancel lock
  acall_completion* slot = nullptr;
  // sequence << 8, and bit 0 for an op that counts among those that keep the event loop alive; 0 when it is complete.
  // Because of the sequence number, ref() and unref() cannot touch the record's next op.
  std::atomic<uint64_t> keeps_alive{0};
  void* extra = nullptr;         // belongs to the back end (the place of a stat result, a job)
  OpenHandle* handle = nullptr;  // the handle whose descriptor the op uses: handle.h
  Call call;
  Stack<IdWaiter> waiters;              // guarded by id_waiters_lock
  Operation* cancelled_next = nullptr;  // among cancelled ops that the supervisor completes; a queue still uses `next`
  uint32_t index = 0;                   // place in the table, constant

  const BackEnd& kind() const { return *back_end.load(std::memory_order_relaxed); }
  void is_a(const BackEnd& kind) { back_end.store(&kind, std::memory_order_relaxed); }
  uint64_t sequence() const { return state.load(std::memory_order_relaxed) >> kStateBits; }

  // Stores the facts of an op that no other thread has seen, when its call has been admitted and checked.
  void show_call(uint32_t facts_of_op) {
    facts.store(facts_of_op | (call.flags & Call::kShown), std::memory_order_relaxed);
  }
};
static_assert(sizeof(Operation) == 320);
static_assert(offsetof(Operation, call.block) < 192);

// The table of all ops, and their ids. opaque[0] of an id is the sequence number, opaque[1] the index in the table and
// a keyed check of both, so that an id that was never issued differs from one that is complete and forgotten.
class OperationTable {
 public:
  // Takes up to `wanted` free records, linked by `next`, each with a fresh sequence number and kDone until publish().
  // Returns how many; fewer only when memory is short. Any thread, under lock_.
  uint32_t allocate(uint32_t wanted, Operation** first);
  // Makes a filled record visible to find() and each_live(), queued or running.
  static void publish(Operation& op, uint64_t phase) {
    // release: every field is stored before; pairs with the acquire loads in find(), each_live() and run_operation().
    op.state.store((op.sequence() << kStateBits) | phase, std::memory_order_release);
  }
  // Any thread. The record may be reused at once. Lock free.
  void release(Operation* op);

  enum class Found { kNever, kComplete, kLive };
  // Any thread. On kLive *op may complete at any time: change it only by compare_exchange on its state with *sequence.
  Found find(const acall_id& id, Operation** op, uint64_t* sequence);
  acall_id id_of(const Operation& op) const;

  // Visits every record that is not done, with the state it was found in. The op may complete meanwhile and its record
  // be used for another.
  template <typename Visitor>
  void each_live(Visitor visit) {
    uint32_t chunks = chunk_count_.load(std::memory_order_acquire);
    for (uint32_t c = 0; c < chunks; ++c) {
      Operation* chunk = chunks_[c].load(std::memory_order_acquire);
      for (uint32_t i = 0; i < kChunk; ++i) {
        const uint64_t state = chunk[i].state.load(std::memory_order_acquire);
        if (!(state & kDone)) visit(chunk[i], state);
      }
    }
  }

 private:
  static constexpr uint32_t kChunk = 1024;
  static constexpr uint32_t kMaxChunks = 16384;  // 16.7 million ops in flight
  bool grow();
  uint32_t check_of(uint64_t sequence, uint32_t index) const;

  Lock lock_;  // guards free_, next_sequence_, growth
  Operation* free_ = nullptr;
  std::atomic<Operation*> returned_{nullptr};  // pushed by completing threads, emptied as a whole under lock_: no ABA
  std::atomic<uint32_t> chunk_count_{0};
  std::atomic<Operation*> chunks_[kMaxChunks] = {};
  std::atomic<uint64_t> next_sequence_{1};
  mutable std::atomic<uint64_t> key_{0};
};

// One table per process, never destroyed.
OperationTable& operation_table();

}  // namespace acall

#endif  // ACALL_CORE_OP_OPERATION_H_
