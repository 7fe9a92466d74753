// The one place that enters the kernel for an op, so that a cancel is neither lost nor early. The stub in native/arch
// checks the thread's cancel word and executes the instruction between two labels; the handler in cancel.cc knows the
// labels. Entered only by threads of ours (pool and own); a thread enters one call at a time.
#ifndef ACALL_CORE_THREADS_INVOKE_H_
#define ACALL_CORE_THREADS_INVOKE_H_

#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/seams.h"
#include "threads/pool_thread.h"

namespace acall {

// Result of the call or -errno; -ECANCELED when a cancel came before the kernel was entered.
inline int64_t invoke(PoolThread& self, uint32_t nr, const uint64_t args[6]) {
  // The supervisor compares two looks at this counter: unchanged and odd means inside one call all the while.
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  int64_t result = seams.syscall(self.cancel_word, nr, args);
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return result;
}

// The same without the stub: made also when a cancel has come.
inline int64_t invoke_always(PoolThread& self, uint32_t nr, const uint64_t args[6]) {
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  const long rc = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
  const int64_t result = rc == -1 ? -errno : rc;
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return result;
}

}  // namespace acall

#endif  // ACALL_CORE_THREADS_INVOKE_H_
