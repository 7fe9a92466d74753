// The slabs of pack memory, and when their pages go back to the kernel. See pack_memory.h.
#include "base/pack_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "base/intrusive_list.h"
#include "base/seams.h"
#include "base/sync.h"

namespace acall {

namespace {

constexpr size_t kSlabBytes = size_t{2} << 20;
constexpr uint32_t kPieces = kSlabBytes / kPieceBytes;
constexpr uint32_t kAll = UINT32_MAX;
static_assert(kPieces == 32);
constexpr size_t kMaxIdle = size_t{16} << 20;   // limit of memory: as much as one readFiles() reads ahead
constexpr size_t kMaxKept = size_t{256} << 20;  // limit of memory, however much is free
// A service that reads again and again does so within half a second. Row read-files: a tenth slower when no more than
// kMaxIdle is kept.
constexpr uint64_t kKeepNs = 500'000'000;

struct Slab {
  unsigned char* begin;
  uint32_t free = kAll;   // a bit for each piece
  uint32_t resident = 0;  // the free pieces whose pages have been touched and not been given back to the kernel
  Links<Slab> links = {};
};

constinit Lock pool_lock;                   // guards the next two and every field of a slab but `begin`
LinkedList<Slab, &Slab::links> open_slabs;  // slabs with free pieces, the last used first
uint64_t taken_ns = 0;                      // when a piece was last taken
// Changed under the lock, read without it as a hint.
std::atomic<size_t> mapped_bytes{0};
std::atomic<size_t> idle_bytes{0};
std::atomic<size_t> keep_bytes{kMaxIdle};

Slab* map_slab() {
  void* memory = seams.allocate(sizeof(Slab));
  if (memory == nullptr) return nullptr;
  const size_t wanted = kSlabBytes * 2;  // an aligned slab lies inside
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
  return new (memory) Slab{reinterpret_cast<unsigned char*>(begin)};
}

void unmap(Slab* slab) {
  munmap(slab->begin, kSlabBytes);
  free(slab);
}

// Under the lock. True: no piece of the slab is in use, and the caller unmaps the slab after unlocking. False: the idle
// pages have gone back to the kernel, under the lock, since no thread may take a piece before its pages are gone.
bool shrink(Slab& slab) {
  idle_bytes.fetch_sub(static_cast<size_t>(__builtin_popcount(slab.resident)) * kPieceBytes, std::memory_order_relaxed);
  if (slab.free == kAll) {
    mapped_bytes.fetch_sub(kSlabBytes, std::memory_order_relaxed);
    open_slabs.remove(slab);
    return true;
  }
  for (uint32_t rest = slab.resident; rest != 0; rest &= rest - 1) {
    madvise(slab.begin + static_cast<size_t>(__builtin_ctz(rest)) * kPieceBytes, kPieceBytes, MADV_DONTNEED);
  }
  slab.resident = 0;
  return false;
}

void give_back(Block& block) {
  auto* slab = static_cast<Slab*>(block.home);
  const auto* const piece = reinterpret_cast<unsigned char*>(&block);
  const uint32_t bit = 1u << (static_cast<size_t>(piece - slab->begin) / kPieceBytes);
  bool unmapped = false;
  {
    Hold hold(pool_lock);
    const bool was_full = slab->free == 0;
    slab->free |= bit;
    slab->resident |= bit;
    const size_t idle = idle_bytes.fetch_add(kPieceBytes, std::memory_order_relaxed) + kPieceBytes;
    const bool stays = idle <= kMaxIdle || (idle <= keep_bytes.load(std::memory_order_relaxed) &&
                                            seams.now_ns() < taken_ns + kKeepNs);  // pack_memory_trim() comes later
    if (was_full) {
      open_slabs.push_front(*slab);
    } else if (stays && open_slabs.first() != slab) {
      open_slabs.remove(*slab);
      open_slabs.push_front(*slab);
    }
    if (!stays) unmapped = shrink(*slab);
  }
  if (unmapped) unmap(slab);
}

}  // namespace

Block* pack_memory_take() {
  const uint64_t now_ns = seams.now_ns();
  for (Slab* fresh = nullptr;;) {
    {
      Hold hold(pool_lock);
      if (fresh != nullptr) {
        open_slabs.push_front(*fresh);
        mapped_bytes.fetch_add(kSlabBytes, std::memory_order_relaxed);
      }
      if (Slab* slab = open_slabs.first(); slab != nullptr) {
        const uint32_t from = slab->resident != 0 ? slab->resident : slab->free;
        const uint32_t bit = from & -from;
        slab->free &= ~bit;
        if (slab->resident & bit) {
          slab->resident &= ~bit;
          idle_bytes.fetch_sub(kPieceBytes, std::memory_order_relaxed);
        }
        taken_ns = now_ns;
        if (slab->free == 0) open_slabs.remove(*slab);
        unsigned char* piece = slab->begin + static_cast<size_t>(__builtin_ctz(bit)) * kPieceBytes;
        auto* block = new (piece) Block();
        block->size = kPieceRoom;
        block->home = slab;
        block->give_back = give_back;
        return block;
      }
    }
    fresh = map_slab();
    if (fresh == nullptr) return nullptr;
  }
}

void pack_memory_keep(uint64_t bytes) {
  keep_bytes.store(std::clamp<uint64_t>(bytes, kMaxIdle, kMaxKept), std::memory_order_relaxed);
}

uint64_t pack_memory_trim(uint64_t now_ns) {
  while (mapped_bytes.load(std::memory_order_relaxed) > kMaxIdle) {
    Slab* slab;
    bool unmapped;
    {
      Hold hold(pool_lock);  // for one slab at a time: a reading thread waits no longer than that
      const uint64_t idle_ns = now_ns > taken_ns ? now_ns - taken_ns : 0;
      if (idle_ns < kKeepNs) return kKeepNs - idle_ns;  // also while every piece is in use: some may be idle by then
      if (idle_bytes.load(std::memory_order_relaxed) <= kMaxIdle) break;
      slab = open_slabs.last();
      // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a slab is unlinked before it is unmapped
      while (slab != nullptr && slab->resident == 0) slab = open_slabs.before(*slab);
      if (slab == nullptr) break;
      unmapped = shrink(*slab);
    }
    if (unmapped) unmap(slab);
  }
  return UINT64_MAX;
}

PackMemoryUse pack_memory_use() {
  Hold hold(pool_lock);
  return {mapped_bytes.load(std::memory_order_relaxed), idle_bytes.load(std::memory_order_relaxed)};
}

}  // namespace acall
