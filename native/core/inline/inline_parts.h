// The functions that inline_call.cc, inline_stat.cc and inline_transfer.cc share; no other file includes this one.
// Entered by submitting threads, no lock held.
#ifndef ACALL_CORE_INLINE_INLINE_PARTS_H_
#define ACALL_CORE_INLINE_INLINE_PARTS_H_

#include "base/seams.h"
#include "base/watchdog.h"
#include "inline/inline_call.h"
#include "syscalls/kernel_entry.h"

namespace acall {

// The cancel word of inline calls, which nobody cancels: always 0.
extern CancelWord inline_cancel_word;

// Makes a call through the seam.

template <typename... Arguments>
int64_t inline_syscall(long nr, Arguments... arguments) {
  const uint64_t args[6] = {kernel_argument(arguments)...};
  [[maybe_unused]] const WatchedCall watched(nr);
  return seams.syscall(inline_cancel_word, static_cast<uint32_t>(nr), args);
}

bool inline_stat_call(Environment& environment, const Call& call, int64_t* result);

// Sends and receives. Also when inline_transfer() is false, the call may have transferred a part of its bytes.
bool is_transfer(uint32_t nr);
bool inline_transfer(Environment& environment, Call& call, int64_t* result);

}  // namespace acall

#endif  // ACALL_CORE_INLINE_INLINE_PARTS_H_
