// writeFile, plain and atomic. See file_tasks.h.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <new>

#include "batch_buffer.h"
#include "file_tasks.h"
#include "file_tasks_call.h"

namespace acall {

namespace {

constexpr size_t kMaxWrite = 4 << 20;  // of one call: a cancel between two comes within milliseconds
constexpr int kMaxLinks = 40;          // as many as the kernel follows
constexpr int kMaxNames = 100;         // tries to find a name that nobody has

int64_t write_all(TaskCaller& call, FileTask& task, int fd) {
  task.call = FileCall::kWrite;
  for (size_t at = 0; at < task.length;) {
    int64_t wrote = call(SYS_write, fd, task.bytes + at, std::min(task.length - at, kMaxWrite));
    if (wrote < 0) return wrote;
    at += static_cast<size_t>(wrote);
  }
  if (!(task.options & kFileSync)) return 0;
  task.call = FileCall::kSync;
  return call(SYS_fsync, fd);
}

// close(2) tells of writes that failed late (NFS); it is never interrupted, and the descriptor is gone in any case.
int64_t close_written(FileTask& task, int fd, int64_t result) {
  int64_t rc = syscall(SYS_close, fd) == 0 ? 0 : -errno;
  if (result != 0 || rc == 0 || rc == -EINTR) return result;
  task.call = FileCall::kClose;
  return rc;
}

bool put(ByteBuffer& buffer, const char* bytes, size_t length) { return length == 0 || buffer.append(bytes, length); }

// Length of the folder's part of a path, the slash included; 0: the current folder.
size_t folder_length(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? 0 : static_cast<size_t>(slash - path) + 1;
}

// The file that a path leads to, though it may not exist yet: rename(2) would replace a symbolic link and not its
// target.
int64_t follow(TaskCaller& call, FileTask& task, ByteBuffer& path) {
  if (!path.append(task.path, strlen(task.path) + 1)) return -ENOMEM;
  for (int links = 0;; ++links) {
    char target[4096];
    int64_t length = call(SYS_readlinkat, AT_FDCWD, path.data(), target, sizeof target);
    if (length == -EINVAL || length == -ENOENT) return 0;  // no link; whether it can be made is told by the making
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

// What is to be replaced must be a file, or nothing.
int64_t look_at_old(TaskCaller& call, const FileTask& task, const char* path, struct statx* old, bool* exists) {
  int64_t rc = call(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, old);
  *exists = rc == 0;
  if (rc == -ENOENT) return 0;
  if (rc != 0) return rc;
  if (task.flags & O_EXCL) return -EEXIST;
  if (S_ISDIR(old->stx_mode)) return -EISDIR;
  return S_ISREG(old->stx_mode) ? 0 : -EINVAL;  // a device or a FIFO would be lost
}

// A new file beside `path`: its descriptor, and its name in `temporary`.
int64_t make_temporary(TaskCaller& call, const FileTask& task, const char* path, ByteBuffer& temporary) {
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
        call(SYS_openat, AT_FDCWD, temporary.data(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, task.mode);
    if (fd != -EEXIST || tries == kMaxNames) return fd;
  }
}

// The new file gets the old one's mode and, where we may, its owner.
int64_t take_after(TaskCaller& call, int fd, const struct statx& old) {
  struct statx info;
  int64_t rc = call(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &info);
  if (rc != 0) return rc;
  if (info.stx_uid != old.stx_uid || info.stx_gid != old.stx_gid) {
    rc = call(SYS_fchown, fd, old.stx_uid, old.stx_gid);
    if (rc != 0 && rc != -EPERM) return rc;
  }
  // After fchown, which clears the set-user-ID bit.
  rc = info.stx_mode == old.stx_mode ? 0 : call(SYS_fchmod, fd, old.stx_mode & 07777u);
  return rc == -EPERM ? 0 : rc;
}

// So that the new name outlives a crash. Some file systems cannot sync a folder.
int64_t sync_folder(TaskCaller& call, FileTask& task, ByteBuffer& path) {
  size_t folder = folder_length(path.data());
  path.data()[folder] = '\0';
  task.call = FileCall::kSync;
  int64_t fd = call(SYS_openat, AT_FDCWD, folder == 0 ? "." : path.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return fd == -EACCES ? 0 : fd;  // a folder that we may write to and not read
  int64_t rc = call(SYS_fsync, static_cast<int>(fd));
  TaskCaller::close(static_cast<int>(fd));
  return rc == -EINVAL || rc == -EROFS ? 0 : rc;
}

int64_t replace(TaskCaller& call, FileTask& task, ByteBuffer& path, ByteBuffer& temporary, bool exclusive) {
  task.call = FileCall::kRename;
  int64_t rc = exclusive ? call(SYS_renameat2, AT_FDCWD, temporary.data(), AT_FDCWD, path.data(), RENAME_NOREPLACE)
                         : call(SYS_renameat, AT_FDCWD, temporary.data(), AT_FDCWD, path.data());
  if (!exclusive || (rc != -EINVAL && rc != -ENOSYS && rc != -EPERM)) return rc;
  // A file system, kernel or filter that cannot: a second name is as exclusive, and the first one is taken away.
  rc = call(SYS_linkat, AT_FDCWD, temporary.data(), AT_FDCWD, path.data(), 0);
  if (rc == 0) TaskCaller::remove(AT_FDCWD, temporary.data());
  return rc;
}

int64_t write_atomically(TaskCaller& call, FileTask& task) {
  ByteBuffer path, temporary;
  struct statx old;
  bool exists = false;
  const bool exclusive = task.flags & O_EXCL;
  task.call = FileCall::kOpen;
  if (task.path[0] == '\0') return -ENOENT;
  int64_t rc = exclusive ? (path.append(task.path, strlen(task.path) + 1) ? 0 : -ENOMEM) : follow(call, task, path);
  if (rc == 0) rc = look_at_old(call, task, path.data(), &old, &exists);
  if (rc != 0) return rc;
  int64_t opened = make_temporary(call, task, path.data(), temporary);
  if (opened < 0) return opened;
  const int fd = static_cast<int>(opened);
  if (exists) rc = take_after(call, fd, old);
  if (rc == 0) rc = write_all(call, task, fd);
  rc = close_written(task, fd, rc);
  if (rc == 0) rc = replace(call, task, path, temporary, exclusive);
  if (rc != 0) {
    TaskCaller::remove(AT_FDCWD, temporary.data());
    return rc;
  }
  return task.options & kFileSync ? sync_folder(call, task, path) : 0;
}

}  // namespace

int64_t run_write_file(Operation& op, Worker& self) {
  auto& task = *static_cast<FileTask*>(op.extra);
  TaskCaller call(op, self);
  if (task.fd >= 0) return write_all(call, task, task.fd);
  if (task.options & kFileAtomic) return write_atomically(call, task);
  task.call = FileCall::kOpen;
  int64_t fd = call(SYS_openat, AT_FDCWD, task.path, task.flags | O_CLOEXEC, task.mode);
  if (fd < 0) return fd;
  int64_t rc = write_all(call, task, static_cast<int>(fd));
  return close_written(task, static_cast<int>(fd), rc);
}

}  // namespace acall
