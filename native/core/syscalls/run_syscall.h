// The back end of an op that is one call. Run by a pool thread or an own thread; no lock.
#ifndef ACALL_CORE_SYSCALLS_RUN_SYSCALL_H_
#define ACALL_CORE_SYSCALLS_RUN_SYSCALL_H_

#include "op/back_end.h"

namespace acall {

extern const BackEnd kSyscall;

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_RUN_SYSCALL_H_
