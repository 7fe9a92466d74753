// Which of the things that somebody has claimed are still to be begun: [next, end), packed in one word, so that the
// owner can take them one by one without a lock while another takes back what is left of them.
#ifndef ACALL_CORE_BASE_CLAIM_RANGE_H_
#define ACALL_CORE_BASE_CLAIM_RANGE_H_

#include <atomic>
#include <cstdint>

namespace acall {

class ClaimRange {
 public:
  // By the owner, when nothing is left, and never while somebody takes the rest: things 0 .. count - 1.
  void refill(uint32_t count) {
    // release: the things are there before the range says so; pairs with the acquire in take_one() and take_rest().
    word_.store(uint64_t{count} << 32, std::memory_order_release);
  }
  // The next one; false: nothing is left.
  bool take_one(uint32_t* index) {
    uint64_t seen = word_.load(std::memory_order_acquire);
    do {
      if (left(seen) == 0) return false;
    } while (!word_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire));
    *index = static_cast<uint32_t>(seen);
    return true;
  }
  // All that is left, from *first on: how many.
  uint32_t take_rest(uint32_t* first) {
    uint64_t seen = word_.load(std::memory_order_acquire);
    while (!word_.compare_exchange_weak(seen, seen >> 32 << 32 | seen >> 32, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
    }
    *first = static_cast<uint32_t>(seen);
    return left(seen);
  }
  // A hint, but to whoever keeps the owner and all others from taking.
  uint32_t left() const { return left(word_.load(std::memory_order_relaxed)); }

 private:
  static uint32_t left(uint64_t word) { return static_cast<uint32_t>(word >> 32) - static_cast<uint32_t>(word); }

  std::atomic<uint64_t> word_{0};
};

}  // namespace acall

#endif  // ACALL_CORE_BASE_CLAIM_RANGE_H_
