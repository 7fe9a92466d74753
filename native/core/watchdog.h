// Debug builds only (-DACALL_WATCHDOG): a thread that watches the calls that are made inline, on event loops, and
// aborts the process when one of them sleeps in the kernel for 5 ms, or runs there for so long. In all other builds
// there is nothing of it.
#ifndef ACALL_CORE_WATCHDOG_H_
#define ACALL_CORE_WATCHDOG_H_

namespace acall {

#if defined(ACALL_WATCHDOG)
// Around one inline call, on the thread that makes it.
class WatchedCall {
 public:
  explicit WatchedCall(long nr);
  ~WatchedCall();
  WatchedCall(const WatchedCall&) = delete;
  WatchedCall& operator=(const WatchedCall&) = delete;
};
#else
class WatchedCall {
 public:
  explicit WatchedCall(long) {}
};
#endif

}  // namespace acall

#endif  // ACALL_CORE_WATCHDOG_H_
