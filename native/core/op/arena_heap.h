// Which bytes of an arena are taken: one allocator for each memory, wherever it is seen from (a clone of the buffer,
// another Worker), so that no two arenas over the same bytes hand out the same ones. Its books lie outside of the
// memory, where no stray write reaches them, and live as long as some environment has the memory registered.
//
// Any thread; each heap has a lock of its own. Taking and giving back look at a few blocks, however many there are;
// only when no block is surely large enough are the smaller ones looked at one by one.
#ifndef ACALL_CORE_OP_ARENA_HEAP_H_
#define ACALL_CORE_OP_ARENA_HEAP_H_

#include <cstdint>

#include "base/sync.h"

namespace acall {

class ArenaHeap;

// The heap of the memory that begins there, one reference of it; made if there is none. `fresh`: the memory is new, and
// what is known of one that began there is about another that has gone. nullptr: no memory.
ArenaHeap* arena_heap_open(uint64_t begin, uint64_t length, bool fresh);
void arena_heap_close(ArenaHeap* heap);

class ArenaHeap {
 public:
  // The offset of `length` bytes whose address is a multiple of `align` (a power of two), below `limit`; -ENOSPC: there
  // is no room, -EAGAIN: no memory for the books.
  int64_t take(uint64_t length, uint64_t align, uint64_t limit);
  // False: nothing that is taken begins there.
  bool give_back(uint64_t offset);

 private:
  friend ArenaHeap* arena_heap_open(uint64_t begin, uint64_t length, bool fresh);
  friend void arena_heap_close(ArenaHeap* heap);

  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr int kClasses = 64;

  // Blocks cover the memory without gaps. A free one is in the list of its class, a taken one in a chain of `taken_`.
  struct Block {
    uint64_t offset, length;
    uint32_t before, after;  // its neighbours
    uint32_t next, previous;
    bool is_taken;
  };

  static int class_of(uint64_t length) { return 63 - __builtin_clzll(length); }
  uint64_t skip_of(const Block& block, uint64_t align) const { return (0 - (begin_ + block.offset)) & (align - 1); }
  bool fits(const Block& block, uint64_t length, uint64_t align, uint64_t limit) const;
  uint32_t find(uint64_t length, uint64_t align, uint64_t limit) const;
  bool reserve();
  uint32_t make(uint64_t offset, uint64_t length, uint32_t before, uint32_t after);
  void list(uint32_t index);  // among the free ones of its class
  void unlist(uint32_t index);
  void swallow_next(uint32_t index);  // the block after it becomes part of it
  uint32_t* chain_of(uint64_t offset) { return &taken_[(offset * 0x9e3779b97f4a7c15ull) >> taken_shift_]; }
  bool cover(uint64_t length);  // the memory has become longer
  ~ArenaHeap();

  Lock lock_;  // guards everything but the last four
  Block* blocks_ = nullptr;
  uint32_t capacity_ = 0, used_ = 0;
  uint32_t spare_ = kNone;  // blocks that stand for nothing, linked by `next`
  uint32_t free_[kClasses];
  uint32_t* taken_ = nullptr;  // heads of chains, by a hash of the offset
  unsigned taken_shift_ = 64;
  uint64_t taken_count_ = 0;
  uint32_t last_ = kNone;
  uint64_t length_ = 0;

  uint64_t begin_ = 0;
  uint32_t references_ = 0;  // these three under the lock of the list
  bool is_listed_ = false;
  ArenaHeap* next_ = nullptr;
};

}  // namespace acall

#endif  // ACALL_CORE_OP_ARENA_HEAP_H_
