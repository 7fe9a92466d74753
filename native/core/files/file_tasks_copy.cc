// copyFile. See file_tasks.h.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/seams.h"
#include "files/file_tasks.h"
#include "files/file_tasks_call.h"
#include "files/file_tasks_place.h"

namespace acall {

namespace {

constexpr uint64_t kPiece = 16 << 20;           // of one copy_file_range: a cancel has effect within milliseconds
constexpr size_t kBuffer = size_t{256} * 1024;  // used where the kernel cannot copy
constexpr int kMaxTries = 8;                    // how often the target is made anew when others make and remove it
constexpr int64_t kCifs = 0xff534d42;

struct Copy {
  TaskCaller& call;
  int from, to;
  bool by_kernel = true;  // copy_file_range has not been refused for these two files
  bool moved = false;     // copy_file_range has copied something
  unsigned char* buffer = nullptr;

  Copy(TaskCaller& caller, int source, int target) : call(caller), from(source), to(target) {}
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy() { free(buffer); }

  // Copies the bytes [at, end), or fewer when the file ends before. Returns where it stopped, or -errno.
  int64_t range(uint64_t at, uint64_t end) {
    while (at < end) {
      int64_t got = by_kernel ? by_range(at, end) : by_hand(at, end);
      if (got < 0) return got;
      if (got == 0 && by_kernel && !moved) {  // for /proc and some network file systems it copies nothing
        by_kernel = false;
        continue;
      }
      if (got == 0) break;
      at += static_cast<uint64_t>(got);
    }
    return static_cast<int64_t>(at);
  }

 private:
  int64_t by_range(uint64_t at, uint64_t end) {
    uint64_t in = at, out = at;
    int64_t got = call(SYS_copy_file_range, from, &in, to, &out, std::min(end - at, kPiece), 0);
    if (got > 0) moved = true;
    // The files are on two file systems, the kernel is old, a filter forbids it, or this kind of file does not allow
    // it.
    const bool is_refused = got == -EXDEV || got == -ENOSYS || got == -EINVAL || got == -EOPNOTSUPP || got == -EPERM ||
                            got == -EBADF || got == -ETXTBSY || got == -EIO;
    if (!is_refused) return got;
    by_kernel = false;
    return by_hand(at, end);
  }

  int64_t by_hand(uint64_t at, uint64_t end) {
    if (buffer == nullptr) buffer = static_cast<unsigned char*>(seams.allocate(kBuffer));
    if (buffer == nullptr) return -ENOMEM;
    int64_t got = call(SYS_pread64, from, buffer, std::min(end - at, uint64_t{kBuffer}), at);
    for (int64_t done = 0; done < got;) {
      int64_t wrote = call(SYS_pwrite64, to, buffer + done, got - done, at + static_cast<uint64_t>(done));
      // Files of /proc have no positions for writing; write(2) returns their real error.
      if (wrote == -ESPIPE) wrote = call(SYS_write, to, buffer + done, got - done);
      if (wrote < 0) return wrote;
      done += wrote;
    }
    return got;
  }
};

// The size of the source now: it may have become shorter.
int64_t size_now(Copy& copy) {
  struct statx info;
  const int64_t rc = copy.call(SYS_statx, copy.from, "", AT_EMPTY_PATH, STATX_SIZE, &info);
  return rc == 0 ? static_cast<int64_t>(info.stx_size) : rc;
}

// Copies the data between holes, so that holes stay holes. When the file ends before `size`, the copy ends there.
int64_t copy_sparse(Copy& copy, uint64_t size) {
  uint64_t at = 0;
  while (at < size) {
    int64_t data = copy.call(SYS_lseek, copy.from, at, SEEK_DATA);
    if (data == -ENXIO) {  // a hole up to the end, which may have moved
      const int64_t now = size_now(copy);
      if (now < 0) return now;
      return static_cast<uint64_t>(now) <= at ? 0 : copy.call(SYS_ftruncate, copy.to, std::min(size, uint64_t(now)));
    }
    if (data < 0) data = static_cast<int64_t>(at);  // the file system does not support SEEK_DATA
    if (static_cast<uint64_t>(data) >= size) break;
    int64_t hole = copy.call(SYS_lseek, copy.from, data, SEEK_HOLE);
    uint64_t end = hole < 0 ? size : std::min(static_cast<uint64_t>(hole), size);
    int64_t reached = copy.range(static_cast<uint64_t>(data), end);
    if (reached < 0) return reached;
    if (static_cast<uint64_t>(reached) < end) return 0;
    at = end;
  }
  return at < size ? copy.call(SYS_ftruncate, copy.to, size) : 0;
}

int64_t copy_content(TaskCaller& call, int from, int to, const struct statx& source) {
  Copy copy(call, from, to);
  const uint64_t size = source.stx_size;
  // A file of /proc has size 0 and may have content. Of a pipe or a device, whose size is 0 too, node:fs copies
  // nothing.
  if (size == 0) {
    if (!S_ISREG(source.stx_mode)) return 0;
    int64_t reached = copy.range(0, UINT64_MAX >> 1);
    return reached < 0 ? reached : 0;
  }
  if (source.stx_blocks * 512 < size) return copy_sparse(copy, size);
  int64_t reached = copy.range(0, size);
  return reached < 0 ? reached : 0;
}

bool is_same(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

int64_t copy_mode(TaskCaller& call, int to, const struct statx& source) {
  const int64_t rc = call(SYS_fchmod, to, source.stx_mode & 07777u);
  if (rc != -EPERM) return rc;
  struct statfs info;  // a CIFS share has no modes
  return call(SYS_fstatfs, to, &info) == 0 && (static_cast<int64_t>(info.f_type) & 0xffffffff) == kCifs ? 0 : rc;
}

// The steps of libuv's copyfile from the mode on, in the same order.
int64_t copy_into(TaskCaller& call, const FileTask& task, int from, int to, const struct statx& source) {
  if (S_ISDIR(source.stx_mode)) return -EISDIR;
  int64_t rc = copy_mode(call, to, source);
  if (rc != 0) return rc;
  if (task.options & (kCopyClone | kCopyCloneForce)) {
    rc = call(SYS_ioctl, to, FICLONE, from);
    if (rc == 0 || (task.options & kCopyCloneForce) || rc == -ECANCELED) return rc;
  }
  return copy_content(call, from, to, source);
}

// close(2) returns the errors of writes that failed late (NFS).
int64_t close_target(TaskCaller& call, int to, int64_t rc) {
  const int64_t closed = call.close(to);
  return rc == 0 ? closed : rc;
}

// Copies over a target that exists. It stays, also after an error or a cancel, perhaps with a part of the source.
int64_t copy_over(TaskCaller& call, const FileTask& task, int from, int to, const struct statx& source) {
  // Checked after the target was opened, as in node:fs, and before it is emptied.
  if (S_ISDIR(source.stx_mode)) return close_target(call, to, -EISDIR);
  struct statx target;
  int64_t rc = call(SYS_statx, to, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &target);
  if (rc == 0 && is_same(source, target)) return close_target(call, to, 0);
  if (rc == 0 && (task.options & (kCopyClone | kCopyCloneForce))) {
    // Before the target is emptied: when blocks cannot be shared, it stays as it is.
    rc = call(SYS_ioctl, to, FICLONE, from);
    if (rc == 0) {
      Copy copy(call, from, to);
      const int64_t size = size_now(copy);
      rc = size < 0 ? size : call(SYS_ftruncate, to, size);  // a longer target keeps its end otherwise
      return close_target(call, to, rc == 0 ? copy_mode(call, to, source) : rc);
    }
    if ((task.options & kCopyCloneForce) || rc == -ECANCELED) return close_target(call, to, rc);
    rc = 0;
  }
  if (rc == 0) rc = call(SYS_ftruncate, to, 0);
  if (rc == 0 || rc == -EACCES) rc = copy_into(call, task, from, to, source);  // ceph-fuse: EACCES without a reason
  return close_target(call, to, rc);
}

// Makes a target that does not exist. It gets its name when it is whole, so neither a cancel nor an error leaves half
// of it, and a file that another process makes there meanwhile is not replaced.
int64_t copy_anew(TaskCaller& call, const FileTask& task, int from, const char* path, const struct statx& source) {
  ByteBuffer temporary;
  const int64_t to = make_temporary(call, path, source.stx_mode & 07777u, temporary);
  if (to < 0) return to;
  int64_t rc = copy_into(call, task, from, static_cast<int>(to), source);
  rc = close_target(call, static_cast<int>(to), rc);
  if (rc == 0) rc = place_new(call, temporary.data(), path);
  if (rc != 0) call.remove(temporary.data());
  return rc;
}

// A target whose path ends in a slash is never made. The kernel returns the error that node:fs gets from the same call.
int64_t refused_target(TaskCaller& call, const char* path) {
  const int64_t rc = call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
  return rc < 0 ? rc : close_target(call, static_cast<int>(rc), -EISDIR);
}

int64_t copy_to(TaskCaller& call, const FileTask& task, int from, const struct statx& source) {
  const bool exclusive = task.options & kCopyExclusive;
  const size_t length = strlen(task.other);
  if (length > 0 && task.other[length - 1] == '/') return refused_target(call, task.other);
  for (int tries = 0;; ++tries) {
    ByteBuffer path;
    int64_t rc;
    if (exclusive) {
      struct statx there;
      rc = call(SYS_statx, AT_FDCWD, task.other, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &there);
      if (rc == 0) return -EEXIST;
      if (rc == -ENOENT && !path.append(task.other, length + 1)) return -ENOMEM;
    } else {
      rc = call(SYS_openat, AT_FDCWD, task.other, O_WRONLY | O_CLOEXEC, 0);
      if (rc >= 0) return copy_over(call, task, from, static_cast<int>(rc), source);
      // A file's name with a slash behind it: the kernel returns the error when the file is to be made.
      if (rc == -ENOTDIR && task.other[length - 1] == '/') {
        rc = call(SYS_openat, AT_FDCWD, task.other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
        return rc < 0 ? rc : close_target(call, static_cast<int>(rc), -EISDIR);
      }
      if (rc == -ENOENT && length > 0) {
        rc = follow_links(call, task.other, path);
        if (rc == 0) rc = -ENOENT;
      }
    }
    if (rc != -ENOENT || length == 0) return rc;
    if (path.data()[path.size() - 2] == '/') return refused_target(call, path.data());  // from a dangling link
    rc = copy_anew(call, task, from, path.data(), source);
    if (rc != -EEXIST || exclusive || tries == kMaxTries) return rc;
  }
}

// Checked before the first call, so that restrict() leaves no half of a copy.
bool may_copy(const FileTask& task) {
  return policy_allows_all(
             {SYS_openat, SYS_fchmod, SYS_ftruncate, SYS_pread64, SYS_pwrite64, SYS_readlinkat, SYS_renameat2}) &&
         (policy_allows_all({SYS_statx}) || policy_allows_all({SYS_newfstatat})) &&
         (!(task.options & kCopyCloneForce) || policy_allows_all({SYS_ioctl}));
}

}  // namespace

static int64_t run_copy_file(Operation& op, PoolThread& self) {
  auto& task = *static_cast<FileTask*>(op.extra);
  TaskCaller call(op, self);
  task.call = FileCall::kCopy;
  if (!may_copy(task)) return call.refuse();
  DescriptorGuest guest;
  for (;;) {
    const uint64_t seen = descriptor_room().releases();
    const int64_t from = call.open(task.path, O_RDONLY);
    if (from < 0) return from;
    struct statx source;
    int64_t rc = call(SYS_statx, from, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &source);
    if (rc == 0) rc = copy_to(call, task, static_cast<int>(from), source);
    call.close(from);
    // No descriptor was left for the target, so nothing has happened.
    if (!is_out_of_descriptors(rc) || !descriptor_room().wait(self, seen)) return rc;
  }
}

constinit const BackEnd kCopyFile{.run = run_copy_file};

}  // namespace acall
