// How du adds up a tree. See tree_du.h.
#include "jobs/tree/tree_du.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "files/stat_columns.h"
#include "threads/pool_thread.h"

namespace acall {

namespace {

constexpr uint32_t kMask = STATX_TYPE | STATX_NLINK | STATX_INO | STATX_BLOCKS | STATX_SIZE;
constexpr int kLink = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

uint64_t device_of(const struct statx& info) { return device_number(info.stx_dev_major, info.stx_dev_minor); }

}  // namespace

Du* Du::make(Environment& environment, const char* root, size_t length, const DuOptions& options) {
  auto* du = job_make<Du>(environment, options);
  if (du != nullptr && !du->plant(root, length)) {
    du->release();
    return nullptr;
  }
  return du;
}

void Du::work(JobThread& thread) {
  TreeThread tree(thread);
  run_tree(tree);
}

void Du::dispose() {
  Tree::dispose();
  links_.clear();
}

Du::Totals Du::totals() const {
  return {bytes_.load(std::memory_order_relaxed), files_.load(std::memory_order_relaxed),
          directories_.load(std::memory_order_relaxed), errors_.count()};
}

int Du::open_root(TreeThread& tree) {
  struct statx info;
  int64_t rc = stat_at(tree, AT_FDCWD, root()->name, kLink, kMask, &info);
  if (rc != 0) return static_cast<int>(rc);
  root_device_ = device_of(info);
  if (!S_ISDIR(info.stx_mode)) {
    Totals sum{};
    add_file(info, sum);
    add(sum);
    return kNothing;
  }
  // Neither call follows a symbolic link at the root, unless the path has a slash behind it.
  int64_t fd = tree.thread.call(SYS_openat, AT_FDCWD, root()->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd >= 0 || is_cancelled()) return static_cast<int>(fd);
  add({bytes_of(info), 0, 1, 0});
  report(*root(), nullptr, fd, TreeCall::kOpen);
  return kNothing;
}

bool Du::entered(TreeThread& tree, Dir& dir, int fd) {
  struct statx info;
  int64_t rc = stat_at(tree, fd, "", AT_EMPTY_PATH, kMask, &info);
  if (rc == 0) return enter_directory(dir, info);
  if (!is_cancelled()) report(dir, nullptr, rc, TreeCall::kStat);
  return false;
}

bool Du::enter_directory(Dir& dir, const struct statx& info) {
  if (dir.parent != nullptr && is_foreign(info)) return false;
  dir.device = device_of(info);
  dir.inode = info.stx_ino;
  // A directory that is mounted inside itself is its own descendant; GNU du does not count it a second time.
  for (const Dir* above = dir.parent; above != nullptr; above = above->parent) {
    if (above->inode == dir.inode && above->device == dir.device) return false;
  }
  add({bytes_of(info), 0, 1, 0});
  return true;
}

// A directory that cannot be opened counts with its own size.
void Du::refused(TreeThread& tree, Dir& parent, int parent_fd, const char* name, int error) {
  struct statx info;
  int64_t rc = stat_at(tree, parent_fd, name, kLink, kMask, &info);
  if (rc == -ECANCELED && is_cancelled()) return;
  if (rc != 0) {
    report(parent, name, rc, TreeCall::kStat);
    return;
  }
  if (is_foreign(info)) return;
  if (!S_ISDIR(info.stx_mode)) {  // replaced since its entry was read
    Totals sum{};
    add_file(info, sum);
    add(sum);
    return;
  }
  add({bytes_of(info), 0, 1, 0});
  report(parent, name, error, TreeCall::kOpen);
}

void Du::entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) {
  Totals sum{};
  while (at < end) {
    auto& entry = *reinterpret_cast<KernelDirent*>(at);
    at += entry.length;
    if (entry.is_dots()) continue;
    if (entry.type == DT_DIR) {
      remember_name(tree, entry.name);
      continue;
    }
    struct statx info;
    int64_t rc = stat_at(tree, fd, entry.name, kLink, kMask, &info);
    if (rc == -ECANCELED && is_cancelled()) break;
    if (rc != 0) {
      report(dir, entry.name, rc, TreeCall::kStat);
    } else if (S_ISDIR(info.stx_mode)) {
      remember_name(tree, entry.name);
    } else if (!is_foreign(info)) {
      add_file(info, sum);
    }
  }
  add(sum);
}

bool Du::is_foreign(const struct statx& info) const { return one_file_system_ && device_of(info) != root_device_; }

uint64_t Du::bytes_of(const struct statx& info) const { return apparent_size_ ? info.stx_size : info.stx_blocks * 512; }

void Du::add_file(const struct statx& info, Totals& sum) {
  if (info.stx_nlink > 1) {
    LinkSet::Met met = links_.insert(device_of(info), info.stx_ino);
    if (met == LinkSet::Met::kNoMemory) fail(-ENOMEM);
    if (met != LinkSet::Met::kFirst) return;
  }
  sum.bytes += bytes_of(info);
  ++sum.files;
}

void Du::add(const Totals& sum) {
  bytes_.fetch_add(sum.bytes, std::memory_order_relaxed);
  files_.fetch_add(sum.files, std::memory_order_relaxed);
  directories_.fetch_add(sum.directories, std::memory_order_relaxed);
}

}  // namespace acall
