// Which calls are made inline, and how they are counted. See inline_call.h.
#include "inline/inline_call.h"

#include <sys/syscall.h>

#include <atomic>
#include <cerrno>

#include "inline/inline_parts.h"
#include "syscalls/policy.h"

namespace acall {

constinit CancelWord inline_cancel_word{0};

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

// Whether the call never blocks, by its rule.
bool never_blocks(const SyscallRule& rule) { return (rule.flags & kCallNeverBlocks) && rule.place == Place::kAnywhere; }

}  // namespace

void inline_mark(Call& call, const SyscallRule* rule) {
  if (rule == nullptr ? !(call.flags & Call::kUnknown) : rule->place != Place::kAnywhere) return;
  const bool cannot_block = rule == nullptr || never_blocks(*rule);
  if (!cannot_block && !is_stat(call.nr) && !is_transfer(call.nr)) return;
  call.flags |= Call::kInline | (cannot_block ? Call::kNeverBlocks : 0);
}

bool inline_run(Environment& environment, Call& call, int64_t* result) {
  bool hit = false;
  if (call.flags & Call::kUnknown) {
    *result = -ENOSYS;
    hit = true;
  } else if (!policy_allows(call.nr)) {
    hit = false;  // KernelEntry refuses it on the thread that gets it
  } else if (call.flags & Call::kNeverBlocks) {
    hit = true;
    const uint64_t* a = call.args;
    *result = inline_syscall(call.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  } else if (is_stat(call.nr)) {
    hit = inline_stat_call(environment, call, result);
  } else {
    hit = inline_transfer(environment, call, result);
  }
  (hit ? hits : misses).fetch_add(1, std::memory_order_relaxed);
  return hit;
}

void inline_count(bool hit) { (hit ? direct : misses).fetch_add(1, std::memory_order_relaxed); }

InlineCounts inline_counts() {
  const uint64_t without_op = direct.load(std::memory_order_relaxed);
  return {hits.load(std::memory_order_relaxed) + without_op, misses.load(std::memory_order_relaxed), without_op};
}

}  // namespace acall
