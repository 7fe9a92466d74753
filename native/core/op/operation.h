// One op: what was asked, where its result goes, which state it is in; and the table that finds an op by its id. Every
// accepted op lives in one record of the table from submit to the end of complete(). Records are reused, never freed,
// so a stale pointer or id still reads a valid record and is told apart by the sequence number inside `state`.
//
// Who writes what: the submitting thread fills a record before it publishes it (queue lock, or thread start); after
// that the fields without atomic are constant until the record is free again, but for the call's arguments and `sinks`,
// which change only under the rules in environment_end.cc (an environment that ends while the kernel holds the op).
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
inline constexpr uint64_t kRunning = 2;      // a thread has it and may be in the kernel
inline constexpr uint64_t kReturned = 4;     // the result is known, sinks are being written
inline constexpr uint64_t kDone = 8;         // complete, or not yet published; free or about to be
inline constexpr uint64_t kCancelling = 16;  // running, and its thread is signalled until it returns
inline constexpr uint64_t kWaited = 32;      // somebody waits on the id: completion must look at the waiters
inline constexpr uint64_t kAbandoned = 64;   // its environment has ended: see environment_end.h
inline constexpr uint64_t kUnwanted = 128;   // its promise has been rejected: what the result carries is disposed of
inline constexpr uint64_t kPhaseMask = kQueued | kRunning | kReturned | kDone;
inline constexpr unsigned kStateBits = 8;

// Facts about an op that the submitter decides, and what Call::kShown has of its call.
inline constexpr uint32_t kOpPool = 1u << 0;  // may run in the pool; else a thread of its own
inline constexpr uint32_t kOpUninterruptible = Call::kUninterruptible;
inline constexpr uint32_t kOpKernelHoldsArena = Call::kKernelHoldsArena;
inline constexpr uint32_t kOpDetached = 1u << 8;     // nobody waits for it, and it outlives its environment
inline constexpr uint32_t kOpDropCopies = 1u << 9;   // what the block would be copied back to died with the environment
inline constexpr uint32_t kOpMemoryGone = 1u << 11;  // the process ends, and memory that the call points to is gone
inline constexpr uint32_t kOpNoCompletion = 1u << 13;  // leaves no ring entry: its back end says so when it ends

// What most ops touch comes first, in three lines of the cache; pins are for calls that point into arenas.
struct alignas(64) Operation {
  std::atomic<uint64_t> state{kDone};
  Operation* next = nullptr;                      // queue or free list
  std::atomic<const BackEnd*> back_end{nullptr};  // relaxed, as facts and ring: a canceller may look at a record
  std::atomic<uint32_t> facts{0};                 // that changes hands
  std::atomic<uint32_t> releases{0};  // who cancelled it in the queue and who unlinks it: the second one frees it
  uint64_t cookie = 0;
  std::atomic<Ring*> ring{nullptr};
  std::atomic<Environment*> environment{nullptr};
  std::atomic<PoolThread*> thread{nullptr};  // stored before kRunning, read under the cancel lock
  acall_completion* slot = nullptr;
  // sequence << 8, and 1 for an op that counts among those that keep the event loop alive; 0 when it is complete. With
  // the sequence number in it, ref() and unref() cannot touch the record's next op.
  std::atomic<uint64_t> keeps_alive{0};
  void* extra = nullptr;         // the back end's own (stat columns, job)
  OpenHandle* handle = nullptr;  // whose descriptor the op uses: handle.h
  Call call;
  Stack<IdWaiter> waiters;              // guarded by the waiters lock
  Operation* cancelled_next = nullptr;  // given up in a queue, which links it by `next`: whoever claimed it
  uint32_t index = 0;                   // place in the table, constant

  const BackEnd& kind() const { return *back_end.load(std::memory_order_relaxed); }
  void is_a(const BackEnd& kind) { back_end.store(&kind, std::memory_order_relaxed); }
  uint64_t sequence() const { return state.load(std::memory_order_relaxed) >> kStateBits; }

  // When its call has been admitted and checked, and nobody else has seen the op: where it may run, and what others
  // have to know of the call.
  void show_call(uint32_t facts_of_op) {
    facts.store(facts_of_op | (call.flags & Call::kShown), std::memory_order_relaxed);
  }
};
static_assert(sizeof(Operation) == 320);
static_assert(offsetof(Operation, call.block) < 192);

// The ids. opaque[0] is the sequence number, opaque[1] the index in the table and a keyed check of both, so that an id
// that was never issued is told apart from one that is complete and forgotten.
class OperationTable {
 public:
  // Takes up to `wanted` free records as a list linked by `next`, each with a fresh sequence number, kDone until
  // publish(). Returns how many; fewer only when memory is short.
  uint32_t allocate(uint32_t wanted, Operation** first);
  // Makes a filled record visible to find() and each_live(), queued or running.
  static void publish(Operation& op, uint64_t phase) {
    // release pins down every field before; pairs with the acquire loads in find(), each_live() and the claiming
    // thread.
    op.state.store((op.sequence() << kStateBits) | phase, std::memory_order_release);
  }
  // Any thread. The record may be reused at once. Lock free.
  void release(Operation* op);

  enum class Found { kNever, kComplete, kLive };
  // On kLive *op may complete any time: act on it only by compare_exchange on its state with *sequence.
  Found find(const acall_id& id, Operation** op, uint64_t* sequence);
  acall_id id_of(const Operation& op) const;

  // Visits every record that is not done, with the state it was found in. It may change hands meanwhile.
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
  std::atomic<Operation*> returned_{nullptr};  // pushed by completing threads, taken whole under lock_: no ABA
  std::atomic<uint32_t> chunk_count_{0};
  std::atomic<Operation*> chunks_[kMaxChunks] = {};
  std::atomic<uint64_t> next_sequence_{1};
  mutable std::atomic<uint64_t> key_{0};
};

// One table per process, never destroyed.
OperationTable& operation_table();

}  // namespace acall

#endif  // ACALL_CORE_OP_OPERATION_H_
