// Stat results from statx. See stat_columns.h.
#include "files/stat_columns.h"

#include <sys/syscall.h>

#include "syscalls/kernel_entry.h"

namespace acall {

void to_numbers(const struct statx& from, StatNumbers& into) {
  into.dev = static_cast<double>(device_number(from.stx_dev_major, from.stx_dev_minor));
  into.rdev = static_cast<double>(device_number(from.stx_rdev_major, from.stx_rdev_minor));
  into.ino = static_cast<double>(from.stx_ino);
  into.size = static_cast<double>(from.stx_size);
  into.blocks = static_cast<double>(from.stx_blocks);
  into.atime_ms = milliseconds(from.stx_atime);
  into.mtime_ms = milliseconds(from.stx_mtime);
  into.ctime_ms = milliseconds(from.stx_ctime);
  into.birthtime_ms = milliseconds(from.stx_btime);
  into.mode = from.stx_mode;
  into.nlink = from.stx_nlink;
  into.uid = from.stx_uid;
  into.gid = from.stx_gid;
  into.blksize = from.stx_blksize;
  into.atime_nsec = from.stx_atime.tv_nsec;
  into.mtime_nsec = from.stx_mtime.tv_nsec;
  into.ctime_nsec = from.stx_ctime.tv_nsec;
  into.birthtime_nsec = from.stx_btime.tv_nsec;
  into.padding = 0;
}

void to_integers(const struct statx& from, StatIntegers& into) {
  into.dev = static_cast<int64_t>(device_number(from.stx_dev_major, from.stx_dev_minor));
  into.mode = from.stx_mode;
  into.nlink = from.stx_nlink;
  into.uid = from.stx_uid;
  into.gid = from.stx_gid;
  into.rdev = static_cast<int64_t>(device_number(from.stx_rdev_major, from.stx_rdev_minor));
  into.blksize = from.stx_blksize;
  into.ino = static_cast<int64_t>(from.stx_ino);
  into.size = static_cast<int64_t>(from.stx_size);
  into.blocks = static_cast<int64_t>(from.stx_blocks);
  into.atime_sec = from.stx_atime.tv_sec;
  into.atime_nsec = from.stx_atime.tv_nsec;
  into.mtime_sec = from.stx_mtime.tv_sec;
  into.mtime_nsec = from.stx_mtime.tv_nsec;
  into.ctime_sec = from.stx_ctime.tv_sec;
  into.ctime_nsec = from.stx_ctime.tv_nsec;
  into.birthtime_sec = from.stx_btime.tv_sec;
  into.birthtime_nsec = from.stx_btime.tv_nsec;
}

static int64_t run_stat(Operation& op, PoolThread& self) {
  struct statx result;
  const uint64_t* asked = op.call.args;
  const int64_t rc = KernelEntry(op, self)(SYS_statx, asked[0], asked[1], asked[2], kStatMask, &result);
  if (rc != 0) return rc;
  if (asked[3] != 0) {
    to_integers(result, *static_cast<StatIntegers*>(op.extra));
  } else {
    to_numbers(result, *static_cast<StatNumbers*>(op.extra));
  }
  return 0;
}

constinit const BackEnd kStat{.run = run_stat};

}  // namespace acall
