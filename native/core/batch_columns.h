// Stat results as columns: one block that JavaScript looks at as typed arrays. No lock: each thread writes rows of its
// own.
#ifndef ACALL_CORE_BATCH_COLUMNS_H_
#define ACALL_CORE_BATCH_COLUMNS_H_

#include <linux/stat.h>

#include <cstddef>
#include <cstdint>

namespace acall {

// The columns stand one behind the other in this order, each `rows` long, so that the column at place k of the first
// nine begins at 8 * rows * k, and the column at place k of the last ten at 8 * rows * 9 + 4 * rows * k.
//   f64  size, blocks, atimeMs, mtimeMs, ctimeMs, birthtimeMs      u64  ino, dev, rdev
//   i32  error (0 or -errno)      u32  mode, nlink, uid, gid, blksize, atimeNsec, mtimeNsec, ctimeNsec, birthtimeNsec
inline constexpr size_t kColumnsRowBytes = 9 * 8 + 10 * 4;

struct Columns {
  unsigned char* base = nullptr;
  size_t rows = 0;

  double* f64(size_t place) const { return reinterpret_cast<double*>(base + 8 * rows * place); }
  uint64_t* u64(size_t place) const { return reinterpret_cast<uint64_t*>(base + 8 * rows * (6 + place)); }
  uint32_t* u32(size_t place) const { return reinterpret_cast<uint32_t*>(base + 8 * rows * 9 + 4 * rows * place); }

  void set(size_t row, const struct statx& from) const;
  // A row without a result: zero in every other column.
  void set_error(size_t row, int64_t error) const;
};

}  // namespace acall

#endif  // ACALL_CORE_BATCH_COLUMNS_H_
