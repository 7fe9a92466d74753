// Temporary names, links, and the rename. See file_tasks_place.h.
#include "files/file_tasks_place.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>

namespace acall {

namespace {

constexpr int kMaxLinks = 40;   // as many as the kernel follows
constexpr int kMaxNames = 100;  // temporary names that are tested before the task gives up

bool put(ByteBuffer& buffer, const char* bytes, size_t length) { return length == 0 || buffer.append(bytes, length); }

}  // namespace

size_t folder_length(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? 0 : static_cast<size_t>(slash - path) + 1;
}

int64_t follow_links(TaskCaller& call, const char* from, ByteBuffer& path) {
  path.clear();
  if (!path.append(from, strlen(from) + 1)) return -ENOMEM;
  for (int links = 0;; ++links) {
    char target[4096];
    int64_t length = call(SYS_readlinkat, AT_FDCWD, path.data(), target, sizeof target);
    if (length == -EINVAL || length == -ENOENT) return 0;  // no link, or no file; a missing folder shows later
    if (length < 0) return length;
    if (links == kMaxLinks) return -ELOOP;
    if (length == sizeof target) return -ENAMETOOLONG;
    ByteBuffer next;
    size_t kept = target[0] == '/' ? 0 : folder_length(path.data());
    if (!put(next, path.data(), kept) || !put(next, target, static_cast<size_t>(length)) || !next.append("", 1))
      return -ENOMEM;
    path.clear();
    if (!path.append(next.data(), next.size())) return -ENOMEM;
  }
}

int64_t make_temporary(TaskCaller& call, const char* path, uint32_t mode, ByteBuffer& temporary) {
  static std::atomic<uint32_t> serial{0};
  const size_t folder = folder_length(path);
  const size_t base = std::min(strlen(path + folder), size_t{200});  // of 255 that a name may have
  for (int tries = 0;; ++tries) {
    char tail[48];
    uint64_t mixed = (seams.now_ns() ^ (static_cast<uint64_t>(getpid()) << 40)) * 0x9e3779b97f4a7c15ull;
    snprintf(tail, sizeof tail, ".%08x%04x.tmp", static_cast<unsigned>(mixed >> 32),
             serial.fetch_add(1, std::memory_order_relaxed) & 0xffff);
    temporary.clear();
    if (!put(temporary, path, folder) || !temporary.append(".", 1) || !put(temporary, path + folder, base) ||
        !temporary.append(tail, strlen(tail) + 1)) {
      return -ENOMEM;
    }
    int64_t fd =
        call(SYS_openat, AT_FDCWD, temporary.data(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd != -EEXIST || tries == kMaxNames) return fd;
  }
}

int64_t place_new(TaskCaller& call, const char* temporary, const char* path) {
  int64_t rc = call(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
  if (rc != -EINVAL && rc != -ENOSYS && rc != -EPERM) return rc;
  // The file system, the kernel or a filter does not allow that. linkat(2) is as exclusive: it adds the name, and the
  // temporary one is removed.
  rc = call(SYS_linkat, AT_FDCWD, temporary, AT_FDCWD, path, 0);
  if (rc == 0) call.remove(temporary);
  if (rc != -EPERM && rc != -EOPNOTSUPP && rc != -ENOSYS && rc != -EMLINK) return rc;
  // Nor does it allow that (FUSE, exFAT). What is left is not atomic: another process may make the file between these
  // two calls.
  struct statx there;
  const int64_t looked = call(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &there);
  if (looked == 0) return -EEXIST;
  return looked == -ENOENT ? call(SYS_renameat, AT_FDCWD, temporary, AT_FDCWD, path) : looked;
}

}  // namespace acall
