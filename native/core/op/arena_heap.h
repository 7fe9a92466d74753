// Which bytes of an arena are taken. There is one allocator for each memory, also when several arenas register it (a
// clone of the buffer, another Worker), so that no two of them hand out the same bytes. Its records lie outside of the
// memory, where no stray write reaches them, and live as long as an environment has the memory registered.
//
// Any thread; each heap has a lock. Taking and giving back inspect a few blocks, however many there are. Only when no
// block is certainly large enough are the smaller ones inspected one by one.
#ifndef ACALL_CORE_OP_ARENA_HEAP_H_
#define ACALL_CORE_OP_ARENA_HEAP_H_

#include <cstdint>

#include "base/sync.h"

namespace acall {

class ArenaHeap;

// Returns one reference to the heap of the memory that begins at `begin`, and makes the heap if there is none.
// `fresh`: the memory is new, and a heap with this address belongs to memory that has gone. nullptr: no memory.
ArenaHeap* arena_heap_open(uint64_t begin, uint64_t length, bool fresh);
void arena_heap_close(ArenaHeap* heap);

class ArenaHeap {
 public:
  // Takes `length` bytes that end at `limit` or before and whose address is a multiple of `align` (a power of two).
  // Returns their offset; -ENOSPC: there is no room, -EAGAIN: no memory for the records.
  int64_t take(uint64_t length, uint64_t align, uint64_t limit);
  // False: no bytes taken begin at this offset.
  bool give_back(uint64_t offset);

 private:
  friend ArenaHeap* arena_heap_open(uint64_t begin, uint64_t length, bool fresh);
  friend void arena_heap_close(ArenaHeap* heap);

  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr int kClasses = 64;

  // Blocks cover the memory without gaps. A free block is in the list of its class, a taken one in a chain of `taken_`.
  struct Block {
    uint64_t offset, length;
    uint32_t before, after;  // neighbours in the memory
    uint32_t next, previous;
    bool is_taken;
  };

  static int class_of(uint64_t length) { return 63 - __builtin_clzll(length); }
  uint64_t skip_of(const Block& block, uint64_t align) const { return (0 - (begin_ + block.offset)) & (align - 1); }
  bool fits(const Block& block, uint64_t length, uint64_t align, uint64_t limit) const;
  uint32_t find(uint64_t length, uint64_t align, uint64_t limit) const;
  bool reserve();
  uint32_t make(uint64_t offset, uint64_t length, uint32_t before, uint32_t after);
  void list(uint32_t index);  // puts a free block into the list of its class
  void unlist(uint32_t index);
  void swallow_next(uint32_t index);  // joins the block with the one after it
  uint32_t* chain_of(uint64_t offset) { return &taken_[(offset * 0x9e3779b97f4a7c15ull) >> taken_shift_]; }
  bool cover(uint64_t length);  // the memory is at least this long
  ~ArenaHeap();

  Lock lock_;  // guards everything but the last four fields
  Block* blocks_ = nullptr;
  uint32_t capacity_ = 0, used_ = 0;
  uint32_t spare_ = kNone;  // unused records, linked by `next`
  uint32_t free_[kClasses];
  uint32_t* taken_ = nullptr;  // heads of chains, by a hash of the offset
  unsigned taken_shift_ = 64;
  uint64_t taken_count_ = 0;
  uint32_t last_ = kNone;
  uint64_t length_ = 0;

  uint64_t begin_ = 0;       // constant
  uint32_t references_ = 0;  // guarded by heaps_lock, as the next two
  bool is_listed_ = false;
  ArenaHeap* next_ = nullptr;
};

}  // namespace acall

#endif  // ACALL_CORE_OP_ARENA_HEAP_H_
