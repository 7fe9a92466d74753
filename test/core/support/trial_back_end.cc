// The trial back end: to add one takes this file and its line in back_ends.txt. Its ops return 42 after a sleep of
// args[0] nanoseconds, which a cancel ends.
#include <sys/syscall.h>
#include <time.h>

#include "op/back_end.h"
#include "syscalls/kernel_entry.h"

namespace {

int64_t run_trial(acall::Operation& op, acall::PoolThread& self) {
  const uint64_t wanted_ns = op.call.args[0];
  const timespec span{static_cast<time_t>(wanted_ns / 1'000'000'000), static_cast<long>(wanted_ns % 1'000'000'000)};
  const int64_t slept = acall::KernelEntry(op, self)(SYS_nanosleep, &span, 0);
  return slept == 0 ? 42 : slept;
}

}  // namespace

extern constinit const acall::BackEnd kTrial;
constinit const acall::BackEnd kTrial{.run = run_trial};
