// Which ops are tried at once, and what they have in common. See attempt.h.
#include "attempt.h"

#include <sys/syscall.h>

#include <atomic>
#include <cerrno>

#include "attempt_parts.h"
#include "policy.h"

namespace acall {

constinit Worker attempt_worker;

namespace {

std::atomic<uint64_t> hits{0};
std::atomic<uint64_t> misses{0};
std::atomic<uint64_t> direct{0};
std::atomic<uint32_t> positions_held{0};

bool is_stat(uint32_t nr) {
  switch (nr) {
#if defined(SYS_stat)
    case SYS_stat:
    case SYS_lstat:
#endif
    case SYS_statx:
    case SYS_newfstatat:
    case SYS_fstat:
      return true;
    default:
      return false;
  }
}

// Calls that the table knows to never block, by their rule; but not those that change or ask a driver behind a
// descriptor, and those of a file's position, which another call of ours may hold.
bool is_quick(const Operation& op, const SyscallRule& rule) {
  if (!(rule.flags & kCallNeverBlocks) || rule.place != Place::kAnywhere) return false;
  return op.nr != SYS_epoll_ctl;  // asks the file for its readiness: a FUSE file asks its daemon
}

}  // namespace

void attempt_mark(Operation& op, const SyscallRule* rule) {
  const uint32_t facts = op.facts.load(std::memory_order_relaxed);
  if (rule == nullptr ? !(facts & kOpUnknown) : rule->place != Place::kAnywhere) return;
  const bool quick = rule == nullptr || is_quick(op, *rule);
  if (!quick && !is_stat(op.nr) && !is_transfer(op.nr)) return;
  op.facts.store(facts | kOpInline | (quick ? kOpQuick : 0), std::memory_order_relaxed);
}

bool attempt_operation(Environment& environment, Operation& op, int64_t* result) {
  const uint32_t facts = op.facts.load(std::memory_order_relaxed);
  bool hit = false;
  if (facts & kOpUnknown) {
    *result = -ENOSYS;
    hit = true;
  } else if (!policy_allows(op.nr)) {
    hit = false;  // restricted meanwhile: the thread that takes it refuses it
  } else if (facts & kOpQuick) {
    hit = op.nr != SYS_lseek || !positions_are_held() || !has_position(static_cast<int>(op.args[0]));
    if (hit) *result = attempt_syscall(op.nr, op.args[0], op.args[1], op.args[2], op.args[3], op.args[4], op.args[5]);
  } else if (is_stat(op.nr)) {
    hit = attempt_stat_call(environment, op, result);
  } else {
    hit = attempt_transfer(op, result);
  }
  (hit ? hits : misses).fetch_add(1, std::memory_order_relaxed);
  return hit;
}

bool positions_are_held() { return positions_held.load(std::memory_order_acquire) > 0; }

bool attempt_may_hold_position(const Operation& op) {
  switch (op.nr) {
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_lseek:
    case SYS_getdents64:
    case SYS_sendfile:
    case SYS_splice:
    case SYS_copy_file_range:
#if defined(SYS_getdents)
    case SYS_getdents:
#endif
      return true;
    case SYS_preadv2:
    case SYS_pwritev2:
      return op.args[3] == ~uint64_t{0};
    default:
      return false;
  }
}

void attempt_hold_position(Operation& op) {
  // One that is known to have none (a read that waits for a pipe, perhaps for ever) holds up nobody.
  if ((op.facts.load(std::memory_order_relaxed) & kOpInline) && !has_position(static_cast<int>(op.args[0]))) return;
  op.facts.fetch_or(kOpHoldsPosition, std::memory_order_relaxed);
  positions_held.fetch_add(1, std::memory_order_relaxed);
}

void attempt_let_go_of_position() { positions_held.fetch_sub(1, std::memory_order_release); }

void attempt_count(bool hit) { (hit ? direct : misses).fetch_add(1, std::memory_order_relaxed); }

AttemptCounts attempt_counts() {
  const uint64_t without_op = direct.load(std::memory_order_relaxed);
  return {hits.load(std::memory_order_relaxed) + without_op, misses.load(std::memory_order_relaxed), without_op};
}

}  // namespace acall
