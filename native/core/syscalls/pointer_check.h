// The second half of admission: whether the memory that a call points to is registered or the core's. Reads the
// generated table (policy_table.h). Entered by submitting threads, and by threads that run programs, under arenas_lock
// where arenas are concerned.
#ifndef ACALL_CORE_SYSCALLS_POINTER_CHECK_H_
#define ACALL_CORE_SYSCALLS_POINTER_CHECK_H_

#include <cstdint>

#include "op/call.h"
#include "syscalls/policy_table.h"

namespace acall {

struct Arena;
struct Environment;

// Memory of the core that the arguments of a call of the promise layer may point to, besides arenas.
struct Segment {
  uint64_t begin;
  uint64_t end;
};
struct Memory {
  Environment& environment;
  const Segment* segments = nullptr;
  uint32_t segment_count = 0;
  const Call* holder = nullptr;  // of a program: only arenas that this call has pinned count, and no pins are added
};

// Checks that every pointer argument lies in registered memory (-EFAULT), pins arenas, copies what must be copied into
// call.copies and makes call.args point there (-EAGAIN: no memory). With `unsafe` every argument that lies in an arena
// pins it, and `rule` may be null. On an error the caller drops what the call has. The caller holds arenas_lock, except
// for a program whose memory is all the core's.
int check_pointers(const SyscallRule* rule, Call& call, const Memory& memory);

// Pins, for the call, an arena that contains all of [address, address + length). -EFAULT: there is none; -EAGAIN: no
// memory.
int pin_range(Call& call, const Memory& memory, uint64_t address, uint64_t length, Arena** arena = nullptr);

// Whether an arena that the call has pinned contains all of [address, address + length).
bool holds_range(const Call& holder, uint64_t address, uint64_t length);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_POINTER_CHECK_H_
