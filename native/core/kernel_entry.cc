// Plain calls. See kernel_entry.h.
#include "kernel_entry.h"

namespace acall {

int64_t run_syscall(Operation& op, Worker& self) { return KernelEntry(op, self)(op.call); }

}  // namespace acall
