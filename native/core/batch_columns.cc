// Rows of stat results. See batch_columns.h.
#include "batch_columns.h"

#include "stat_columns.h"

namespace acall {

void Columns::set(size_t row, const struct statx& from) const {
  f64(0)[row] = static_cast<double>(from.stx_size);
  f64(1)[row] = static_cast<double>(from.stx_blocks);
  f64(2)[row] = milliseconds(from.stx_atime);
  f64(3)[row] = milliseconds(from.stx_mtime);
  f64(4)[row] = milliseconds(from.stx_ctime);
  f64(5)[row] = milliseconds(from.stx_btime);
  u64(0)[row] = from.stx_ino;
  u64(1)[row] = device_number(from.stx_dev_major, from.stx_dev_minor);
  u64(2)[row] = device_number(from.stx_rdev_major, from.stx_rdev_minor);
  u32(0)[row] = 0;
  u32(1)[row] = from.stx_mode;
  u32(2)[row] = from.stx_nlink;
  u32(3)[row] = from.stx_uid;
  u32(4)[row] = from.stx_gid;
  u32(5)[row] = from.stx_blksize;
  u32(6)[row] = from.stx_atime.tv_nsec;
  u32(7)[row] = from.stx_mtime.tv_nsec;
  u32(8)[row] = from.stx_ctime.tv_nsec;
  u32(9)[row] = from.stx_btime.tv_nsec;
}

void Columns::set_error(size_t row, int64_t error) const {
  for (size_t place = 0; place < 6; ++place) f64(place)[row] = 0;
  for (size_t place = 0; place < 3; ++place) u64(place)[row] = 0;
  u32(0)[row] = static_cast<uint32_t>(static_cast<int32_t>(error));
  for (size_t place = 1; place < 10; ++place) u32(place)[row] = 0;
}

}  // namespace acall
