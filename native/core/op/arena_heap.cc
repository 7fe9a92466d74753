// The allocator of arenas. See arena_heap.h.
#include "op/arena_heap.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/seams.h"

namespace acall {

namespace {

constexpr uint32_t kBuckets = 256;
constexpr int kLooks = 8;              // blocks of the same class that find() inspects first
constexpr uint32_t kFirstBlocks = 16;  // one take() may need three
constexpr unsigned kFirstShift = 60;   // 16 chains

Lock heaps_lock;  // guards the next line
ArenaHeap* heaps[kBuckets];

ArenaHeap** bucket_of(uint64_t begin) { return &heaps[((begin >> 4) * 0x9e3779b97f4a7c15ull) >> 56]; }

}  // namespace

ArenaHeap::~ArenaHeap() {
  free(blocks_);
  free(taken_);
}

ArenaHeap* arena_heap_open(uint64_t begin, uint64_t length, bool fresh) {
  Hold hold(heaps_lock);
  ArenaHeap** link = bucket_of(begin);
  while (*link != nullptr && (*link)->begin_ != begin) link = &(*link)->next_;
  ArenaHeap* heap = *link;
  if (heap != nullptr && !fresh) {
    if (!heap->cover(length)) return nullptr;
    ++heap->references_;
    return heap;
  }
  void* memory = seams.allocate(sizeof(ArenaHeap));
  if (memory == nullptr) return nullptr;
  ArenaHeap* made = new (memory) ArenaHeap();
  for (uint32_t& head : made->free_) head = ArenaHeap::kNone;
  made->begin_ = begin;
  if (!made->cover(length)) {
    made->~ArenaHeap();
    free(made);
    return nullptr;
  }
  if (heap != nullptr) {  // its memory has gone; the arenas that still refer to it keep it until they go too
    *link = heap->next_;
    heap->is_listed_ = false;
  }
  made->references_ = 1;
  made->is_listed_ = true;
  made->next_ = *bucket_of(begin);
  *bucket_of(begin) = made;
  return made;
}

void arena_heap_close(ArenaHeap* heap) {
  if (heap == nullptr) return;
  {
    Hold hold(heaps_lock);
    if (--heap->references_ > 0) return;
    if (heap->is_listed_) {
      ArenaHeap** link = bucket_of(heap->begin_);
      while (*link != heap) link = &(*link)->next_;
      *link = heap->next_;
    }
  }
  heap->~ArenaHeap();
  free(heap);
}

bool ArenaHeap::cover(uint64_t length) {
  Hold hold(lock_);
  if (length <= length_) return true;
  if (!reserve()) return false;
  const uint64_t more = length - length_;
  if (last_ != kNone && !blocks_[last_].is_taken) {
    unlist(last_);
    blocks_[last_].length += more;
  } else {
    last_ = make(length_, more, last_, kNone);
  }
  list(last_);
  length_ = length;
  return true;
}

// Makes room for three more blocks, and doubles the number of chains when they have become long.
bool ArenaHeap::reserve() {
  if (capacity_ - used_ < 3) {
    const uint32_t capacity = capacity_ == 0 ? kFirstBlocks : capacity_ * 2;
    if (capacity <= capacity_) return false;
    auto* grown = static_cast<Block*>(seams.allocate(sizeof(Block) * capacity));
    if (grown == nullptr) return false;
    if (used_ > 0) memcpy(grown, blocks_, sizeof(Block) * used_);
    free(blocks_);
    blocks_ = grown;
    capacity_ = capacity;
  }
  const unsigned shift = taken_ == nullptr ? kFirstShift : taken_shift_ - 1;
  if (taken_ != nullptr && taken_count_ < uint64_t{1} << (64 - taken_shift_)) return true;
  const uint64_t chains = uint64_t{1} << (64 - shift);
  auto* heads = static_cast<uint32_t*>(seams.allocate(sizeof(uint32_t) * chains));
  if (heads == nullptr) return false;
  for (uint64_t i = 0; i < chains; ++i) heads[i] = kNone;
  free(taken_);
  taken_ = heads;
  taken_shift_ = shift;
  for (uint32_t at = last_; at != kNone; at = blocks_[at].before) {
    if (!blocks_[at].is_taken) continue;
    uint32_t* chain = chain_of(blocks_[at].offset);
    blocks_[at].next = *chain;
    *chain = at;
  }
  return true;
}

uint32_t ArenaHeap::make(uint64_t offset, uint64_t length, uint32_t before, uint32_t after) {
  uint32_t index = spare_;
  if (index == kNone) {
    index = used_++;
  } else {
    spare_ = blocks_[index].next;
  }
  blocks_[index] = {offset, length, before, after, kNone, kNone, false};
  if (before != kNone) blocks_[before].after = index;
  if (after != kNone) blocks_[after].before = index;
  return index;
}

void ArenaHeap::list(uint32_t index) {
  Block& block = blocks_[index];
  uint32_t& head = free_[class_of(block.length)];
  block.previous = kNone;
  block.next = head;
  if (head != kNone) blocks_[head].previous = index;
  head = index;
}

void ArenaHeap::unlist(uint32_t index) {
  const Block& block = blocks_[index];
  if (block.previous == kNone) {
    free_[class_of(block.length)] = block.next;
  } else {
    blocks_[block.previous].next = block.next;
  }
  if (block.next != kNone) blocks_[block.next].previous = block.previous;
}

void ArenaHeap::swallow_next(uint32_t index) {
  const uint32_t gone = blocks_[index].after;
  blocks_[index].length += blocks_[gone].length;
  blocks_[index].after = blocks_[gone].after;
  if (blocks_[gone].after == kNone) {
    last_ = index;
  } else {
    blocks_[blocks_[gone].after].before = index;
  }
  blocks_[gone].next = spare_;
  spare_ = gone;
}

bool ArenaHeap::fits(const Block& block, uint64_t length, uint64_t align, uint64_t limit) const {
  const uint64_t skip = skip_of(block, align);
  return block.length >= skip && block.length - skip >= length && block.offset + skip + length <= limit;
}

uint32_t ArenaHeap::find(uint64_t length, uint64_t align, uint64_t limit) const {
  const int own = class_of(length);
  int looks = 0;
  for (uint32_t at = free_[own]; at != kNone && looks < kLooks; at = blocks_[at].next, ++looks) {
    if (fits(blocks_[at], length, align, limit)) return at;
  }
  // Every block of the classes above is long enough, wherever it begins.
  for (int above = class_of(length + align - 1) + 1; above < kClasses; ++above) {
    if (free_[above] != kNone && fits(blocks_[free_[above]], length, align, limit)) return free_[above];
  }
  for (int any = own; any < kClasses; ++any) {
    for (uint32_t at = free_[any]; at != kNone; at = blocks_[at].next) {
      if (fits(blocks_[at], length, align, limit)) return at;
    }
  }
  return kNone;
}

int64_t ArenaHeap::take(uint64_t length, uint64_t align, uint64_t limit) {
  if (length == 0) length = 1;  // so that each take has an offset of its own
  Hold hold(lock_);
  if (length > limit) return -ENOSPC;
  if (!reserve()) return -EAGAIN;
  const uint32_t index = find(length, align, limit);
  if (index == kNone) return -ENOSPC;
  unlist(index);
  const uint64_t skip = skip_of(blocks_[index], align);
  if (skip > 0) {
    const uint32_t front = make(blocks_[index].offset, skip, blocks_[index].before, index);
    blocks_[index].offset += skip;
    blocks_[index].length -= skip;
    list(front);
  }
  if (const uint64_t rest = blocks_[index].length - length; rest > 0) {
    const uint32_t behind = make(blocks_[index].offset + length, rest, index, blocks_[index].after);
    blocks_[index].length = length;
    if (last_ == index) last_ = behind;
    list(behind);
  }
  Block& block = blocks_[index];
  block.is_taken = true;
  uint32_t* chain = chain_of(block.offset);
  block.next = *chain;
  *chain = index;
  ++taken_count_;
  return static_cast<int64_t>(block.offset);
}

bool ArenaHeap::give_back(uint64_t offset) {
  Hold hold(lock_);
  if (taken_ == nullptr) return false;
  uint32_t* link = chain_of(offset);
  while (*link != kNone && blocks_[*link].offset != offset) link = &blocks_[*link].next;
  if (*link == kNone) return false;
  uint32_t index = *link;
  *link = blocks_[index].next;
  --taken_count_;
  blocks_[index].is_taken = false;
  const uint32_t after = blocks_[index].after;
  if (after != kNone && !blocks_[after].is_taken) {
    unlist(after);
    swallow_next(index);
  }
  const uint32_t before = blocks_[index].before;
  if (before != kNone && !blocks_[before].is_taken) {
    unlist(before);
    swallow_next(before);
    index = before;
  }
  list(index);
  return true;
}

}  // namespace acall
