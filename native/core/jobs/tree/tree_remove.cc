// How rmTree removes a tree. See tree_remove.h.
#include "jobs/tree/tree_remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "syscalls/policy.h"
#include "threads/pool_thread.h"

namespace acall {

namespace {

constexpr int kSweeps = 3;  // a limit: somebody may fill a folder as fast as it is emptied

bool is_not_empty(int64_t error) { return error == -ENOTEMPTY || error == -EEXIST; }

bool is_same(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

}  // namespace

RemoveTree* RemoveTree::make(Environment& environment, const char* root, size_t length) {
  // With a slash behind its name the kernel would follow a symbolic link. `had_slash`: the root must be a directory.
  size_t bare = length;
  while (bare > 1 && root[bare - 1] == '/') --bare;
  auto* job = job_make<RemoveTree>(environment, bare < length);
  if (job != nullptr && !job->plant(root, bare)) {
    job->release();
    return nullptr;
  }
  return job;
}

void RemoveTree::work(JobThread& thread) {
  TreeThread tree(thread);
  run_tree(tree);
}

// 0 also when the name is gone already.
int64_t RemoveTree::unlink_at(TreeThread& tree, int fd, const char* name, int flags) {
  int64_t rc = tree.thread.call(SYS_unlinkat, fd, name, flags);
  return rc == -ENOENT ? 0 : rc;
}

const char* RemoveTree::root_name() const {
  const char* path = root()->name;
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

int RemoveTree::open_root(TreeThread& tree) {
  // Checked before anything is removed, and not when half of the tree is gone.
  if (!policy_allows_all({SYS_openat, SYS_getdents64, SYS_unlinkat})) {
    report(*root(), nullptr, -EPERM, TreeCall::kRefused);
    return kNothing;
  }
  const char* path = root()->name;
  const char* name = root_name();
  ByteBuffer outer;
  if (!outer.append(name == path ? "." : path, name == path ? 1 : static_cast<size_t>(name - path)) ||
      !outer.append("", 1)) {
    return -ENOMEM;
  }
  int64_t opened = tree.thread.call(SYS_openat, AT_FDCWD, outer.data(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (opened < 0) return static_cast<int>(opened);
  outer_ = static_cast<int>(opened);
  struct statx info, top;
  const uint32_t mask = STATX_TYPE | STATX_INO;
  // "/" is the directory that contains it, and has no name there.
  const bool is_top = name[0] == '\0' && name != path;
  int64_t rc = stat_at(tree, outer_, is_top ? "." : name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, mask, &info);
  if (rc != 0) return static_cast<int>(rc);
  if (!S_ISDIR(info.stx_mode)) {
    if (had_slash_ && !S_ISLNK(info.stx_mode)) return -ENOTDIR;
    rc = had_slash_ ? -ENOTDIR : unlink_at(tree, outer_, name, 0);
    if (rc != 0 && !is_cancelled())
      report(*root(), nullptr, rc, had_slash_ ? TreeCall::kRemoveDirectory : TreeCall::kUnlink);
    return kNothing;
  }
  // A root that rmdir(2) would refuse in the end is refused before anything is removed.
  rc = is_top ? -EBUSY : strcmp(name, ".") == 0 ? -EINVAL : strcmp(name, "..") == 0 ? -ENOTEMPTY : 0;
  opened = -1;
  if (rc == 0) {
    opened = tree.thread.call(SYS_openat, outer_, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (opened < 0) {
      // A directory that the process may not read can be removed when it is empty.
      if (!is_cancelled() && unlink_at(tree, outer_, name, AT_REMOVEDIR) != 0 && !is_cancelled())
        report(*root(), nullptr, opened, TreeCall::kOpen);
      return is_cancelled() ? static_cast<int>(opened) : kNothing;
    }
    rc = stat_at(tree, static_cast<int>(opened), "", AT_EMPTY_PATH, mask, &opened_root_);
    if (rc == 0 && stat_at(tree, AT_FDCWD, "/", 0, mask, &top) == 0 && is_same(opened_root_, top)) rc = -EBUSY;
    if (rc == 0 && opened_root_.stx_attributes & STATX_ATTR_MOUNT_ROOT) rc = -EBUSY;
  }
  if (rc == 0) return static_cast<int>(opened);
  tree.thread.close(static_cast<int>(opened));
  if (!is_cancelled()) report(*root(), nullptr, rc, TreeCall::kRemoveDirectory);
  return kNothing;
}

void RemoveTree::wind_up() {
  Tree::wind_up();
  if (outer_ >= 0) close(std::exchange(outer_, -1));
}

// The name is a directory that cannot be opened, or is no directory any more.
void RemoveTree::refused(TreeThread& tree, Dir& parent, int parent_fd, const char* name, int error) {
  if (error == -ENOENT) return;
  const bool is_folder = error != -ENOTDIR && error != -ELOOP;
  int64_t rc = unlink_at(tree, parent_fd, name, is_folder ? AT_REMOVEDIR : 0);
  if (rc == 0 || is_cancelled()) return;
  if (is_folder) {
    report(parent, name, error, TreeCall::kOpen);
  } else {
    report(parent, name, rc, TreeCall::kUnlink);
  }
}

void RemoveTree::entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) {
  while (at < end && !is_cancelled()) {
    auto& entry = *reinterpret_cast<KernelDirent*>(at);
    at += entry.length;
    if (entry.is_dots()) continue;
    int64_t rc = entry.type == DT_DIR ? -EISDIR : unlink_at(tree, fd, entry.name, 0);
    if (rc == -EISDIR) {
      remember_name(tree, entry.name);
    } else if (rc != 0 && !is_cancelled()) {
      report(dir, entry.name, rc, TreeCall::kUnlink);
    }
  }
}

// Removes an empty directory. The root's name may lead elsewhere by now: it is removed only if it is the directory that
// was opened.
int64_t RemoveTree::remove_directory(TreeThread& tree, Dir& dir, int parent_fd) {
  if (&dir != root()) return unlink_at(tree, parent_fd, dir.name, AT_REMOVEDIR);
  struct statx now;
  int64_t rc = stat_at(tree, outer_, root_name(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO, &now);
  if (rc == -ENOENT) return 0;
  if (rc != 0) return rc;
  if (!S_ISDIR(now.stx_mode)) return -ENOTDIR;
  return is_same(now, opened_root_) ? unlink_at(tree, outer_, root_name(), AT_REMOVEDIR) : -ESTALE;
}

void RemoveTree::left(TreeThread& tree, Dir& dir, int parent_fd) {
  if (is_cancelled()) return;
  if (parent_fd < 0 && parent_fd != AT_FDCWD) {
    if (parent_fd != -ENOENT) report(dir, nullptr, parent_fd, TreeCall::kOpen);
    return;
  }
  int64_t rc = remove_directory(tree, dir, parent_fd);
  // Some file systems leave out entries when a directory changes while it is read, and others may have made new ones.
  for (int i = 0; i < kSweeps && is_not_empty(rc) && errors_.count() == 0; ++i) {
    if (!sweep(tree, dir, parent_fd)) break;
    rc = remove_directory(tree, dir, parent_fd);
  }
  if (rc == 0 || is_cancelled()) return;
  // An error has been reported already for what is left in it.
  if (is_not_empty(rc) && errors_.count() > 0) return;
  report(dir, nullptr, rc, TreeCall::kRemoveDirectory);
}

// Reads a directory once more and removes its files and empty directories. Returns whether anything was removed.
bool RemoveTree::sweep(TreeThread& tree, Dir& dir, int parent_fd) {
  // The root is still open, but its descriptor has been read to the end, so it is opened once more.
  const bool is_root = &dir == root();
  int64_t fd = tree.thread.call(SYS_openat, is_root ? root_fd() : parent_fd, is_root ? "." : dir.name,
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return false;
  alignas(8) unsigned char page[4096];
  bool some = false;
  for (;;) {
    int64_t got = tree.thread.call(SYS_getdents64, fd, page, sizeof page);
    if (got <= 0) break;
    for (unsigned char* at = page; at < page + got;) {
      auto& entry = *reinterpret_cast<KernelDirent*>(at);
      at += entry.length;
      if (entry.is_dots()) continue;
      int64_t rc = unlink_at(tree, static_cast<int>(fd), entry.name, 0);
      if (rc == -EISDIR) rc = unlink_at(tree, static_cast<int>(fd), entry.name, AT_REMOVEDIR);
      some = some || rc == 0;
    }
  }
  tree.thread.close(static_cast<int>(fd));
  return some;
}

}  // namespace acall
