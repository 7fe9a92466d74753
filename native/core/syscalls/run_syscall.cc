// One call through KernelEntry. See run_syscall.h.
#include "syscalls/run_syscall.h"

#include "syscalls/dispose.h"
#include "syscalls/kernel_entry.h"

namespace acall {

namespace {

int64_t run_syscall(Operation& op, PoolThread& self) { return KernelEntry(op, self)(op.call); }

}  // namespace

constinit const BackEnd kSyscall{
    .run = run_syscall, .carries = call_carries, .collect = collect_of_call, .disposal = &kCallDisposal};

}  // namespace acall
