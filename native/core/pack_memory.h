// The memory of packs: pieces of one size, used again as soon as they are let go, in large pages where the kernel gives
// them, since the page faults of fresh memory cost more than the reading of the files. A slab of 2 MiB holds 32 pieces.
// What is free stays resident up to a limit; beyond it pages go back to the kernel, and slabs when none of their pieces
// is in use. One pool for the process, any thread; a lock guards it.
#ifndef ACALL_CORE_PACK_MEMORY_H_
#define ACALL_CORE_PACK_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "block.h"

namespace acall {

inline constexpr size_t kPieceBytes = size_t{64} * 1024;
// What a piece has room for; the rest of it is the Block itself.
inline constexpr size_t kPieceRoom = kPieceBytes - sizeof(Block);

// A Block of kPieceRoom bytes, not zeroed; nullptr: no memory. block_release() gives it back here.
Block* pack_memory_take();

// For tests: bytes of all slabs, and how much of them is free and still resident.
struct PackMemoryUse {
  size_t mapped, idle;
};
PackMemoryUse pack_memory_use();

}  // namespace acall

#endif  // ACALL_CORE_PACK_MEMORY_H_
