// The first half of admission: whether a call may run, by the generated table (policy_table.h) and by restrict().
// pointer_check.h has the second half. Entered by submitting threads, by threads that run programs, and, for what
// restrict() has left, by every thread that makes calls of ops. No lock but one for restrict() itself.
#ifndef ACALL_CORE_SYSCALLS_POLICY_H_
#define ACALL_CORE_SYSCALLS_POLICY_H_

#include <cstdint>
#include <initializer_list>
#include <span>

#include "op/call.h"
#include "syscalls/policy_table.h"

namespace acall {

// Whether the call may run with these flags of its submission: 0 or -EPERM. Sets the call's flags; kUnknown for numbers
// that never enter the kernel. *rule is null for these, and for numbers newer than the table that `unsafe` lets
// through.
int policy_admit(Call& call, uint32_t submit_flags, const SyscallRule** rule);

// restrict(): of the numbers that are still allowed, allows only these from now on.
void policy_restrict(std::span<const uint32_t> numbers);
// False when restrict() has taken the number away.
bool policy_allows(uint32_t nr);
// Whether all of them are allowed. A task of several calls checks this before its first call, so that no refused step
// leaves it half done. KernelEntry checks each call again, since another thread may call restrict() meanwhile;
// KernelEntry::always() checks nothing.
bool policy_allows_all(std::initializer_list<uint32_t> numbers);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_POLICY_H_
