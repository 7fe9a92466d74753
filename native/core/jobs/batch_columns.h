// Stat results as columns: one block that JavaScript has as typed arrays. Entered by job threads; no lock, since each
// thread writes other rows.
#ifndef ACALL_CORE_JOBS_BATCH_COLUMNS_H_
#define ACALL_CORE_JOBS_BATCH_COLUMNS_H_

#include <linux/stat.h>

#include <cstddef>
#include <cstdint>

#include "wire.h"

namespace acall {

// The columns of WideColumn and NarrowColumn, each `rows` long.
inline constexpr size_t kColumnsRowBytes =
    WideColumn::kCount * sizeof(uint64_t) + NarrowColumn::kCount * sizeof(uint32_t);

struct Columns {
  unsigned char* base = nullptr;
  size_t rows = 0;

  double* f64(uint32_t wide) const { return reinterpret_cast<double*>(u64(wide)); }
  uint64_t* u64(uint32_t wide) const { return reinterpret_cast<uint64_t*>(base) + rows * wide; }
  uint32_t* u32(uint32_t narrow) const { return reinterpret_cast<uint32_t*>(u64(WideColumn::kCount)) + rows * narrow; }

  void set(size_t row, const struct statx& from) const;
  // Sets the error of a row without a result; its other columns become zero.
  void set_error(size_t row, int64_t error) const;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_BATCH_COLUMNS_H_
