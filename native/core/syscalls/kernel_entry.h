// The one way into the kernel for every call of an op: plain calls, stats, file tasks, jobs, atoms of a program.
// Decides whether restrict() still allows the call, whether it is made again after an -EINTR, and whether an older call
// takes its place. Used by the thread that runs the op; no lock.
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

  // Makes a call of the user's that policy_admit() has let through. Returns its result or -errno; -ECANCELED when a
  // cancel came before the kernel was entered. Bytes that an inline call has transferred are part of the result.
  int64_t operator()(const Call& call) const {
    if (call.flags & Call::kUnknown) return -ENOSYS;
    if (!(call.flags & Call::kClosesOurs) && !policy_allows(call.nr)) return call.whole(-EPERM);
    return call.whole(enter(call.nr, call.args, call.flags & Call::kRerun));
  }

  // Makes a call of the core, one step of a task, which may be made again after an -EINTR. Returns -ECANCELED also when
  // a cancel has interrupted it, never -EINTR; -EPERM when restrict() has taken it away. An older call may take its
  // place.
  template <typename... Arguments>
  int64_t operator()(uint32_t nr, Arguments... arguments) const {
    const uint64_t args[6] = {kernel_argument(arguments)...};
    return step(nr, args);
  }

  // For calls that dispose of something that an op has: they close its descriptors and remove its temporary names. Made
  // also when the op is cancelled, and whatever restrict() has taken away. The supervisor sees a thread that is blocked
  // in it.
  template <typename... Arguments>
  static int64_t always(PoolThread& self, uint32_t nr, Arguments... arguments) {
    const uint64_t args[6] = {kernel_argument(arguments)...};
    return enter_or_older(nr, args, [&self](uint32_t number, const uint64_t* values) {
      // A close is never made again: the number is free after it, and may belong to another file by now.
      return until_done(
          number != SYS_close, [&] { return invoke_always(self, number, values); }, [] { return false; });
    });
  }

  // 0 or -errno. The number is free afterwards, whether the close was interrupted or not.
  static int64_t close_always(PoolThread& self, int fd) {
    const int64_t result = always(self, SYS_close, fd);
    return result == -EINTR || result == -EINPROGRESS ? 0 : result;
  }

  // Whether the op is cancelled and its call may be interrupted.
  bool is_cancelled() const {
    // acquire pairs with mark() in cancel.cc, which marks the op before the signal is sent.
    return (op_.state.load(std::memory_order_acquire) & kCancelling) &&
           !(op_.facts.load(std::memory_order_relaxed) & kOpUninterruptible);
  }

  PoolThread& self() const { return self_; }

 private:
  // The one decision about -EINTR. SIGSTOP and SIGCONT, a debugger or a FUSE file system also interrupt calls, and an
  // op that nobody has cancelled should not see that. Calls of acall_submit and async_exec always return -EINTR: see
  // policy_admit().
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

  // Inlined, so that for most steps the compiler sees by the number that there is no older call.
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
