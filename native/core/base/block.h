// Memory the core owns on behalf of ops: copies of arguments the kernel must not re-read from memory that JavaScript
// can change, buffers of the promise layer. Reference counted, since a batch of ops shares one block. Any thread.
#ifndef ACALL_CORE_BASE_BLOCK_H_
#define ACALL_CORE_BASE_BLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "base/seams.h"

namespace acall {

// What goes back to the caller's memory when the call has returned: what the kernel wrote into our copy.
struct CopyBack {
  static constexpr uint32_t kWhole = UINT32_MAX;

  uint64_t to = 0;
  uint32_t from = 0;  // offset into data()
  uint32_t length = 0;
  uint32_t used_at = kWhole;  // of the word that says how many of the bytes the kernel has written; kWhole: all
};
inline constexpr uint32_t kMaxCopyBacks = 8;

struct Block {
  std::atomic<uint32_t> references{1};
  uint32_t copy_back_count = 0;
  size_t size = 0;
  void (*on_free)(Block& block) = nullptr;  // lets go of what the bytes refer to
  // Of memory that is not malloc's: takes it back; `home` is its own.
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
  // acq_rel: the last user sees what all others wrote before it frees the memory.
  if (block == nullptr || block->references.fetch_sub(count, std::memory_order_acq_rel) != count) return;
  if (block->on_free != nullptr) block->on_free(*block);
  if (block->give_back != nullptr) return block->give_back(*block);
  free(block);
}

}  // namespace acall

#endif  // ACALL_CORE_BASE_BLOCK_H_
