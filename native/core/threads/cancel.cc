// Which threads are signalled and when, and how cancelled ops end. See cancel.h.
#include "threads/cancel.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/block.h"
#include "base/signals.h"
#include "completion/complete.h"
#include "threads/invoke.h"
#include "threads/threads.h"

namespace acall {

namespace {

constexpr uint64_t kFirstRepeatNs = 500'000;  // latency of a cancel whose first signal came too early
// Each interval is twice the one before; the last is two seconds. They grow because each signal to a thread that the
// kernel does not interrupt stays pending, and a user may have only so many pending signals (RLIMIT_SIGPENDING).
constexpr uint32_t kRepeats = 13;
// Fairness: how many ops cancel_many() takes at most. It marks them under one hold of the lock, for some three
// microseconds.
constexpr uint32_t kMaxCancelled = 32;
// Fairness: first signals that cancellers send themselves within some time, whoever they are: a canceller is often the
// thread of an event loop, and competes with the threads that it signals. The supervisor sends the others.
constexpr uint32_t kMaxInBurst = 8;
constexpr uint64_t kBurstNs = 1'000'000;
// Fairness: threads that return from their first signal at the same time. Each takes a core, and with thousands of them
// the event loop would get none.
constexpr uint32_t kOnTheirWay = 64;
constexpr uint64_t kPaceNs = 100'000;          // until the supervisor checks again how many of them have returned
constexpr uint32_t kSupervisorPortion = 1024;  // fairness: signals or completions in one call of cancel_repeat()

Lock cancel_lock;

// Threads that are being cancelled and have not returned, by the number of signals they have got; guarded by
// cancel_lock. The threads of one list wait equally long for the next signal, so the first is due first.
LinkedList<PoolThread, &PoolThread::cancel_links> due[kRepeats + 1];

uint64_t burst_began_ns = 0;  // guarded by cancel_lock, as the next one
uint32_t burst_left = 0;
std::atomic<uint32_t> marking{0};  // cancellers that need the lock: the supervisor lets them go first

// Ops that were cancelled in a queue and are to be completed by the supervisor, the last one first. Pushed by any
// thread, emptied as a whole by the supervisor: no ABA.
std::atomic<Operation*> given_up{nullptr};
Operation* completing = nullptr;  // taken from there and not yet completed, the oldest first; the supervisor's only

uint64_t interval_ns(uint32_t signals) { return signals == 0 ? 0 : kFirstRepeatNs << (signals - 1); }

void link(PoolThread& thread, uint32_t signals, uint64_t now_ns) {
  thread.cancel_signals = signals;
  thread.cancel_due_ns = now_ns + interval_ns(signals);
  due[signals].push_back(thread);
  thread.is_cancelled = true;
}

void unlink(PoolThread& thread) {
  if (!thread.is_cancelled) return;
  due[thread.cancel_signals].remove(thread);
  thread.is_cancelled = false;
}

// Sends one more signal to a thread that is in no list.
void send(PoolThread& thread, uint32_t sent, uint64_t now_ns) {
  if (pid_t tid = thread.tid.load(std::memory_order_acquire); tid != 0) {
    syscall(SYS_tgkill, getpid(), tid, cancel_signal());
  }
  link(thread, sent < kRepeats ? sent + 1 : kRepeats, now_ns);
}

// Sends first signals, as many as the burst still allows; the supervisor sends the others.
void send_first(uint64_t now_ns) {
  for (;;) {
    Hold hold(cancel_lock);
    if (now_ns - burst_began_ns >= kBurstNs) {
      burst_began_ns = now_ns;
      burst_left = kMaxInBurst;
    }
    PoolThread* thread = due[0].first();
    if (thread == nullptr || burst_left == 0) return;
    --burst_left;
    unlink(*thread);
    send(*thread, 0, now_ns);
  }
}

// Interrupts a running op: sets the thread's cancel word and lists the thread for its first signal. Under cancel_lock:
// the thread cannot pass cancel_settle() before it is unlocked, so the thread still runs this op.
void stop(Operation& op, uint64_t now_ns) {
  PoolThread* thread = op.thread.load(std::memory_order_acquire);
  if (thread == nullptr) return;
  // The stub reads the word before the instruction; the signal covers a thread that has read it already.
  thread->cancel_word.store(1, std::memory_order_seq_cst);
  link(*thread, 0, now_ns);
}

class Marking {
 public:
  Marking() { marking.fetch_add(1, std::memory_order_relaxed); }
  ~Marking() { marking.fetch_sub(1, std::memory_order_relaxed); }
  Marking(const Marking&) = delete;
  Marking& operator=(const Marking&) = delete;
};

// An op as its id has found it.
struct CancelTarget {
  Operation* op;
  uint64_t sequence;
};

// What mark() has found and done.
enum class Outcome {
  kGone,      // the op is complete, or the record has another op
  kReturned,  // the result is known
  kLeft,      // the op is in a call that is never interrupted
  kAgain,     // the op was cancelled before
  kClaimed,   // the op was queued, and the caller must complete it
  kStopped,   // the op was running, or runs although it was cancelled in a queue
};

// BackEnd::interrupt of an op, to be called when the lock is released.
struct Interrupt {
  void (*stop)(void* extra) = nullptr;
  void* extra = nullptr;
  Block* block = nullptr;  // one reference: `extra` lives there

  void operator()() const {
    stop(extra);
    block_release(block);
  }
};

// Marks one op as cancelled and sends no signal. `unwanted` is kUnwanted or 0. Under cancel_lock.
Outcome mark(const CancelTarget& target, uint64_t unwanted, uint64_t now_ns, Interrupt* later) {
  Operation& op = *target.op;
  uint64_t state = op.state.load(std::memory_order_acquire);
  for (;;) {
    if (state >> kStateBits != target.sequence || (state & kDone)) return Outcome::kGone;
    if (state & kReturned) return Outcome::kReturned;
    const uint32_t facts = op.facts.load(std::memory_order_relaxed);
    const bool was_queued = state & kQueued;
    const BackEnd& kind = op.kind();
    const bool is_left = !was_queued && (facts & kOpUninterruptible) && !kind.looks_for_cancel;
    uint64_t wanted = state | unwanted;
    if (!(state & kCancelling) && !is_left) {
      const bool is_claimed = was_queued && !kind.runs_cancelled;
      wanted = is_claimed ? (state & ~kPhaseMask) | kReturned : wanted | kCancelling;
    }
    // acq_rel pairs with finish(), seq_cst with Interpreter::show().
    if (wanted != state && !op.state.compare_exchange_weak(state, wanted, std::memory_order_seq_cst)) continue;
    if (state & kCancelling) return Outcome::kAgain;
    if (is_left) return Outcome::kLeft;
    if (kind.cancel != nullptr) kind.cancel(op);
    if (was_queued) return kind.runs_cancelled ? Outcome::kStopped : Outcome::kClaimed;
    if (kind.interrupt != nullptr) {
      *later = {kind.interrupt, op.extra, op.call.block};
      block_reference(*op.call.block);  // the op cannot end before cancel_lock is unlocked
    } else if (!(op.facts.load(std::memory_order_seq_cst) & kOpUninterruptible)) {
      stop(op, now_ns);
    }  // else the thread reads the state after its call. seq_cst: pairs with Interpreter::show().
    return Outcome::kStopped;
  }
}

void give_up_later(Operation& op) {
  Operation* head = given_up.load(std::memory_order_relaxed);
  do {
    op.cancelled_next = head;
    // release pairs with the acquire in complete_given_up().
  } while (!given_up.compare_exchange_weak(head, &op, std::memory_order_release, std::memory_order_relaxed));
}

// Completes up to `most` ops that were cancelled in a queue. Returns 0 when none is left, 1 when there may be more.
uint32_t complete_given_up(uint32_t most) {
  for (; most > 0; --most) {
    if (completing == nullptr) {
      Operation* list = given_up.exchange(nullptr, std::memory_order_acquire);
      while (list != nullptr) {  // the oldest to the front
        Operation* next = list->cancelled_next;
        list->cancelled_next = completing;
        completing = list;
        list = next;
      }
      if (completing == nullptr) return 0;
    }
    Operation& op = *completing;
    completing = op.cancelled_next;
    complete(op, op.call.not_made(-ECANCELED), Linked::kYes);
  }
  return 1;
}

}  // namespace

int cancel_operation(Operation& op, uint64_t sequence) {
  const uint64_t now_ns = seams.now_ns();
  Interrupt later;
  Outcome outcome;
  {
    Marking marking_now;
    Hold hold(cancel_lock);
    outcome = mark({&op, sequence}, 0, now_ns, &later);
  }
  switch (outcome) {
    case Outcome::kGone:
      return -ENOENT;
    case Outcome::kReturned:
    case Outcome::kLeft:
      return -EALREADY;
    case Outcome::kAgain:
      return 0;
    case Outcome::kClaimed:
      count_cancelled();
      complete(op, op.call.not_made(-ECANCELED), Linked::kYes);
      return 0;
    case Outcome::kStopped:
      count_cancelled();
      send_first(now_ns);
      supervisor_wake();
      if (later.stop != nullptr) later();
      return 0;
  }
  return -ENOENT;
}

int cancel_by_id(const acall_id& id) {
  Operation* op;
  uint64_t sequence;
  if (operation_table().find(id, &op, &sequence) != OperationTable::Found::kLive) return -ENOENT;
  return cancel_operation(*op, sequence);
}

namespace {

// Cancels many ops whose results nobody wants any more: those that are running are marked kUnwanted as well. It sends
// no signals. Queued ops never start; the supervisor completes them. The signals follow with signal_marked(), when all
// ops are marked, since each signal wakes a thread that takes a core.
void cancel_many(const CancelTarget* targets, uint32_t count) {
  Interrupt interrupts[kMaxCancelled];
  uint32_t interrupt_count = 0;
  const uint64_t now_ns = seams.now_ns();
  {
    Marking marking_now;
    Hold hold(cancel_lock);
    for (uint32_t i = 0; i < count; ++i) {
      Interrupt later;
      const Outcome outcome = mark(targets[i], kUnwanted, now_ns, &later);
      if (outcome != Outcome::kStopped && outcome != Outcome::kClaimed) continue;
      count_cancelled();
      if (later.stop != nullptr) interrupts[interrupt_count++] = later;
      if (outcome == Outcome::kClaimed) give_up_later(*targets[i].op);
    }
  }
  for (uint32_t i = 0; i < interrupt_count; ++i) interrupts[i]();
}

void signal_marked() {
  send_first(seams.now_ns());
  supervisor_wake();
}

}  // namespace

void cancel_unwanted(const acall_id* ids, uint32_t count, bool more) {
  CancelTarget targets[kMaxCancelled];
  for (uint32_t begin = 0; begin < count;) {
    uint32_t found = 0;
    for (; begin < count && found < kMaxCancelled; ++begin) {
      CancelTarget& target = targets[found];
      found += operation_table().find(ids[begin], &target.op, &target.sequence) == OperationTable::Found::kLive;
    }
    cancel_many(targets, found);
  }
  if (!more) signal_marked();
}

void cancel_pass() { Hold hold(cancel_lock); }

void cancel_settle(Operation&, PoolThread& self) {
  {
    Hold hold(cancel_lock);
    unlink(self);
    self.cancel_word.store(0, std::memory_order_relaxed);
  }
  // No more signals are sent for this op. Those that were sent are delivered at the latest when this call returns.
  syscall(SYS_getppid);
}

uint64_t cancel_repeat(uint64_t now_ns) {
  uint64_t next_ns = complete_given_up(kSupervisorPortion) > 0 ? 1 : UINT64_MAX;
  uint32_t left = kSupervisorPortion;
  for (uint32_t signals = 0; signals <= kRepeats; ++signals) {
    for (;;) {
      if (marking.load(std::memory_order_relaxed) > 0) return 1;
      Hold hold(cancel_lock);  // for one signal: threads that cancel or return wait no longer than that
      PoolThread* thread = due[signals].first();
      if (thread == nullptr) break;
      if (thread->cancel_due_ns > now_ns) {
        if (thread->cancel_due_ns - now_ns < next_ns) next_ns = thread->cancel_due_ns - now_ns;
        break;
      }
      if (signals == 0 && due[1].length() >= kOnTheirWay) {
        if (kPaceNs < next_ns) next_ns = kPaceNs;
        break;
      }
      if (left-- == 0) return 1;
      unlink(*thread);
      send(*thread, signals, now_ns);
    }
  }
  return next_ns;
}

}  // namespace acall
