// Which of the items that a thread has claimed it has not begun yet: the indices [next, end), packed into one word. The
// owner takes them one by one without a lock, while any other thread may take all that are left.
#ifndef ACALL_CORE_BASE_CLAIM_RANGE_H_
#define ACALL_CORE_BASE_CLAIM_RANGE_H_

#include <atomic>
#include <cstdint>

namespace acall {

class ClaimRange {
 public:
  // The range becomes 0 .. count - 1. Called when nothing is left, and never at the same time as take_rest().
  void refill(uint32_t count) {
    // release: the items are stored before the range names them; pairs with the acquire in take_one() and take_rest().
    word_.store(uint64_t{count} << 32, std::memory_order_release);
  }
  // Takes the next index; false: nothing is left.
  bool take_one(uint32_t* index) {
    uint64_t seen = word_.load(std::memory_order_acquire);
    do {
      if (left(seen) == 0) return false;
    } while (!word_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire));
    *index = static_cast<uint32_t>(seen);
    return true;
  }
  // Takes all that are left, from *first on, and returns how many.
  uint32_t take_rest(uint32_t* first) {
    uint64_t seen = word_.load(std::memory_order_acquire);
    while (!word_.compare_exchange_weak(seen, seen >> 32 << 32 | seen >> 32, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
    }
    *first = static_cast<uint32_t>(seen);
    return left(seen);
  }
  // How many are left. Only a hint while others may take.
  uint32_t left() const { return left(word_.load(std::memory_order_relaxed)); }

 private:
  static uint32_t left(uint64_t word) { return static_cast<uint32_t>(word >> 32) - static_cast<uint32_t>(word); }

  std::atomic<uint64_t> word_{0};
};

}  // namespace acall

#endif  // ACALL_CORE_BASE_CLAIM_RANGE_H_
