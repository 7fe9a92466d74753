// Debug builds only (-DACALL_WATCHDOG): a thread that watches the threads of event loops, and aborts the process when
// one of them sleeps in one inline call for 5 ms, or runs there for so long; when it is in state D for so long in code
// of ours; or in state D anywhere for two seconds, where callers may have calls of their own that wait for a disk. In
// all other builds there is nothing of it.
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

// Around code of ours on the thread of an event loop; may be nested.
class WatchedCode {
 public:
  WatchedCode();
  ~WatchedCode();
  WatchedCode(const WatchedCode&) = delete;
  WatchedCode& operator=(const WatchedCode&) = delete;
};

// On the thread of an event loop: it begins or ends to be one, once for each of its environments.
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
