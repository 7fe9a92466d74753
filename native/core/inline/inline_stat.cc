// Inline stats: openat2 with RESOLVE_CACHED walks the path in memory or fails, and statx on the descriptor answers from
// a cached inode. See inline_call.h.
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

#include "inline/inline_parts.h"
#include "inline/mounts.h"
#include "syscalls/dispose.h"
#include "syscalls/policy.h"

namespace acall {

namespace {

// Errors of the walk that are the answer. EACCES, ENOENT and their kind come from dentries and inodes in memory, which
// their file system has checked without waiting. Other errors may come from acall's own open (EMFILE), or mean that
// memory is not enough (EAGAIN).
bool is_answer(int64_t error) {
  return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EACCES || error == -ENAMETOOLONG;
}

// A descriptor for one stat. It is closed here when the file has a name, and by a pool thread when it has none or may
// have none: the close of the last descriptor of a removed file frees its blocks, which waits for the disk. (A file
// that loses its last name between statx and close is freed here.)
class Handle {
 public:
  explicit Handle(Environment& environment) : environment_(environment) {}
  ~Handle() {
    if (!owned_) return;
    if (is_doubtful) {
      dispose_close(environment_, fd);
    } else {
      inline_syscall(SYS_close, fd);
    }
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  int64_t open(int dirfd, const char* path, bool follow) {
    open_how how{};
    how.flags = static_cast<uint64_t>(O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    how.resolve = RESOLVE_CACHED;
    const int64_t opened = inline_syscall(SYS_openat2, dirfd, path, &how, sizeof how);
    owned_ = opened >= 0;
    fd = static_cast<int>(opened);
    return opened;
  }

  int fd = -1;
  bool is_doubtful = false;

 private:
  Environment& environment_;
  bool owned_ = false;
};

// An automount point on which nothing is mounted is not answered from memory, with AT_NO_AUTOMOUNT or without: the
// cached walk fails there, and the pool has the answer.
constexpr uint32_t kInlineFlags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

constexpr uint32_t kLookFlags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;

// True: `into` is the stat result of the descriptor, and its file is on a local mount.
bool look(Handle& handle, MountsLook mounts, uint32_t mask, struct statx* into) {
  if (mounts == MountsLook::kLoud && !(policy_allows(SYS_name_to_handle_at) && mounts_descriptor_is_local(handle.fd))) {
    return false;
  }
  const bool is_known = inline_syscall(SYS_statx, handle.fd, "", kLookFlags, mask | STATX_NLINK, into) == 0;
  handle.is_doubtful = !is_known || into->stx_nlink == 0;
  return is_known && mounts_is_local(*into);
}

// Finds the descriptor: opens the path, or uses `dirfd` itself. 1: it is in *handle; 0: no answer; -errno: the answer.
int64_t reach(int dirfd, const char* path, uint32_t flags, Handle* handle) {
  if (path[0] == 0 && (flags & AT_EMPTY_PATH)) {
    if (dirfd < 0) return 0;
    handle->fd = dirfd;
    return 1;
  }
  if (!policy_allows(SYS_openat2)) return 0;
  const int64_t opened = handle->open(dirfd, path, !(flags & AT_SYMLINK_NOFOLLOW));
  if (opened >= 0) return 1;
  return is_answer(opened) ? opened : 0;
}

}  // namespace

bool inline_stat(Environment& environment, int dirfd, const char* path, uint32_t flags, uint32_t mask,
                 struct statx* into, int64_t* result) {
  const MountsLook mounts = mounts_look(environment);
  if (mounts == MountsLook::kNotReady) return false;
  Handle handle(environment);
  const int64_t reached = reach(dirfd, path, flags, &handle);
  if (reached < 0) {
    *result = reached;
    return true;
  }
  if (reached == 0 || !look(handle, mounts, mask, into)) return false;
  *result = 0;
  return true;
}

// stat(2), lstat(2), fstat(2) and newfstatat(2): `into` is the kernel's struct stat, which fstat fills as the plain
// call would.
static bool inline_old_stat(Environment& environment, int dirfd, const char* path, uint32_t flags, uint64_t into,
                            int64_t* result) {
  const MountsLook mounts = mounts_look(environment);
  if (mounts == MountsLook::kNotReady || !policy_allows_all({SYS_statx, SYS_fstat})) return false;
  Handle handle(environment);
  const int64_t reached = reach(dirfd, path, flags, &handle);
  if (reached < 0) {
    *result = reached;
    return true;
  }
  struct statx found;
  struct stat old;  // the kernel's on both architectures
  if (reached == 0 || !look(handle, mounts, STATX_TYPE, &found)) return false;
  if (inline_syscall(SYS_fstat, handle.fd, &old) != 0) return false;
  memcpy(reinterpret_cast<void*>(into), &old, sizeof old);
  *result = 0;
  return true;
}

bool inline_stat_call(Environment& environment, const Call& call, int64_t* result) {
  const uint64_t* a = call.args;
  const auto text = [](uint64_t address) { return reinterpret_cast<const char*>(address); };
  switch (call.nr) {
    case SYS_statx: {
      const auto flags = static_cast<uint32_t>(a[2]);
      struct statx found;
      if ((flags & ~(kInlineFlags | AT_STATX_DONT_SYNC)) || a[1] == 0 || a[4] == 0) return false;
      if (!inline_stat(environment, static_cast<int>(a[0]), text(a[1]), flags, static_cast<uint32_t>(a[3]), &found,
                       result))
        return false;
      if (*result == 0) memcpy(reinterpret_cast<void*>(a[4]), &found, sizeof found);
      return true;
    }
    case SYS_newfstatat: {
      const auto flags = static_cast<uint32_t>(a[3]);
      if ((flags & ~kInlineFlags) || a[1] == 0 || a[2] == 0) return false;
      return inline_old_stat(environment, static_cast<int>(a[0]), text(a[1]), flags, a[2], result);
    }
    case SYS_fstat:
      return a[1] != 0 && inline_old_stat(environment, static_cast<int>(a[0]), "", AT_EMPTY_PATH, a[1], result);
#if defined(SYS_stat)
    case SYS_stat:
      return a[0] != 0 && a[1] != 0 && inline_old_stat(environment, AT_FDCWD, text(a[0]), 0, a[1], result);
    case SYS_lstat:
      return a[0] != 0 && a[1] != 0 &&
             inline_old_stat(environment, AT_FDCWD, text(a[0]), AT_SYMLINK_NOFOLLOW, a[1], result);
#endif
    default:
      return false;
  }
}

}  // namespace acall
