// The memory of packs (see read_files.h): pieces of one size that are used again, since the page faults of fresh memory
// cost more than reading the files. A slab of 2 MiB holds 32 pieces. Free pieces stay resident: 16 MiB of them always,
// and as much as pack_memory_keep() allows for half a second after a piece was last taken. No large pages: where memory
// is fragmented the kernel compacts it first, and the first reading takes twice as long.
//
// One pool for the process. Any thread enters; one lock guards all of it.
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

// How many free bytes may stay resident for that half second; at least 16 MiB, at most 256. Called when the limits of
// memory have been read: see pool_growth.cc.
void pack_memory_keep(uint64_t bytes);

// Called by the supervisor: gives back to the kernel what has been idle for too long. Returns the nanoseconds until the
// next call; UINT64_MAX: none is needed before more memory is idle.
uint64_t pack_memory_trim(uint64_t now_ns);

// For tests: the bytes of all slabs, and how many of them are free and still resident.
struct PackMemoryUse {
  size_t mapped, idle;
};
PackMemoryUse pack_memory_use();

}  // namespace acall

#endif  // ACALL_CORE_BASE_PACK_MEMORY_H_
