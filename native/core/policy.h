// May this call run, and is the memory it points to ours? Interprets the generated table (policy_table.h). Entered by
// submitting threads; the list that restrict() leaves is read by every thread that starts an op.
#ifndef ACALL_CORE_POLICY_H_
#define ACALL_CORE_POLICY_H_

#include <cstdint>
#include <initializer_list>
#include <span>

#include "call.h"
#include "policy_table.h"

namespace acall {

struct Environment;

// Core-owned memory that the arguments of a promise layer's call may point to, besides arenas.
struct Segment {
  uint64_t begin;
  uint64_t end;
};
struct Memory {
  Environment& environment;
  const Segment* segments = nullptr;
  uint32_t segment_count = 0;
  const Call* holder = nullptr;  // a program: only arenas that its op has pinned count, and none is pinned anew
};

// First half: may the call run with these flags of its submission? 0, -EPERM. Sets the call's flags; kUnknown for
// numbers that never enter the kernel. *rule is null for those, and for numbers newer than the table that `unsafe` lets
// through.
int policy_admit(Call& call, uint32_t submit_flags, const SyscallRule** rule);

// Second half: every pointer argument lies in registered memory (-EFAULT), arenas are pinned, what must be copied is
// copied into call.copies and call.args points there (-EAGAIN: no memory). With `unsafe` every argument that lies in an
// arena pins it; then `rule` may be null. The caller holds arenas_lock, and on an error drops what the call holds.
int policy_check_pointers(const SyscallRule* rule, Call& call, const Memory& memory);

// Pins the arena that holds [address, address + length) whole for the call. -EFAULT: there is none; -EAGAIN: no memory.
int policy_pin(Call& call, const Memory& memory, uint64_t address, uint64_t length, Arena** arena = nullptr);

// One way: leaves only these numbers, of those that were left.
void policy_restrict(std::span<const uint32_t> numbers);
// False when restrict() has taken the number away.
bool policy_allows(uint32_t nr);
// Whether all of them are left: asked by what takes several calls before its first one touches anything, so that a step
// that is refused leaves nothing half done. Each entry asks again, since another thread may restrict meanwhile; closing
// descriptors that acall opened and removing its own temporary name ask nobody.
bool policy_allows_all(std::initializer_list<uint32_t> numbers);

// Whether one of the arenas that the call has pinned holds [address, address + length) whole.
bool policy_holds(const Call& holder, uint64_t address, uint64_t length);

const char* policy_name(uint32_t nr);  // "" when the table does not know it

}  // namespace acall

#endif  // ACALL_CORE_POLICY_H_
