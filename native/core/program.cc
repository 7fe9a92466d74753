// The interpreter of programs. See program.h.
#include "program.h"

#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

#include "arenas.h"
#include "block.h"
#include "cancel.h"
#include "complete.h"
#include "engine.h"
#include "invoke.h"
#include "worker.h"

namespace acall {

namespace {

constexpr uint64_t kCallerSliceNs = 20'000'000;  // a Worker that waits is asked this often whether it must end

Lock callers_lock;

// Words of memory that JavaScript may look at meanwhile. A misaligned one is legal, as it is for the kernel's copies:
// the second int of a pipe is read like that.
uint64_t load_word(uint64_t address) {
  if ((address & 7) == 0)
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(address)).load(std::memory_order_acquire);
  uint64_t value;
  memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
  return value;
}

void store_word(uint64_t address, uint64_t value) {
  if ((address & 7) != 0) {
    memcpy(reinterpret_cast<void*>(address), &value, sizeof value);
    return;
  }
  // release: pairs with whoever sees the word and then looks at what the call has written.
  std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(address)).store(value, std::memory_order_release);
}

// Returns the new value. Atomic where the word is aligned: programs that run side by side may share a counter.
uint64_t add_to_word(uint64_t address, uint64_t value) {
  if ((address & 7) == 0)
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(address)).fetch_add(value) + value;
  const uint64_t sum = load_word(address) + value;
  store_word(address, sum);
  return sum;
}

bool stops(uint32_t flags, int64_t result) {
  return ((flags & SYSLET_STOP_ON_NONZERO) && result != 0) || ((flags & SYSLET_STOP_ON_ZERO) && result == 0) ||
         ((flags & SYSLET_STOP_ON_NEGATIVE) && result < 0) || ((flags & SYSLET_STOP_ON_NON_POSITIVE) && result <= 0);
}

// arenas_lock, for programs whose memory lies in arenas.
class MaybeHold {
 public:
  explicit MaybeHold(bool wanted) : wanted_(wanted) {
    if (wanted_) arenas_lock.lock();
  }
  ~MaybeHold() {
    if (wanted_) arenas_lock.unlock();
  }
  MaybeHold(const MaybeHold&) = delete;
  MaybeHold& operator=(const MaybeHold&) = delete;

 private:
  const bool wanted_;
};

// False: nobody waits.
bool tell_caller(ProgramRun& run, bool ended) {
  if (run.caller.load(std::memory_order_relaxed) == nullptr) return false;  // set before the run, and only cleared then
  Hold hold(callers_lock);
  ProgramCaller* caller = run.caller.load(std::memory_order_relaxed);
  if (caller == nullptr) return false;
  caller->ended = ended;
  caller->told = true;
  caller->parker.unpark();  // under the lock: it leaves its stack frame behind it
  run.caller.store(nullptr, std::memory_order_relaxed);
  return true;
}

class Interpreter {
 public:
  Interpreter(ProgramRun& run, Operation& op, Worker& self, bool is_inline)
      : run_(run),
        op_(op),
        self_(self),
        inline_(is_inline),
        raw_(run.image == nullptr),
        memory_{*op.environment.load(std::memory_order_relaxed), run.areas, run.area_count, &op} {
    call_.run = run_syscall;
  }

  // True: the program is over; false: its next atom is none for this thread.
  bool run() {
    Step step = Step::kOn;
    while (step == Step::kOn) step = take_step();
    return step == Step::kOver;
  }

  // When run() is over: the atoms that always run, cancelled or not, and the descriptors of a result that there is not.
  void clean_up() {
    if (run_.cleanup == 0 && (run_.handed_count == 0 || run_.end == SYSLET_END_DONE)) return;
    show(kOpUninterruptible);
    if (op_.state.load(std::memory_order_seq_cst) & kCancelling) cancel_settle(op_, self_);
    cleaning_ = true;
    if (run_.cleanup != 0) run_cleanup();
    if (run_.end == SYSLET_END_DONE) return;
    for (uint32_t i = 0; i < run_.handed_count; ++i)
      close_word(reinterpret_cast<uint64_t>(run_.image + run_.handed[i]));
  }

  // Tells the thread inside async_exec that it need not wait any longer.
  void let_caller_go(bool ended) {
    if (tell_caller(run_, ended) && ended) op_.facts.fetch_or(kOpNoCompletion, std::memory_order_relaxed);
  }

 private:
  enum class Step { kOn, kOver, kHandOver };
  enum class Plan { kCall, kClose, kResult, kStop, kHandOver, kCancelled };

  struct Ending {
    uint64_t last;
    int64_t result;
    uint32_t end;
  };

  bool reaches(uint64_t address, uint64_t length = sizeof(uint64_t)) const {
    if (raw_) return policy_holds(op_, address, length);
    for (uint32_t i = 0; i < run_.area_count; ++i) {
      const Segment& area = run_.areas[i];
      if (address >= area.begin && address < area.end && length <= area.end - address) return true;
    }
    return false;
  }

  bool reaches_atom(uint64_t address) const {
    if (raw_) return policy_holds(op_, address, sizeof(syslet_uatom));
    return address >= run_.code.begin && address < run_.code.end && sizeof(syslet_uatom) <= run_.code.end - address;
  }

  // Lets a canceller and an ending environment know what this thread is about to do. seq_cst, as a canceller's look at
  // the facts behind its raised bit: one of the two sees the other.
  void show(uint32_t facts) {
    if (facts == shown_) return;
    op_.facts.fetch_xor(facts ^ shown_, std::memory_order_seq_cst);
    shown_ = facts;
  }

  bool is_cancelled() const { return !cleaning_ && (op_.state.load(std::memory_order_seq_cst) & kCancelling); }

  // Under arenas_lock, for programs in arenas. 0, or why the program ends here.
  int read_atom(uint64_t at) {
    const uint64_t state = op_.state.load(std::memory_order_acquire);
    if ((state & kCancelling && !cleaning_) || (state & kAbandoned && raw_)) return -ECANCELED;
    if (run_.steps >= run_.max_steps) return -ELOOP;
    if ((at & 7) != 0) return -EINVAL;
    if (!reaches_atom(at)) return -EFAULT;
    const uint64_t head = load_word(at);
    atom_.flags = static_cast<uint32_t>(head);
    atom_.nr = static_cast<uint32_t>(head >> 32);
    atom_.ret_ptr = load_word(at + offsetof(syslet_uatom, ret_ptr));
    atom_.next = load_word(at + offsetof(syslet_uatom, next));
    for (int i = 0; i < 6; ++i)
      atom_.arg_ptr[i] = load_word(at + offsetof(syslet_uatom, arg_ptr) + sizeof(uint64_t) * i);
    atom_.private_data = load_word(at + offsetof(syslet_uatom, private_data));
    return atom_.flags & ~kKnownAtomFlags ? -EINVAL : 0;
  }

  // Likewise. What the atom read last asks for: its arguments, its checks, and at once what needs no kernel.
  Plan prepare(int64_t* result) {
    *result = -EFAULT;
    if (inline_ && ((atom_.flags & SYSLET_ASYNC) || run_.steps >= kMaxInlineSteps)) return Plan::kHandOver;
    if (atom_.ret_ptr != 0 && !reaches(atom_.ret_ptr)) {  // a result that cannot be told: the call is not made
      atom_.ret_ptr = 0;
      return Plan::kResult;
    }
    memset(call_.args, 0, sizeof call_.args);
    for (int i = 0; i < 6 && atom_.arg_ptr[i] != 0; ++i) {
      if (!reaches(atom_.arg_ptr[i])) return Plan::kResult;
      call_.args[i] = load_word(atom_.arg_ptr[i]);
    }
    if (atom_.nr >= SYSLET_NR_UMEM_ADD) return prepare_own_call(result);
    call_.nr = atom_.nr;
    const SyscallRule* rule;
    if (int error = policy_admit(call_.nr, call_.args, ACALL_SUBMIT_THREAD_POOL, call_, &rule); error != 0) {
      *result = error;
      return Plan::kResult;
    }
    if (rule == nullptr) {
      *result = -ENOSYS;
      return Plan::kResult;
    }
    may_block_ = !(rule->flags & kCallNeverBlocks);
    if (inline_ && may_block_) return Plan::kHandOver;
    int error = policy_check_pointers(*rule, call_, memory_);
    const uint32_t facts = call_.facts.load(std::memory_order_relaxed);
    if (error == 0) {
      show(facts & (kOpUninterruptible | kOpKernelHoldsArena));
      if (!is_cancelled()) return Plan::kCall;
      show(0);
    }
    operation_drop_resources(call_);
    *result = error;
    return error == 0 ? Plan::kCancelled : Plan::kResult;
  }

  Plan prepare_own_call(int64_t* result) {
    const uint64_t at = call_.args[0], value = call_.args[1];
    if (atom_.nr != SYSLET_NR_UMEM_ADD && (raw_ || atom_.nr > SYSLET_NR_STOP)) {
      *result = -ENOSYS;
      return Plan::kResult;
    }
    if (atom_.nr == SYSLET_NR_STOP || atom_.nr == SYSLET_NR_COMPARE) {
      const auto left = static_cast<int64_t>(at), right = static_cast<int64_t>(value);
      *result = atom_.nr == SYSLET_NR_STOP ? left : (left > right) - (left < right);
      return atom_.nr == SYSLET_NR_STOP ? Plan::kStop : Plan::kResult;
    }
    const bool two_words = atom_.nr == SYSLET_NR_LOAD || atom_.nr == SYSLET_NR_MOVE;
    if (!reaches(at) || (two_words && !reaches(value))) return Plan::kResult;
    switch (atom_.nr) {
      case SYSLET_NR_UMEM_ADD:
        *result = static_cast<int64_t>(add_to_word(at, value));
        break;
      case SYSLET_NR_SUBTRACT:
        *result = static_cast<int64_t>(add_to_word(at, 0 - value));
        break;
      case SYSLET_NR_SET:
        store_word(at, value), *result = static_cast<int64_t>(value);
        break;
      case SYSLET_NR_LOAD:
        store_word(at, load_word(value)), *result = static_cast<int64_t>(load_word(at));
        break;
      default:  // close, move: as one with the close itself, so that no cancel falls in between
        show(kOpUninterruptible);
        return is_cancelled() ? Plan::kCancelled : Plan::kClose;
    }
    return Plan::kResult;
  }

  Step take_step() {
    const uint64_t at = run_.atom;
    int64_t result;
    Plan plan;
    {
      MaybeHold hold(raw_);
      if (int error = read_atom(at); error != 0) {
        if (inline_) return hand_over(0);  // the pool tells the ring
        return end(error == -ECANCELED ? SYSLET_END_CANCELLED
                   : error == -ELOOP   ? SYSLET_END_STEPS
                                       : SYSLET_END_BROKEN,
                   at, error);
      }
      plan = prepare(&result);
      if (plan == Plan::kResult && atom_.ret_ptr != 0) store_word(atom_.ret_ptr, static_cast<uint64_t>(result));
    }
    if (plan == Plan::kHandOver) return hand_over(atom_.flags);
    if (plan == Plan::kCancelled) return end(SYSLET_END_CANCELLED, at, -ECANCELED);
    ++run_.steps;
    const bool is_sync =
        !(atom_.flags & SYSLET_ASYNC) && ((atom_.flags & SYSLET_SYNC) || plan != Plan::kCall || !may_block_);
    if (!is_sync) let_caller_go(false);
    if (plan == Plan::kStop) {
      const uint64_t blamed = atom_.private_data != 0 ? atom_.private_data : at;
      if (!cleaning_) return end(SYSLET_END_STOPPED, blamed, result);
      note_failure(blamed, result);
    }
    if (plan == Plan::kClose) result = close_or_move();
    if (plan == Plan::kCall) {
      result = enter();
      if (!settle(result)) return end(SYSLET_END_CANCELLED, at, result);
    }
    return go_on(at, result);
  }

  Step hand_over(uint32_t flags) {
    run_.next_flags = flags;
    return Step::kHandOver;
  }

  int64_t enter() {
    for (;;) {
      const int64_t result = invoke(self_, call_.nr, call_.args);
      // As in run_syscall(): a promise does not show an -EINTR that nobody asked for.
      if (result != -EINTR || raw_ || !(call_.facts.load(std::memory_order_relaxed) & kOpRerun) || is_cancelled())
        return result;
    }
  }

  // Brings the result of a call to memory. False: that memory is gone.
  bool settle(int64_t result) {
    bool is_ours = true;
    if (call_.copies != nullptr || atom_.ret_ptr != 0 || (shown_ & kOpKernelHoldsArena)) {
      MaybeHold hold(raw_);
      is_ours = !raw_ || !(op_.state.load(std::memory_order_acquire) & kAbandoned);
      if (is_ours) {
        operation_copy_back(call_, result);
        if (atom_.ret_ptr != 0) store_word(atom_.ret_ptr, static_cast<uint64_t>(result));
        show(cleaning_ ? kOpUninterruptible : shown_ & ~kOpKernelHoldsArena);
      }
    }
    if (!is_ours) dispose_result(call_, result);
    operation_drop_resources(call_);
    return is_ours;
  }

  int64_t close_word(uint64_t at) {
    const auto fd = static_cast<int32_t>(load_word(at));
    store_word(at, UINT64_MAX);
    if (fd < 0) return 0;
    const uint64_t args[6] = {static_cast<uint32_t>(fd)};
    return invoke(self_, SYS_close, args);
  }

  int64_t close_or_move() {
    const uint64_t to = call_.args[0], from = call_.args[1];
    int64_t result = close_word(to);
    if (atom_.nr == SYSLET_NR_MOVE) {
      store_word(to, load_word(from));
      store_word(from, UINT64_MAX);
    }
    if (atom_.ret_ptr != 0) store_word(atom_.ret_ptr, static_cast<uint64_t>(result));
    return result;
  }

  Step go_on(uint64_t at, int64_t result) {
    run_.last_flags = atom_.flags;
    if (result < 0 && is_cancelled()) return end(SYSLET_END_CANCELLED, at, result);
    const bool stopped = stops(atom_.flags, result);
    const bool skips = stopped && (atom_.flags & SYSLET_SKIP_TO_NEXT_ON_STOP);
    if (stopped && !skips && !cleaning_) return end(SYSLET_END_STOPPED, at, result);
    if (stopped && !skips) note_failure(at, result);
    end(SYSLET_END_DONE, at, result);
    run_.atom = skips ? at + sizeof(syslet_uatom) : atom_.next;
    return run_.atom == 0 ? Step::kOver : Step::kOn;
  }

  // Nothing stops a clean-up; the first call of it that failed is remembered.
  void note_failure(uint64_t at, int64_t result) {
    if (result < 0 && failed_.last == 0) failed_ = {at, result, SYSLET_END_STOPPED};
  }

  Step end(uint32_t how, uint64_t at, int64_t result) {
    run_.last = at;
    run_.result = result;
    run_.end = how;
    return Step::kOver;
  }

  // What went wrong first is what is told.
  void run_cleanup() {
    const Ending before{run_.last, run_.result, run_.end};
    const uint32_t steps = run_.steps;
    run_.atom = run_.cleanup;
    run_.steps = 0;
    run();
    run_.steps += steps;
    Ending told = before;
    if (before.end == SYSLET_END_DONE) {
      if (failed_.last != 0)
        told = failed_;
      else if (run_.end != SYSLET_END_DONE)
        told = {run_.last, run_.result, run_.end};
    }
    end(told.end, told.last, told.result);
  }

  ProgramRun& run_;
  Operation& op_;
  Worker& self_;
  const bool inline_;
  const bool raw_;  // its memory lies in arenas
  const Memory memory_;
  Operation call_;  // the atom's call, as policy and disposal look at it; never in the table
  syslet_uatom atom_{};
  uint32_t shown_ = 0;
  bool may_block_ = false;  // the call that is about to be made
  bool cleaning_ = false;
  Ending failed_{};  // the first call of the clean-up that failed
};

// The end of a program as the SYNC caller and the flags of the last atom want it.
bool ended_well(const ProgramRun& run) { return run.end == SYSLET_END_DONE || run.end == SYSLET_END_STOPPED; }

void report(const ProgramRun& run) {
  const uint64_t base = reinterpret_cast<uint64_t>(run.image);
  const syslet_report told{run.last - base, run.result, run.end, run.steps};
  memcpy(run.image, &told, sizeof told);
}

}  // namespace

int64_t run_program(Operation& op, Worker& self) {
  auto& run = *static_cast<ProgramRun*>(op.extra);
  Interpreter interpreter(run, op, self, false);
  interpreter.run();
  interpreter.clean_up();
  if (run.image != nullptr) {
    report(run);
    return 0;
  }
  op.cookie = run.last;
  if (ended_well(run) && (run.last_flags & SYSLET_NO_COMPLETE))
    op.facts.fetch_or(kOpNoCompletion, std::memory_order_relaxed);
  interpreter.let_caller_go(ended_well(run));
  return run.result;
}

bool program_run_inline(ProgramRun& run, Operation& op) {
  Worker self;
  return Interpreter(run, op, self, true).run();
}

void program_dispose(ProgramRun& run) {
  for (uint32_t i = 0; i < run.handed_count && run.end == SYSLET_END_DONE; ++i) {
    const auto at = reinterpret_cast<uint64_t>(run.image + run.handed[i]);
    const auto fd = static_cast<int32_t>(load_word(at));
    store_word(at, UINT64_MAX);
    if (fd >= 0) syscall(SYS_close, fd);
  }
}

bool program_wait(ProgramRun& run, ProgramCaller& caller, bool (*still_alive)(void* context), void* context) {
  for (bool alive = true;; alive = still_alive == nullptr || still_alive(context)) {
    if (alive) caller.parker.park(kCallerSliceNs);
    Hold hold(callers_lock);
    if (caller.told) return caller.ended;
    if (alive) continue;
    run.caller.store(nullptr, std::memory_order_relaxed);
    return false;
  }
}

void program_dropped(Operation& op) { tell_caller(*static_cast<ProgramRun*>(op.extra), false); }

}  // namespace acall
