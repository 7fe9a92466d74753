// The memory of packs: pieces of one size, used again as soon as they are let go, since the page faults of fresh memory
// cost more than the reading of the files. A slab of 2 MiB holds 32 pieces. What is free stays resident: 16 MiB for
// good, and an eighth of the free memory (256 MiB at most) for half a second after somebody took a piece. No large
// pages: where memory is fragmented the kernel compacts it first, and the first reading takes twice as long. One pool
// for the process, any thread; a lock guards it.
#ifndef ACALL_CORE_BASE_PACK_MEMORY_H_
#define ACALL_CORE_BASE_PACK_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "base/block.h"

namespace acall {

inline constexpr size_t kPieceBytes = size_t{64} * 1024;
// What a piece has room for; the rest of it is the Block itself.
inline constexpr size_t kPieceRoom = kPieceBytes - sizeof(Block);

// A Block of kPieceRoom bytes, not zeroed; nullptr: no memory. block_release() gives it back here.
Block* pack_memory_take();

// How much of it may be idle for that half second; the supervisor tells, who knows the limits of memory.
void pack_memory_keep(uint64_t bytes);

// By the supervisor: gives back what has been idle for too long. Nanoseconds until it wants to be called again;
// UINT64_MAX: not before something is let go of.
uint64_t pack_memory_trim(uint64_t now_ns);

// For tests: bytes of all slabs, and how much of them is free and still resident.
struct PackMemoryUse {
  size_t mapped, idle;
};
PackMemoryUse pack_memory_use();

}  // namespace acall

#endif  // ACALL_CORE_BASE_PACK_MEMORY_H_
