// newfstatat in the place of statx. See older_calls.h.
#include "syscalls/older_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>

namespace acall {

static_assert(sizeof(struct stat) <= kStatBytes);

std::atomic<bool> statx_is_missing{false};

namespace {

statx_timestamp time_of(const timespec& time) {
  statx_timestamp result{};
  result.tv_sec = time.tv_sec;
  result.tv_nsec = static_cast<uint32_t>(time.tv_nsec);
  return result;
}

}  // namespace

void statx_to_fstatat(const uint64_t args[6], void* result, uint64_t older[6]) {
  older[0] = args[0];
  older[1] = args[1];
  older[2] = reinterpret_cast<uint64_t>(result);
  older[3] = args[2] & ~static_cast<uint64_t>(AT_STATX_SYNC_TYPE);
  older[4] = older[5] = 0;
}

void fstatat_to_statx(const void* result, uint64_t into) {
  struct stat from;
  memcpy(&from, result, sizeof from);
  struct statx to {};
  to.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
  to.stx_blksize = static_cast<uint32_t>(from.st_blksize);
  to.stx_nlink = static_cast<uint32_t>(from.st_nlink);
  to.stx_uid = from.st_uid;
  to.stx_gid = from.st_gid;
  to.stx_mode = static_cast<uint16_t>(from.st_mode);
  to.stx_ino = from.st_ino;
  to.stx_size = static_cast<uint64_t>(from.st_size);
  to.stx_blocks = static_cast<uint64_t>(from.st_blocks);
  to.stx_atime = time_of(from.st_atim);
  to.stx_mtime = time_of(from.st_mtim);
  to.stx_ctime = time_of(from.st_ctim);
  to.stx_btime = to.stx_ctime;
  to.stx_rdev_major = major(from.st_rdev);
  to.stx_rdev_minor = minor(from.st_rdev);
  to.stx_dev_major = major(from.st_dev);
  to.stx_dev_minor = minor(from.st_dev);
  memcpy(reinterpret_cast<void*>(into), &to, sizeof to);
}

}  // namespace acall
