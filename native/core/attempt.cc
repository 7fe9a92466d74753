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

// Calls that the table knows to never block, by their rule.
bool is_quick(const SyscallRule& rule) { return (rule.flags & kCallNeverBlocks) && rule.place == Place::kAnywhere; }

}  // namespace

void attempt_mark(Operation& op, const SyscallRule* rule) {
  const uint32_t facts = op.facts.load(std::memory_order_relaxed);
  if (rule == nullptr ? !(facts & kOpUnknown) : rule->place != Place::kAnywhere) return;
  const bool quick = rule == nullptr || is_quick(*rule);
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
    hit = false;  // the thread that takes it refuses it, if it is to be refused
  } else if (facts & kOpQuick) {
    hit = true;
    *result = attempt_syscall(op.nr, op.args[0], op.args[1], op.args[2], op.args[3], op.args[4], op.args[5]);
  } else if (is_stat(op.nr)) {
    hit = attempt_stat_call(environment, op, result);
  } else {
    hit = attempt_transfer(environment, op, result);
  }
  (hit ? hits : misses).fetch_add(1, std::memory_order_relaxed);
  return hit;
}

void attempt_count(bool hit) { (hit ? direct : misses).fetch_add(1, std::memory_order_relaxed); }

AttemptCounts attempt_counts() {
  const uint64_t without_op = direct.load(std::memory_order_relaxed);
  return {hits.load(std::memory_order_relaxed) + without_op, misses.load(std::memory_order_relaxed), without_op};
}

}  // namespace acall
