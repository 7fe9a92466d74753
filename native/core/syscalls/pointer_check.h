// The second half of admission: whether the memory that a call points to is registered or the core's. Reads the
// generated table (policy_table.h). Entered by submitting threads, and by threads that run programs, under arenas_lock
// where arenas are concerned.
#ifndef ACALL_CORE_SYSCALLS_POINTER_CHECK_H_
#define ACALL_CORE_SYSCALLS_POINTER_CHECK_H_

#include "op/call.h"
#include "syscalls/pins.h"
#include "syscalls/policy_table.h"

namespace acall {

// Checks that every pointer argument lies in registered memory (-EFAULT), pins arenas, copies what must be copied into
// call.copies and makes call.args point there (-EAGAIN: no memory). With `unsafe` every argument that lies in an arena
// pins it, and `rule` may be null. On an error the caller drops what the call has. The caller holds arenas_lock, except
// for a program whose memory is all the core's.
int check_pointers(const SyscallRule* rule, Call& call, const Memory& memory);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_POINTER_CHECK_H_
