// The one way into the kernel for whatever runs on behalf of an op: plain calls, stat results, file tasks, jobs, atoms
// of a program. Decides what they have in common: whether restrict() still allows the call, whether it is run again
// after an -EINTR, whether an older call stands in for it. Used by the thread that runs the op.
#ifndef ACALL_CORE_SYSCALLS_KERNEL_ENTRY_H_
#define ACALL_CORE_SYSCALLS_KERNEL_ENTRY_H_

#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <type_traits>

#include "op/operation.h"
#include "syscalls/older_calls.h"
#include "syscalls/policy.h"
#include "threads/invoke.h"

namespace acall {

// An argument as the kernel gets it.
template <typename Value>
uint64_t kernel_argument(Value value) {
  if constexpr (std::is_pointer_v<Value>) {
    return reinterpret_cast<uint64_t>(value);
  } else {
    return static_cast<uint64_t>(value);
  }
}

class KernelEntry {
 public:
  KernelEntry(const Operation& op, PoolThread& self) : op_(op), self_(self) {}

  // A call that somebody asked for and policy_admit() let through. Its result or -errno; -ECANCELED when a cancel came
  // before the kernel was entered. What an inline call has transferred already counts.
  int64_t operator()(const Call& call) const {
    if (call.flags & Call::kUnknown) return -ENOSYS;
    if (!(call.flags & Call::kClosesOurs) && !policy_allows(call.nr)) return call.whole(-EPERM);
    return call.whole(enter(call.nr, call.args, call.flags & Call::kRerun));
  }

  // A call of the core's own, one step of a task; each may be made twice. -ECANCELED also when a cancel has interrupted
  // it, never -EINTR; -EPERM when restrict() took it away. An older call may stand in.
  template <typename... Arguments>
  int64_t operator()(uint32_t nr, Arguments... arguments) const {
    const uint64_t args[6] = {kernel_argument(arguments)...};
    return step(nr, args);
  }

  // For what disposes of something an op holds: closing its descriptors, removing its temporary names. Made also when
  // the op is cancelled, where the stub refuses, and whatever restrict() has taken away. The supervisor sees a thread
  // that is stuck in it.
  template <typename... Arguments>
  static int64_t always(PoolThread& self, uint32_t nr, Arguments... arguments) {
    const uint64_t args[6] = {kernel_argument(arguments)...};
    return enter_or_older(nr, args, [&self](uint32_t number, const uint64_t* values) {
      // Never a close: the number is free after it, and may be somebody else's by now.
      return until_done(
          number != SYS_close, [&] { return invoke_always(self, number, values); }, [] { return false; });
    });
  }

  // 0 or -errno. The number is free after it, interrupted or not.
  static int64_t close_always(PoolThread& self, int fd) {
    const int64_t result = always(self, SYS_close, fd);
    return result == -EINTR || result == -EINPROGRESS ? 0 : result;
  }

  // Somebody has asked for the op's end, and it is in nothing that is never interrupted.
  bool is_cancelled() const {
    // acquire pairs with the canceller, who marks the op before it sends the signal.
    return (op_.state.load(std::memory_order_acquire) & kCancelling) &&
           !(op_.facts.load(std::memory_order_relaxed) & kOpUninterruptible);
  }

  PoolThread& self() const { return self_; }

 private:
  // The one decision about -EINTR. SIGSTOP and SIGCONT, a debugger, a FUSE file system make calls come back: who has
  // not asked for it does not see it. Calls of acall_submit and async_exec always deliver it: see policy_admit().
  template <typename Enter, typename WasAskedFor>
  static int64_t until_done(bool may_rerun, Enter enter_once, WasAskedFor was_asked_for) {
    for (;;) {
      const int64_t result = enter_once();
      if (result != -EINTR || !may_rerun || was_asked_for()) return result;
    }
  }

  int64_t enter(uint32_t nr, const uint64_t args[6], bool may_rerun) const {
    return until_done(
        may_rerun, [&] { return invoke(self_, nr, args); }, [this] { return is_cancelled(); });
  }

  // Inlined, since most steps need no older call, and know so by their number.
  [[gnu::always_inline]] int64_t step(uint32_t nr, const uint64_t args[6]) const {
    return enter_or_older(nr, args, [this](uint32_t number, const uint64_t* values) -> int64_t {
      if (!policy_allows(number)) return -EPERM;
      const int64_t result = enter(number, values, true);
      return result == -EINTR ? -ECANCELED : result;
    });
  }

  const Operation& op_;
  PoolThread& self_;
};

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_KERNEL_ENTRY_H_
