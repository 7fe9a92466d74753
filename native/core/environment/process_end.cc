// Reads /proc/self/task/TID/syscall. See process_end.h.
#include "environment/process_end.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

namespace acall {

namespace {

constexpr int kMaxDepth = 16;  // a limit: Workers of Workers

// The thread that `tid` waits for in pthread_join, by the futex of that wait: its expected value is the number of the
// other thread, which the kernel clears when that thread ends. 0: `tid` does something else.
int joined_by(int tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[256];
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return 0;
  text[got] = '\0';
  long nr = 0;
  unsigned long address = 0, operation = 0, value = 0;
  if (sscanf(text, "%ld %lx %lx %lx", &nr, &address, &operation, &value) != 4 || nr != SYS_futex) return 0;
  operation &= ~static_cast<unsigned long>(FUTEX_CLOCK_REALTIME);
  if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) return 0;
  return static_cast<int>(value);
}

}  // namespace

bool process_waits_for_this_thread() {
  const auto self = static_cast<int>(syscall(SYS_gettid));
  int thread = getpid();
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    thread = joined_by(thread);
    if (thread <= 0 || thread == self) return thread == self;
  }
  return false;
}

bool process_ends_with_this_thread() { return syscall(SYS_gettid) == getpid(); }

}  // namespace acall
