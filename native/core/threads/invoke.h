// The one place that enters the kernel for an op, so that a cancel is neither lost nor early. The stub in native/arch
// checks the thread's cancel word and executes the instruction between two labels, which the handler in
// cancel_signal.cc knows. Entered by the thread that runs the op, one call at a time; no lock.
#ifndef ACALL_CORE_THREADS_INVOKE_H_
#define ACALL_CORE_THREADS_INVOKE_H_

#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/seams.h"
#include "threads/pool_thread.h"

namespace acall {

// The result of the call or -errno; -ECANCELED when a cancel came before the kernel was entered.
inline int64_t invoke(PoolThread& self, uint32_t nr, const uint64_t args[6]) {
  // The supervisor compares two values of this counter: when it is odd and has not changed, the thread has been inside
  // one call since.
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  int64_t result = seams.syscall(self.cancel_word, nr, args);
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return result;
}

// The same without the stub: the call is made also when the op is cancelled.
inline int64_t invoke_always(PoolThread& self, uint32_t nr, const uint64_t args[6]) {
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  const long rc = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
  const int64_t result = rc == -1 ? -errno : rc;
  self.activity.store(self.activity.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return result;
}

}  // namespace acall

#endif  // ACALL_CORE_THREADS_INVOKE_H_
