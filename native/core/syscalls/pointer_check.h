// Is the memory that a call points to ours? Interprets the generated table (policy_table.h). Entered by submitting
// threads, and by those that run programs.
#ifndef ACALL_CORE_SYSCALLS_POINTER_CHECK_H_
#define ACALL_CORE_SYSCALLS_POINTER_CHECK_H_

#include <cstdint>

#include "op/call.h"
#include "syscalls/policy_table.h"

namespace acall {

struct Arena;
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

// Second half: every pointer argument lies in registered memory (-EFAULT), arenas are pinned, what must be copied is
// copied into call.copies and call.args points there (-EAGAIN: no memory). With `unsafe` every argument that lies in an
// arena pins it; then `rule` may be null. The caller holds arenas_lock, and on an error drops what the call holds.
int check_pointers(const SyscallRule* rule, Call& call, const Memory& memory);

// Pins the arena that holds [address, address + length) whole for the call. -EFAULT: there is none; -EAGAIN: no memory.
int pin_range(Call& call, const Memory& memory, uint64_t address, uint64_t length, Arena** arena = nullptr);

// Whether one of the arenas that the call has pinned holds [address, address + length) whole.
bool holds_range(const Call& holder, uint64_t address, uint64_t length);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_POINTER_CHECK_H_
