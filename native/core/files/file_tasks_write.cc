// writeFile, plain and atomic. See file_tasks.h.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/byte_buffer.h"
#include "files/file_tasks.h"
#include "files/file_tasks_call.h"
#include "files/file_tasks_place.h"
#include "files/file_tasks_resemble.h"

namespace acall {

namespace {

constexpr size_t kMaxWrite = 4 << 20;  // of one call: a cancel has effect within milliseconds

int64_t sync_file(TaskCaller& call, FileTask& task, int fd) {
  if (!(task.options & kFileSync)) return 0;
  task.call = FileCall::kSync;
  return call(SYS_fsync, fd);
}

int64_t write_all(TaskCaller& call, FileTask& task, int fd) {
  task.call = FileCall::kWrite;
  for (size_t at = 0; at < task.length;) {
    int64_t wrote = call(SYS_write, fd, task.bytes + at, std::min(task.length - at, kMaxWrite));
    if (wrote < 0) return wrote;
    at += static_cast<size_t>(wrote);
  }
  return 0;
}

// close(2) returns the errors of writes that failed late (NFS). It is never interrupted, and the descriptor is gone in
// any case.
int64_t close_written(TaskCaller& call, FileTask& task, int fd, int64_t result) {
  const int64_t rc = call.close(fd);
  if (result != 0 || rc == 0) return result;
  task.call = FileCall::kClose;
  return rc;
}

// Reads the attributes of the file that is to be replaced. 0: it is a regular file, or there is none.
int64_t look_at_old(TaskCaller& call, const FileTask& task, const char* path, Resemblance& old, bool* exists) {
  const int64_t rc = old.look(call, path);
  *exists = rc == 0;
  if (rc == -ENOENT) return 0;
  if (rc != 0) return rc;
  if (task.flags & O_EXCL) return -EEXIST;
  const uint32_t mode = old.old().stx_mode;
  if (S_ISDIR(mode)) return -EISDIR;
  return S_ISREG(mode) ? 0 : -EINVAL;  // a device or a FIFO would be lost
}

// Syncs the folder, so that the new name survives a crash. Some file systems cannot do that.
int64_t sync_folder(TaskCaller& call, FileTask& task, ByteBuffer& path) {
  size_t folder = folder_length(path.data());
  path.data()[folder] = '\0';
  task.call = FileCall::kSync;
  int64_t fd = call.open(folder == 0 ? "." : path.data(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return fd == -EACCES ? 0 : fd;  // the process may write to the folder and not read it
  int64_t rc = call(SYS_fsync, fd);
  call.close(fd);
  return rc == -EINVAL || rc == -EROFS ? 0 : rc;
}

// Fills and closes the temporary file. When the result is 0, it has its content and its attributes.
int64_t fill(TaskCaller& call, FileTask& task, int fd, Resemblance* old) {
  int64_t rc = old == nullptr ? 0 : old->own(call, fd);
  if (rc == 0) rc = write_all(call, task, fd);
  if (rc == 0 && old != nullptr) {
    task.call = FileCall::kOpen;
    rc = old->open_up(call, fd);
  }
  if (rc == 0) rc = sync_file(call, task, fd);
  return close_written(call, task, fd, rc);
}

int64_t write_atomically(TaskCaller& call, FileTask& task) {
  ByteBuffer path, temporary;
  Resemblance old;
  bool exists = false;
  const bool exclusive = task.flags & O_EXCL;
  task.call = FileCall::kOpen;
  if (task.path[0] == '\0') return -ENOENT;
  int64_t rc =
      exclusive ? (path.append(task.path, strlen(task.path) + 1) ? 0 : -ENOMEM) : follow_links(call, task.path, path);
  if (rc == 0) rc = look_at_old(call, task, path.data(), old, &exists);
  if (rc != 0) return rc;
  // Users who may not read the file that is replaced must not be able to read the new one.
  const uint32_t mode = exists ? kPrivateMode : task.mode;
  int64_t fd;
  for (uint64_t seen;;) {
    seen = descriptor_room().releases();
    fd = make_temporary(call, path.data(), mode, temporary);
    if (!is_out_of_descriptors(fd) || !descriptor_room().wait(call.self(), seen)) break;
  }
  if (fd < 0) return fd;
  rc = fill(call, task, static_cast<int>(fd), exists ? &old : nullptr);
  if (rc == 0) {
    task.call = FileCall::kRename;
    rc = exclusive ? place_new(call, temporary.data(), path.data())
                   : call(SYS_renameat, AT_FDCWD, temporary.data(), AT_FDCWD, path.data());
  }
  if (rc != 0) {
    call.remove(temporary.data());
    return rc;
  }
  return task.options & kFileSync ? sync_folder(call, task, path) : 0;
}

// Checked before the first call, so that restrict() leaves no half of a file.
bool may_write(const FileTask& task) {
  if (!policy_allows_all({SYS_write}) || ((task.options & kFileSync) && !policy_allows_all({SYS_fsync}))) return false;
  if (task.fd >= 0) return true;
  if (!policy_allows_all({SYS_openat})) return false;
  if (!(task.options & kFileAtomic)) return true;
  return policy_allows_all({SYS_readlinkat, SYS_lgetxattr, SYS_fremovexattr, SYS_fsetxattr, SYS_fchown, SYS_fchmod}) &&
         policy_allows_all({task.flags & O_EXCL ? uint32_t{SYS_renameat2} : uint32_t{SYS_renameat}});
}

}  // namespace

static int64_t run_write_file(Operation& op, PoolThread& self) {
  auto& task = *static_cast<FileTask*>(op.extra);
  TaskCaller call(op, self);
  task.call = task.fd >= 0 ? FileCall::kWrite : FileCall::kOpen;
  if (!may_write(task)) return call.refuse();
  if (task.fd >= 0) {
    const int64_t rc = write_all(call, task, task.fd);
    return rc == 0 ? sync_file(call, task, task.fd) : rc;
  }
  DescriptorGuest guest;
  if (task.options & kFileAtomic) return write_atomically(call, task);
  const int64_t opened = call.open(task.path, task.flags, task.mode);
  if (opened < 0) return opened;
  const int fd = static_cast<int>(opened);
  int64_t rc = write_all(call, task, fd);
  if (rc == 0) rc = sync_file(call, task, fd);
  return close_written(call, task, fd, rc);
}

constinit const BackEnd kWriteFile{.run = run_write_file};

}  // namespace acall
