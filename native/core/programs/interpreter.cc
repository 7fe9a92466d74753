// How atoms run, and how a program ends. See interpreter.h.
#include "programs/interpreter.h"

#include <cerrno>
#include <cstring>

#include "completion/complete.h"
#include "inline/inline_call.h"
#include "programs/program_words.h"
#include "syscalls/dispose.h"
#include "syscalls/kernel_entry.h"
#include "threads/cancel.h"
#include "threads/leftovers.h"

namespace acall {

namespace {

bool stops(uint32_t flags, int64_t result) {
  return ((flags & SYSLET_STOP_ON_NONZERO) && result != 0) || ((flags & SYSLET_STOP_ON_ZERO) && result == 0) ||
         ((flags & SYSLET_STOP_ON_NEGATIVE) && result < 0) || ((flags & SYSLET_STOP_ON_NON_POSITIVE) && result <= 0);
}

uint32_t end_of(int error) {
  if (error == -ECANCELED) return SYSLET_END_CANCELLED;
  return error == -ELOOP ? SYSLET_END_STEPS : SYSLET_END_BROKEN;
}

}  // namespace

Interpreter::Interpreter(ProgramRun& run, Operation& op, PoolThread& self, bool is_inline)
    : run_(run),
      op_(op),
      self_(self),
      inline_(is_inline),
      raw_(run.image == nullptr),
      memory_{*op.environment.load(std::memory_order_relaxed), run.areas, run.area_count, &op.call} {
  if (!raw_) call_.flags = Call::kPromise;
}

bool Interpreter::run() {
  Step step = Step::kOn;
  while (step == Step::kOn) step = take_step();
  return step == Step::kOver;
}

void Interpreter::clean_up() {
  if (run_.cleanup == 0 && (run_.handed_count == 0 || run_.end == SYSLET_END_DONE)) return;
  show(kOpUninterruptible);
  if (op_.state.load(std::memory_order_seq_cst) & kCancelling) cancel_settle(op_, self_);
  cleaning_ = true;
  if (run_.cleanup != 0) run_cleanup();
  if (run_.end == SYSLET_END_DONE) return;
  for (uint32_t i = 0; i < run_.handed_count; ++i) close_word(reinterpret_cast<uint64_t>(run_.image + run_.handed[i]));
}

void Interpreter::let_caller_go(bool ended) {
  if (program_notify_caller(run_, ended) && ended) op_.facts.fetch_or(kOpNoCompletion, std::memory_order_relaxed);
}

Interpreter::Step Interpreter::take_step() {
  const uint64_t at = run_.atom;
  int64_t result;
  Plan plan;
  {
    MaybeHold hold(raw_);
    if (int error = read_atom(at); error != 0) {
      if (inline_) return hand_over(0);  // the pool finds the same error and completes the op with it
      return end(end_of(error), at, op_.call.not_made(error));
    }
    plan = prepare(&result);
    if (plan == Plan::kResult && atom_.ret_ptr != 0) store_word(atom_.ret_ptr, static_cast<uint64_t>(result));
  }
  if (plan == Plan::kHandOver) return hand_over(atom_.flags);
  if (plan == Plan::kCancelled) return end(SYSLET_END_CANCELLED, at, -ECANCELED);
  if (plan == Plan::kCall && inline_ && !call_inline(&result)) return hand_over(atom_.flags);
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
    if (!inline_) result = KernelEntry(op_, self_)(call_);
    if (!settle(result)) return end(SYSLET_END_CANCELLED, at, result);
  }
  return go_on(at, result);
}

Interpreter::Step Interpreter::hand_over(uint32_t flags) {
  run_.next_flags = flags;
  return Step::kHandOver;
}

bool Interpreter::call_inline(int64_t* result) {
  if (inline_run(memory_.environment, call_, result)) return true;
  show(0);
  if (call_.transferred > 0) call_.move_rest(op_.call);
  call_.drop();
  return false;
}

bool Interpreter::settle(int64_t result) {
  bool is_ours = true;
  if (call_.copies != nullptr || atom_.ret_ptr != 0 || (shown_ & kOpKernelHoldsArena)) {
    MaybeHold hold(raw_);
    is_ours = !raw_ || !(op_.state.load(std::memory_order_acquire) & kAbandoned);
    if (is_ours) {
      call_.copy_back(result);
      if (atom_.ret_ptr != 0) store_word(atom_.ret_ptr, static_cast<uint64_t>(result));
      show(shown_ & ~kOpKernelHoldsArena);
    }
  }
  if (!is_ours) {
    Leftovers leftovers;  // closed here: for the ending environment the op still runs, so it does not wait for this
    if (result >= 0) collect_of_call(call_, nullptr, result, leftovers);
    leftovers.close(self_);
  }
  call_.drop();
  return is_ours;
}

int64_t Interpreter::close_word(uint64_t at) {
  const auto fd = static_cast<int32_t>(load_word(at));
  store_word(at, UINT64_MAX);
  if (fd < 0) return 0;
  return KernelEntry::always(self_, SYS_close, fd);
}

int64_t Interpreter::close_or_move() {
  const uint64_t to = call_.args[0], from = call_.args[1];
  int64_t result = atom_.nr == SYSLET_NR_SPLIT ? split(to, from, call_.args[2]) : close_word(to);
  if (atom_.nr == SYSLET_NR_MOVE) {
    store_word(to, load_word(from));
    store_word(from, UINT64_MAX);
  }
  if (atom_.ret_ptr != 0) store_word(atom_.ret_ptr, static_cast<uint64_t>(result));
  return result;
}

int64_t Interpreter::split(uint64_t first, uint64_t second, uint64_t from) {
  const uint64_t pair = load_word(from);
  if (pair == UINT64_MAX) return 0;
  const int64_t results[] = {close_word(first), close_word(second)};
  store_word(first, pair & 0xffffffff);
  store_word(second, pair >> 32);
  store_word(from, UINT64_MAX);
  return results[0] != 0 ? results[0] : results[1];
}

Interpreter::Step Interpreter::go_on(uint64_t at, int64_t result) {
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

Interpreter::Step Interpreter::end(uint32_t how, uint64_t at, int64_t result) {
  run_.last = at;
  run_.result = result;
  run_.end = how;
  return Step::kOver;
}

void Interpreter::note_failure(uint64_t at, int64_t result) {
  if (result < 0 && failed_.last == 0) failed_ = {at, result, SYSLET_END_STOPPED};
}

void Interpreter::run_cleanup() {
  const Ending before{run_.last, run_.result, run_.end};
  const uint32_t steps = run_.steps;
  run_.atom = run_.cleanup;
  run_.steps = 0;
  run();
  run_.steps += steps;
  Ending ending = before;
  if (before.end == SYSLET_END_DONE) {
    if (failed_.last != 0) {
      ending = failed_;
    } else if (run_.end != SYSLET_END_DONE) {
      ending = {run_.last, run_.result, run_.end};
    }
  }
  end(ending.end, ending.last, ending.result);
}

}  // namespace acall
