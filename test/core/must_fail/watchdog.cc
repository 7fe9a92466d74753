// The faults that the watchdog must report, each in a process of its own: an inline call that sleeps, and a thread of
// an event loop in state D, in code of acall and elsewhere. A parent of vfork() is in that state until its child ends.
#include "base/watchdog.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support.h"

using namespace support;

namespace {

void sleep_seconds(time_t seconds) {
  const timespec span{seconds, 0};
  nanosleep(&span, nullptr);
}

void wait_in_state_d() {
  if (vfork() != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sleep_seconds(10);
  _exit(0);
}

void sleep_in_inline_call() {
  House house;
  acall::seams.syscall = [](acall::CancelWord&, uint32_t, const uint64_t*) -> int64_t {
    sleep_seconds(10);
    return 0;
  };
  Ticket(house).submit(house, call(ACALL_SUBMIT_INLINE, SYS_getppid));
}

void wait_in_code_of_ours() {
  House house;
  const acall::WatchedCode watched;
  wait_in_state_d();
}

void wait_elsewhere() {
  House house;
  wait_in_state_d();
}

bool is_aborted(void (*fault)()) {
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    fault();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace

int main() {
  bool all = true;
  for (auto fault : {sleep_in_inline_call, wait_in_code_of_ours, wait_elsewhere}) all &= is_aborted(fault);
  return all ? 1 : 0;
}
