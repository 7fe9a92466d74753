// Memory that the core owns for ops: buffers of the promise layer, and copies of arguments that the kernel must not
// read again from memory that JavaScript can change. A block is reference counted, since a batch of ops shares one. Any
// thread may take and release references; there is no lock.
#ifndef ACALL_CORE_BASE_BLOCK_H_
#define ACALL_CORE_BASE_BLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "base/seams.h"

namespace acall {

// Bytes of a block that go back to the caller's memory when the call has returned, because the kernel wrote into the
// copy.
struct CopyBack {
  static constexpr uint32_t kWhole = UINT32_MAX;

  uint64_t to = 0;
  uint32_t from = 0;  // offset into data()
  uint32_t length = 0;
  uint32_t used_at = kWhole;  // offset of the word that says how many bytes the kernel has written; kWhole: all
};
inline constexpr uint32_t kMaxCopyBacks = 8;

struct Block {
  std::atomic<uint32_t> references{1};
  uint32_t copy_back_count = 0;
  size_t size = 0;
  void (*on_free)(Block& block) = nullptr;  // before the memory goes: releases what the bytes refer to
  // Takes the memory back where malloc did not make it; nullptr: free() does. `home` belongs to this function.
  void (*give_back)(Block& block) = nullptr;
  void* home = nullptr;
  CopyBack copy_backs[kMaxCopyBacks];
  alignas(16) unsigned char bytes[];

  unsigned char* data() { return bytes; }
  uint64_t address() const { return reinterpret_cast<uint64_t>(bytes); }
};

inline Block* block_make(size_t size) {
  if (size > SIZE_MAX - sizeof(Block)) return nullptr;
  void* memory = seams.allocate(sizeof(Block) + size);
  if (memory == nullptr) return nullptr;
  Block* block = new (memory) Block();
  block->size = size;
  return block;
}

inline void block_reference(Block& block, uint32_t count = 1) {
  block.references.fetch_add(count, std::memory_order_relaxed);
}

inline void block_release(Block* block, uint32_t count = 1) {
  // acq_rel: the last user sees what all others have written before it frees the memory.
  if (block == nullptr || block->references.fetch_sub(count, std::memory_order_acq_rel) != count) return;
  if (block->on_free != nullptr) block->on_free(*block);
  if (block->give_back != nullptr) return block->give_back(*block);
  free(block);
}

}  // namespace acall

#endif  // ACALL_CORE_BASE_BLOCK_H_
