// The arenas that a call pins, and the memory that a call may point to. Entered by submitting threads, and by the
// threads that run programs.
#ifndef ACALL_CORE_SYSCALLS_PINS_H_
#define ACALL_CORE_SYSCALLS_PINS_H_

#include <cstdint>

#include "op/call.h"

namespace acall {

struct Arena;
struct Environment;

inline constexpr uint32_t kMaxVector = 1024;  // UIO_MAXIOV: the kernel refuses longer vectors before it reads an entry

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

// Pins, for the call, an arena that contains all of [address, address + length). -EFAULT: there is none; -EAGAIN: no
// memory.
int pin_range(Call& call, const Memory& memory, uint64_t address, uint64_t length, Arena** arena = nullptr);

// Whether an arena that the call has pinned contains all of [address, address + length).
bool holds_range(const Call& holder, uint64_t address, uint64_t length);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_PINS_H_
