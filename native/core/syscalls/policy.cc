// Whether a call may run, by the table of syscalls. See policy.h.
#include "syscalls/policy.h"

#include <cerrno>

#include "abi.h"

namespace acall {

namespace {

constexpr uint32_t kFirstX32 = 0x40000000;  // numbers of the x32 ABI

// Whether an argument that cannot be checked is not null.
bool has_unchecked(const SyscallRule& rule, const uint64_t args[6]) {
  if (!(rule.flags & kCallHasPointers)) return false;
  for (int i = 0; i < rule.nargs; ++i) {
    const ArgKind kind = rule.args[i].kind;
    if (args[i] != 0 && (kind == ArgKind::kNull || kind == ArgKind::kUnchecked)) return true;
  }
  return false;
}

}  // namespace

int policy_admit(Call& call, uint32_t submit_flags, const SyscallRule** found) {
  const bool is_unsafe = submit_flags & ACALL_SUBMIT_UNSAFE;
  const bool in_pool = submit_flags & ACALL_SUBMIT_THREAD_POOL;
  const uint32_t given = call.flags & (Call::kPromise | Call::kClosesOurs);
  const uint32_t nr = call.nr;
  uint32_t flags = given | (is_unsafe ? Call::kUnsafe : 0);
  *found = nullptr;
  const SyscallRule* rule = find_rule(kSyscallTable, nr, call.args);
  if (rule == nullptr) {
    // A number newer than the table may run unchecked; a hole in it and an x32 number never enter the kernel.
    if (!is_unsafe || nr < kSyscallTable.count || nr >= kFirstX32) {
      flags |= Call::kUnknown;
    } else if (!policy_allows(nr)) {
      return -EPERM;
    }
    call.flags = flags;
    return 0;
  }
  if (rule->place == Place::kNever) return -EPERM;
  if (rule->place == Place::kUnsafe && !is_unsafe) return -EPERM;
  if (rule->place == Place::kOwn && in_pool) return -EPERM;
  if (!is_unsafe && has_unchecked(*rule, call.args)) return -EPERM;
  if (!(given & Call::kClosesOurs) && !policy_allows(nr)) return -EPERM;
  if (rule->flags & kCallNeverInterrupted) flags |= Call::kUninterruptible;
  if (rule->flags & kCallReturnsFd) flags |= Call::kReturnsFd;
  if ((rule->flags & kCallRerunnable) && (given & Call::kPromise)) {
    bool finite = false;
    for (int i = 0; i < rule->nargs; ++i) {
      if (!(rule->args[i].flags & kArgTimeout)) continue;
      finite |= is_pointer(rule->args[i].kind) ? call.args[i] != 0 : static_cast<int32_t>(call.args[i]) > 0;
    }
    if (!finite) flags |= Call::kRerun;
  }
  call.flags = flags;
  *found = rule;
  return 0;
}

}  // namespace acall
