// Claims that the owner takes one by one while other threads take the rest.
#include "base/claim_range.h"

#include <atomic>
#include <thread>
#include <vector>

#include "base/sync.h"
#include "check.h"

using acall::ClaimRange;

TEST("what was claimed is begun in order, and what is left is taken back whole") {
  ClaimRange range;
  uint32_t index = 99, first = 99;
  CHECK_EQ(range.left(), 0);
  CHECK(!range.take_one(&index));
  CHECK_EQ(range.take_rest(&first), 0);
  range.refill(5);
  CHECK_EQ(range.left(), 5);
  CHECK(range.take_one(&index));
  CHECK_EQ(index, 0);
  CHECK(range.take_one(&index));
  CHECK_EQ(index, 1);
  CHECK_EQ(range.take_rest(&first), 3);
  CHECK_EQ(first, 2);
  CHECK(!range.take_one(&index));
  CHECK_EQ(range.take_rest(&first), 0);
  range.refill(UINT32_MAX);
  CHECK_EQ(range.take_rest(&first), UINT32_MAX);
}

TEST("each thing is begun or taken back exactly once, whoever is faster") {
  constexpr uint32_t kRounds = 20'000, kThings = 16;
  ClaimRange range;
  acall::Lock lock;  // for take_rest() and refill(), as in the pool
  std::atomic<bool> over{false};
  std::vector<std::atomic<uint32_t>> seen(kThings);
  std::thread thief([&] {
    while (!over.load()) {
      acall::Hold hold(lock);
      uint32_t first;
      const uint32_t count = range.take_rest(&first);
      for (uint32_t i = first; i < first + count; ++i) ++seen[i];
    }
  });
  uint32_t begun = 0;
  for (uint32_t round = 1; round <= kRounds; ++round) {
    {
      acall::Hold hold(lock);
      range.refill(kThings);
    }
    uint32_t index;
    for (; range.take_one(&index); ++begun) ++seen[index];
    acall::Hold hold(lock);
    for (const std::atomic<uint32_t>& times : seen) {
      if (!CHECK_EQ(times.load(), round)) round = kRounds;
    }
  }
  over.store(true);
  thief.join();
  CHECK(begun > 0);
}
