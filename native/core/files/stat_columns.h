// One stat of the promise layer: statx into memory of the thread, then the fields that JavaScript uses into a stat
// result that the op keeps alive. Run by a pool thread, or by the submitting thread for an inline stat; no lock.
#ifndef ACALL_CORE_FILES_STAT_COLUMNS_H_
#define ACALL_CORE_FILES_STAT_COLUMNS_H_

#include <linux/stat.h>

#include <cstdint>

#include "op/operation.h"
#include "wire.h"

namespace acall {

// The device number as libuv composes it.
inline uint64_t device_number(uint32_t major, uint32_t minor) {
  return (static_cast<uint64_t>(major & 0xfffff000u) << 32) | (static_cast<uint64_t>(major & 0xfffu) << 8) |
         (static_cast<uint64_t>(minor & 0xffffff00u) << 12) | (minor & 0xffu);
}

// Node's arithmetic, rounding included: two doubles, no fused multiply-add (-ffp-contract=off).
inline double milliseconds(const statx_timestamp& time) {
  return static_cast<double>(time.tv_sec) * 1000.0 + static_cast<double>(time.tv_nsec) / 1000000.0;
}

inline constexpr uint32_t kStatMask = STATX_BASIC_STATS | STATX_BTIME;

void to_numbers(const struct statx& from, StatNumbers& into);
void to_integers(const struct statx& from, StatIntegers& into);

// The back end of a stat. args: directory descriptor, path, AT_ flags, 1 for integers. extra: StatNumbers or
// StatIntegers.
extern const BackEnd kStat;

}  // namespace acall

#endif  // ACALL_CORE_FILES_STAT_COLUMNS_H_
