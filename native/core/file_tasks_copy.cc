// copyFile. See file_tasks.h.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdlib>

#include "file_tasks.h"
#include "file_tasks_call.h"
#include "seams.h"

namespace acall {

namespace {

constexpr uint64_t kPiece = 16 << 20;  // of one copy_file_range: a cancel between two comes within milliseconds
constexpr size_t kBuffer = size_t{256} * 1024;  // where the kernel cannot copy by itself
constexpr int64_t kCifs = 0xff534d42;

struct Copy {
  TaskCaller& call;
  int from, to;
  bool by_kernel = true;  // copy_file_range works between these two
  bool moved = false;     // it has copied something
  unsigned char* buffer = nullptr;

  Copy(TaskCaller& caller, int source, int target) : call(caller), from(source), to(target) {}
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy() { free(buffer); }

  // Bytes [at, end), or fewer when the file ends before: where it stopped, or -errno.
  int64_t range(uint64_t at, uint64_t end) {
    while (at < end) {
      int64_t got = by_kernel ? by_range(at, end) : by_hand(at, end);
      if (got < 0) return got;
      if (got == 0 && by_kernel && !moved) {  // /proc and some network file systems say nothing is there
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
    // Another file system, an old kernel, a seccomp filter, a kind of file that has no such copy.
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
      if (wrote < 0) return wrote;
      done += wrote;
    }
    return got;
  }
};

// Only what is no hole, so that holes stay holes.
int64_t copy_sparse(Copy& copy, uint64_t size) {
  uint64_t at = 0;
  while (at < size) {
    int64_t data = copy.call(SYS_lseek, copy.from, at, SEEK_DATA);
    if (data == -ENXIO) break;                      // a hole up to the end
    if (data < 0) data = static_cast<int64_t>(at);  // a file system that does not tell
    int64_t hole = copy.call(SYS_lseek, copy.from, data, SEEK_HOLE);
    uint64_t end = hole < 0 ? size : std::min(static_cast<uint64_t>(hole), size);
    int64_t reached = copy.range(static_cast<uint64_t>(data), end);
    if (reached < 0) return reached;
    if (static_cast<uint64_t>(reached) < end) break;  // it has become shorter
    at = end;
  }
  return copy.call(SYS_ftruncate, copy.to, size);
}

int64_t copy_content(TaskCaller& call, int from, int to, const struct statx& source) {
  Copy copy(call, from, to);
  const uint64_t size = source.stx_size;
  // A file of /proc says 0 and has something; the size of a pipe or a device means nothing, and node:fs copies none of
  // it.
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

// The target's descriptor, or -errno. `*made`: it was not there before.
int64_t open_target(TaskCaller& call, const FileTask& task, uint32_t mode, bool* made) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
  int64_t to = call(SYS_openat, AT_FDCWD, task.other, flags | O_EXCL, mode);
  *made = to >= 0;
  if (to != -EEXIST || (task.options & kCopyExclusive)) return to;
  return call(SYS_openat, AT_FDCWD, task.other, flags, mode);
}

// The steps of libuv's copyfile, in its order. `*ours`: the target's content is ours to remove.
int64_t copy_into(TaskCaller& call, const FileTask& task, int from, int to, const struct statx& source, bool* ours) {
  if (!*ours) {
    struct statx target;
    int64_t rc = call(SYS_statx, to, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &target);
    if (rc != 0) return rc;
    if (is_same(source, target)) return 0;
    rc = call(SYS_ftruncate, to, 0);
    if (rc != 0 && rc != -EACCES) return rc;  // ceph-fuse says EACCES and means nothing by it
    *ours = S_ISREG(target.stx_mode);
  }
  int64_t rc = call(SYS_fchmod, to, source.stx_mode & 07777u);
  if (rc == -EPERM) {  // a CIFS share knows no modes
    struct statfs info;
    if (call(SYS_fstatfs, to, &info) == 0 && (static_cast<int64_t>(info.f_type) & 0xffffffff) == kCifs) rc = 0;
  }
  if (rc != 0) return rc;
  if (task.options & (kCopyClone | kCopyCloneForce)) {
    rc = call(SYS_ioctl, to, FICLONE, from);
    if (rc == 0 || (task.options & kCopyCloneForce) || rc == -EINTR || rc == -ECANCELED) return rc;
  }
  return copy_content(call, from, to, source);
}

}  // namespace

int64_t run_copy_file(Operation& op, Worker& self) {
  auto& task = *static_cast<FileTask*>(op.extra);
  TaskCaller call(op, self);
  task.call = FileCall::kCopy;
  int64_t from = call(SYS_openat, AT_FDCWD, task.path, O_RDONLY | O_CLOEXEC, 0);
  if (from < 0) return from;
  struct statx source;
  int64_t rc = call(SYS_statx, static_cast<int>(from), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &source);
  // Before the target is made or emptied.
  if (rc == 0 && S_ISDIR(source.stx_mode)) rc = -EISDIR;
  if (rc == 0) {
    bool ours = false;
    int64_t to = open_target(call, task, source.stx_mode & 07777u, &ours);
    rc = to < 0 ? to : 0;
    if (to >= 0) {
      rc = copy_into(call, task, static_cast<int>(from), static_cast<int>(to), source, &ours);
      int64_t closed =
          syscall(SYS_close, static_cast<int>(to)) == 0 ? 0 : -errno;  // tells of writes that failed late (NFS)
      if (rc == 0 && closed != -EINTR) rc = closed;
      if (rc != 0 && ours) TaskCaller::remove(AT_FDCWD, task.other);
    }
  }
  TaskCaller::close(static_cast<int>(from));
  return rc;
}

}  // namespace acall
