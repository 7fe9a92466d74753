// How a pool thread or an own thread begins, and how it runs an op. See threads_state.h.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "base/signals.h"
#include "completion/complete.h"
#include "threads/finish.h"
#include "threads/threads_state.h"

namespace acall {

void thread_begin(PoolThread& self, const char* name) {
  prctl(PR_SET_NAME, name);
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, cancel_signal());
  pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
  self.tid.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_release);
}

void run_operation(Operation& op, PoolThread& self) {
  op.thread.store(&self, std::memory_order_release);
  uint64_t state = op.state.load(std::memory_order_acquire);
  do {
    if (!(state & kQueued)) {  // cancelled in the queue: others complete it
      operation_unlinked(op);
      return;
    }
  } while (!op.state.compare_exchange_weak(state, (state & ~kPhaseMask) | kRunning, std::memory_order_acq_rel));
  // These counts go down before finish(): a caller that has seen the completion does not find the op among the running.
  if (self.own) {
    threads.own_running.fetch_add(1, std::memory_order_relaxed);
  } else {
    self.busy.store(true, std::memory_order_relaxed);
  }
  int64_t result = op.kind().run(op, self);
  if (self.own) {
    threads.own_running.fetch_sub(1, std::memory_order_relaxed);
  } else {
    self.busy.store(false, std::memory_order_relaxed);
    pool_no_longer_blocked(self);
  }
  finish(op, self, result);
}

}  // namespace acall
