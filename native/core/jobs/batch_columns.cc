// Rows of stat results. See batch_columns.h.
#include "jobs/batch_columns.h"

#include "files/stat_columns.h"

namespace acall {

void Columns::set(size_t row, const struct statx& from) const {
  f64(WideColumn::kSize)[row] = static_cast<double>(from.stx_size);
  f64(WideColumn::kBlocks)[row] = static_cast<double>(from.stx_blocks);
  f64(WideColumn::kAtimeMs)[row] = milliseconds(from.stx_atime);
  f64(WideColumn::kMtimeMs)[row] = milliseconds(from.stx_mtime);
  f64(WideColumn::kCtimeMs)[row] = milliseconds(from.stx_ctime);
  f64(WideColumn::kBirthtimeMs)[row] = milliseconds(from.stx_btime);
  u64(WideColumn::kIno)[row] = from.stx_ino;
  u64(WideColumn::kDev)[row] = device_number(from.stx_dev_major, from.stx_dev_minor);
  u64(WideColumn::kRdev)[row] = device_number(from.stx_rdev_major, from.stx_rdev_minor);
  u32(NarrowColumn::kError)[row] = 0;
  u32(NarrowColumn::kMode)[row] = from.stx_mode;
  u32(NarrowColumn::kNlink)[row] = from.stx_nlink;
  u32(NarrowColumn::kUid)[row] = from.stx_uid;
  u32(NarrowColumn::kGid)[row] = from.stx_gid;
  u32(NarrowColumn::kBlksize)[row] = from.stx_blksize;
  u32(NarrowColumn::kAtimeNsec)[row] = from.stx_atime.tv_nsec;
  u32(NarrowColumn::kMtimeNsec)[row] = from.stx_mtime.tv_nsec;
  u32(NarrowColumn::kCtimeNsec)[row] = from.stx_ctime.tv_nsec;
  u32(NarrowColumn::kBirthtimeNsec)[row] = from.stx_btime.tv_nsec;
}

void Columns::set_error(size_t row, int64_t error) const {
  for (uint32_t wide = 0; wide < WideColumn::kCount; ++wide) u64(wide)[row] = 0;  // 0 as a double too
  for (uint32_t narrow = 0; narrow < NarrowColumn::kCount; ++narrow) u32(narrow)[row] = 0;
  u32(NarrowColumn::kError)[row] = static_cast<uint32_t>(static_cast<int32_t>(error));
}

}  // namespace acall
