// The calls that restrict() allows. See policy.h.
#include <atomic>

#include "base/sync.h"
#include "syscalls/policy.h"

namespace acall {

namespace {

constexpr uint32_t kRestrictWords = 16;  // 1,024 numbers

// A bit for each number. After the first restrict() bits are only cleared, so readers need no lock.
std::atomic<uint64_t> allowed[kRestrictWords];  // set by the first restrict()
std::atomic<bool> restricted{false};
Lock restrict_lock;  // guards changes: one restrict() at a time

}  // namespace

void policy_restrict(std::span<const uint32_t> numbers) {
  uint64_t bits[kRestrictWords] = {};
  for (const uint32_t nr : numbers) {
    if (nr < kRestrictWords * 64) bits[nr / 64] |= uint64_t{1} << (nr % 64);
  }
  Hold hold(restrict_lock);
  const bool narrowed_before = restricted.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < kRestrictWords; ++i) {
    if (narrowed_before) {
      allowed[i].fetch_and(bits[i], std::memory_order_relaxed);
    } else {
      allowed[i].store(bits[i], std::memory_order_relaxed);
    }
  }
  restricted.store(true, std::memory_order_release);  // the bits are stored before; pairs with policy_allows()
}

bool policy_allows(uint32_t nr) {
  if (!restricted.load(std::memory_order_acquire)) return true;
  return nr < kRestrictWords * 64 && (allowed[nr / 64].load(std::memory_order_relaxed) >> (nr % 64) & 1);
}

bool policy_allows_all(std::initializer_list<uint32_t> numbers) {
  if (!restricted.load(std::memory_order_acquire)) return true;
  for (const uint32_t nr : numbers) {
    if (!policy_allows(nr)) return false;
  }
  return true;
}

}  // namespace acall
