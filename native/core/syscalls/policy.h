// May this call run? Interprets the generated table (policy_table.h), for submitting threads; whether the memory it
// points to is ours is asked in pointer_check.h. The list that restrict() leaves (restrict.cc) is read by every thread
// that starts an op.
#ifndef ACALL_CORE_SYSCALLS_POLICY_H_
#define ACALL_CORE_SYSCALLS_POLICY_H_

#include <cstdint>
#include <initializer_list>
#include <span>

#include "op/call.h"
#include "syscalls/policy_table.h"

namespace acall {

// First half: may the call run with these flags of its submission? 0, -EPERM. Sets the call's flags; kUnknown for
// numbers that never enter the kernel. *rule is null for those, and for numbers newer than the table that `unsafe` lets
// through.
int policy_admit(Call& call, uint32_t submit_flags, const SyscallRule** rule);

// One way: leaves only these numbers, of those that were left.
void policy_restrict(std::span<const uint32_t> numbers);
// False when restrict() has taken the number away.
bool policy_allows(uint32_t nr);
// Whether all of them are left: asked by what takes several calls before its first one touches anything, so that a step
// that is refused leaves nothing half done. Each entry asks again, since another thread may restrict meanwhile; closing
// descriptors that acall opened and removing its own temporary name ask nobody.
bool policy_allows_all(std::initializer_list<uint32_t> numbers);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_POLICY_H_
