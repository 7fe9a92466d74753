// What the inline files share: inline_call.cc, inline_stat.cc, inline_transfer.cc. Nobody else includes it.
#ifndef ACALL_CORE_INLINE_INLINE_PARTS_H_
#define ACALL_CORE_INLINE_INLINE_PARTS_H_

#include "base/seams.h"
#include "base/watchdog.h"
#include "inline/inline_call.h"
#include "syscalls/kernel_entry.h"

namespace acall {

// Through the seam, as all calls of ours, but on a thread that nobody cancels.
extern CancelWord inline_cancel_word;

template <typename... Arguments>
int64_t inline_syscall(long nr, Arguments... arguments) {
  const uint64_t args[6] = {kernel_argument(arguments)...};
  [[maybe_unused]] const WatchedCall watched(nr);
  return seams.syscall(inline_cancel_word, static_cast<uint32_t>(nr), args);
}

bool inline_stat_call(Environment& environment, const Call& call, int64_t* result);

// Sends and receives. The call may have got a part of its bytes also when this is false.
bool is_transfer(uint32_t nr);
bool inline_transfer(Environment& environment, Call& call, int64_t* result);

}  // namespace acall

#endif  // ACALL_CORE_INLINE_ATTEMPT_PARTS_H_
