// How an atom is read, and its call checked, before the kernel is entered. See interpreter.h.
#include <cerrno>
#include <cstring>

#include "completion/complete.h"
#include "inline/inline_call.h"
#include "programs/interpreter.h"
#include "programs/program_words.h"
#include "syscalls/policy.h"

namespace acall {

bool Interpreter::reaches(uint64_t address, uint64_t length) const {
  if (raw_) return holds_range(op_.call, address, length);
  for (uint32_t i = 0; i < run_.area_count; ++i) {
    const Segment& area = run_.areas[i];
    if (address >= area.begin && address < area.end && length <= area.end - address) return true;
  }
  return false;
}

bool Interpreter::reaches_atom(uint64_t address) const {
  if (raw_) return holds_range(op_.call, address, sizeof(syslet_uatom));
  return address >= run_.code.begin && address < run_.code.end && sizeof(syslet_uatom) <= run_.code.end - address;
}

void Interpreter::show(uint32_t facts) {
  if (cleaning_) facts |= kOpUninterruptible;  // a clean-up is never interrupted
  if (facts == shown_) return;
  op_.facts.fetch_xor(facts ^ shown_, std::memory_order_seq_cst);
  shown_ = facts;
}

bool Interpreter::is_cancelled() const {
  return !cleaning_ && (op_.state.load(std::memory_order_seq_cst) & kCancelling);
}

int Interpreter::read_atom(uint64_t at) {
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
  for (int i = 0; i < 6; ++i) atom_.arg_ptr[i] = load_word(at + offsetof(syslet_uatom, arg_ptr) + sizeof(uint64_t) * i);
  atom_.private_data = load_word(at + offsetof(syslet_uatom, private_data));
  return atom_.flags & ~kKnownAtomFlags ? -EINVAL : 0;
}

Interpreter::Plan Interpreter::prepare(int64_t* result) {
  *result = -EFAULT;
  if (inline_ && ((atom_.flags & SYSLET_ASYNC) || run_.steps >= kMaxInlineSteps)) return Plan::kHandOver;
  if (atom_.ret_ptr != 0 && !reaches(atom_.ret_ptr)) {  // the result could not be stored: the call is not made
    atom_.ret_ptr = 0;
    if (op_.call.transferred == 0) return Plan::kResult;
  }
  if (op_.call.transferred > 0) return prepare_rest(result);
  call_.transferred = 0;
  memset(call_.args, 0, sizeof call_.args);
  for (int i = 0; i < 6 && atom_.arg_ptr[i] != 0; ++i) {
    if (!reaches(atom_.arg_ptr[i])) return Plan::kResult;
    call_.args[i] = load_word(atom_.arg_ptr[i]);
  }
  if (atom_.nr >= SYSLET_NR_UMEM_ADD) return prepare_own_call(result);
  call_.nr = atom_.nr;
  const SyscallRule* rule;
  if (int error = policy_admit(call_, ACALL_SUBMIT_THREAD_POOL, &rule); error != 0) {
    *result = error;
    return Plan::kResult;
  }
  if (rule == nullptr) {
    *result = -ENOSYS;
    return Plan::kResult;
  }
  may_block_ = !(rule->flags & kCallNeverBlocks);
  if (inline_) {
    inline_mark(call_, rule);
    if (!(call_.flags & Call::kInline)) return Plan::kHandOver;
  }
  int error = check_pointers(rule, call_, memory_);
  if (error == 0) {
    show(call_.flags & Call::kShown);
    if (!is_cancelled()) return Plan::kCall;
    show(0);
  }
  call_.drop();
  *result = error;
  return error == 0 ? Plan::kCancelled : Plan::kResult;
}

Interpreter::Plan Interpreter::prepare_rest(int64_t* result) {
  op_.call.move_rest(call_);
  may_block_ = true;
  show(kOpKernelHoldsArena);
  if (!is_cancelled()) return Plan::kCall;
  show(0);
  *result = static_cast<int64_t>(call_.transferred);
  call_.copy_back(*result);
  call_.drop();
  return Plan::kResult;
}

Interpreter::Plan Interpreter::prepare_own_call(int64_t* result) {
  const uint64_t at = call_.args[0], value = call_.args[1];
  if (atom_.nr != SYSLET_NR_UMEM_ADD && (raw_ || atom_.nr > SYSLET_NR_SPLIT)) {
    *result = -ENOSYS;
    return Plan::kResult;
  }
  if (atom_.nr == SYSLET_NR_STOP || atom_.nr == SYSLET_NR_COMPARE) {
    const auto left = static_cast<int64_t>(at), right = static_cast<int64_t>(value);
    *result = atom_.nr == SYSLET_NR_STOP ? left : (left > right) - (left < right);
    return atom_.nr == SYSLET_NR_STOP ? Plan::kStop : Plan::kResult;
  }
  const bool splits = atom_.nr == SYSLET_NR_SPLIT;
  const bool two_words = atom_.nr == SYSLET_NR_LOAD || atom_.nr == SYSLET_NR_MOVE || splits;
  if (!reaches(at) || (two_words && !reaches(value)) || (splits && !reaches(call_.args[2]))) return Plan::kResult;
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
    default:  // close, move, split: no cancel may come between the change of the words and the close
      show(kOpUninterruptible);
      return is_cancelled() ? Plan::kCancelled : Plan::kClose;
  }
  return Plan::kResult;
}

}  // namespace acall
