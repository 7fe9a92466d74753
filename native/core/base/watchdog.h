// Debug builds only (-DACALL_WATCHDOG): the watchdog, a thread that watches the threads of event loops. It aborts the
// process when such a thread sleeps or runs for 5 ms in one inline call, is in state D for 5 ms in code of acall, or is
// in state D for two seconds in any code (callers may make calls of their own that wait for a disk). In all other
// builds these classes and functions are empty. Entered by threads of event loops; there is no lock.
#ifndef ACALL_CORE_BASE_WATCHDOG_H_
#define ACALL_CORE_BASE_WATCHDOG_H_

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

// Around code of acall on the thread of an event loop; may be nested.
class WatchedCode {
 public:
  WatchedCode();
  ~WatchedCode();
  WatchedCode(const WatchedCode&) = delete;
  WatchedCode& operator=(const WatchedCode&) = delete;
};

// The calling thread begins, or ends, to run the event loop of one environment. A thread may run those of several.
void watchdog_loop_begins();
void watchdog_loop_ends();
#else
class WatchedCall {
 public:
  explicit WatchedCall(long) {}
};
class WatchedCode {};
inline void watchdog_loop_begins() {}
inline void watchdog_loop_ends() {}
#endif

}  // namespace acall

#endif  // ACALL_CORE_BASE_WATCHDOG_H_
