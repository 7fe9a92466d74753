// See pack_memory.h.
#include "pack_memory.h"

#include <sys/mman.h>

#include <new>

#include "sync.h"

namespace acall {

namespace {

constexpr size_t kSlabBytes = size_t{2} << 20;  // a large page of x64, and of arm64 with small pages of 4 KiB
constexpr uint32_t kPieces = kSlabBytes / kPieceBytes;
constexpr uint32_t kAll = UINT32_MAX;
static_assert(kPieces == 32);
constexpr size_t kMaxIdle = size_t{16} << 20;  // as much as a reading that nobody takes from has in hand

struct Slab {
  unsigned char* begin;
  uint32_t free = kAll;      // a bit for each piece
  uint32_t resident = 0;     // of the free ones, those that have been used and not been given back to the kernel
  Slab* previous = nullptr;  // list of slabs with free pieces, the last used first
  Slab* next = nullptr;
};

// Guarded by the lock, as all in every slab but `begin`.
constinit Lock pool_lock;
Slab* open_slabs = nullptr;
size_t mapped_bytes = 0, idle_bytes = 0;

void link_first(Slab& slab) {
  slab.previous = nullptr;
  slab.next = open_slabs;
  if (open_slabs != nullptr) open_slabs->previous = &slab;
  open_slabs = &slab;
}

void unlink(Slab& slab) {
  (slab.previous == nullptr ? open_slabs : slab.previous->next) = slab.next;
  if (slab.next != nullptr) slab.next->previous = slab.previous;
}

// Its first slab a process may need for a few files only: those get no large page.
Slab* map_slab(bool large) {
  void* memory = seams.allocate(sizeof(Slab));
  if (memory == nullptr) return nullptr;
  const size_t wanted = kSlabBytes * 2;  // so that an aligned slab lies inside
  void* mapped = mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    free(memory);
    return nullptr;
  }
  const auto from = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t begin = (from + kSlabBytes - 1) & ~(kSlabBytes - 1);
  if (begin > from) munmap(mapped, begin - from);
  if (const uintptr_t end = begin + kSlabBytes; end < from + wanted)
    munmap(reinterpret_cast<void*>(end), from + wanted - end);
  auto* slab = new (memory) Slab{reinterpret_cast<unsigned char*>(begin)};
  if (large) madvise(slab->begin, kSlabBytes, MADV_HUGEPAGE);
  return slab;
}

void give_back(Block& block) {
  auto* slab = static_cast<Slab*>(block.home);
  auto* const piece = reinterpret_cast<unsigned char*>(&block);
  const uint32_t bit = 1u << (static_cast<size_t>(piece - slab->begin) / kPieceBytes);
  bool unmapped;
  {
    Hold hold(pool_lock);
    const bool is_resident = idle_bytes < kMaxIdle;
    if (slab->free == 0) {
      link_first(*slab);
    } else if (is_resident && open_slabs != slab) {
      unlink(*slab);
      link_first(*slab);
    }
    slab->free |= bit;
    if (is_resident) {
      slab->resident |= bit;
      idle_bytes += kPieceBytes;
      return;
    }
    unmapped = slab->free == kAll;
    if (unmapped) {
      idle_bytes -= static_cast<size_t>(__builtin_popcount(slab->resident)) * kPieceBytes;
      mapped_bytes -= kSlabBytes;
      unlink(*slab);
    } else {
      // Under the lock: nobody may take the piece before its pages are gone.
      madvise(piece, kPieceBytes, MADV_DONTNEED);
    }
  }
  if (!unmapped) return;
  munmap(slab->begin, kSlabBytes);
  free(slab);
}

}  // namespace

Block* pack_memory_take() {
  for (Slab* fresh = nullptr;;) {
    {
      Hold hold(pool_lock);
      if (fresh != nullptr) {
        link_first(*fresh);
        mapped_bytes += kSlabBytes;
      }
      if (Slab* slab = open_slabs; slab != nullptr) {
        const uint32_t from = slab->resident != 0 ? slab->resident : slab->free;
        const uint32_t bit = from & -from;
        slab->free &= ~bit;
        if (slab->resident & bit) {
          slab->resident &= ~bit;
          idle_bytes -= kPieceBytes;
        }
        if (slab->free == 0) unlink(*slab);
        unsigned char* piece = slab->begin + static_cast<size_t>(__builtin_ctz(bit)) * kPieceBytes;
        auto* block = new (piece) Block();
        block->size = kPieceRoom;
        block->home = slab;
        block->give_back = give_back;
        return block;
      }
    }
    fresh = map_slab(pack_memory_use().mapped > 0);
    if (fresh == nullptr) return nullptr;
  }
}

PackMemoryUse pack_memory_use() {
  Hold hold(pool_lock);
  return {mapped_bytes, idle_bytes};
}

}  // namespace acall
