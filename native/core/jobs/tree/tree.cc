// The loop of a traversal: what job threads claim, and how directories are released. See tree.h.
#include "jobs/tree/tree.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "threads/finish.h"
#include "threads/pool_thread.h"
#include "threads/threads.h"

namespace acall {

Dir* dir_make(Dir* parent, const char* name, size_t length) {
  void* memory = seams.allocate(sizeof(Dir) + length + 1);
  if (memory == nullptr) return nullptr;
  Dir* dir = new (memory) Dir();
  dir->parent = parent;
  dir->depth = parent == nullptr ? 0 : parent->depth + 1;
  dir->name_length = static_cast<uint32_t>(length);
  memcpy(dir->name, name, length);
  dir->name[length] = '\0';
  if (parent != nullptr) Tree::reference_dir(*parent);
  return dir;
}

void Tree::release_dir(Dir* dir) {
  // A loop and no recursion, since a tree may be very deep.
  while (dir != nullptr && dir->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Dir* parent = dir->parent;
    free(dir);
    dir = parent;
  }
}

bool Tree::plant(const char* path, size_t length) {
  root_ = dir_make(nullptr, path, length);
  root_waits_ = root_ != nullptr;
  return root_waits_;
}

void Tree::run_tree(TreeThread& tree) {
  bool go_on = true;
  while (go_on) {
    Claim claimed;
    bool another;
    Operation* ready;
    {
      Hold hold(lock);
      claimed = claim();
      another = want_thread();
      ready = take_ready_op(claimed.kind == Claim::Kind::kNone || !has_units());
    }
    if (another) submit_thread();
    if (ready != nullptr) finish_begun(*ready, 0);
    if (claimed.kind == Claim::Kind::kNone) break;
    go_on = do_claim(tree, claimed) && !tree.thread.should_leave();
  }
  Operation* ready;
  {
    Hold hold(lock);
    ready = take_ready_op(true);
    if (tree.page != nullptr) {
      spare_pages_.push(*std::exchange(tree.page, nullptr));
    }
  }
  if (ready != nullptr) finish_begun(*ready, 0);
}

Tree::Claim Tree::claim() {
  Claim claim;
  if (is_paused() || is_cancelled()) return claim;
  if (Dir* dir = leaving_.pop(); dir != nullptr) {
    int parent_fd = dir->parent == nullptr ? AT_FDCWD : use_descriptor(*dir->parent);
    claim = {.kind = Claim::Kind::kLeave, .dir = dir, .fd = parent_fd};
  } else if (root_waits_) {
    root_waits_ = false;
    claim.kind = Claim::Kind::kRoot;
  } else if (!pages_.is_empty()) {
    Page& page = *pages_.first();
    claim = {.kind = Claim::Kind::kEntries, .dir = page.dir, .fd = page.dir->fd, .page = &page};
    claim.at = claim.end = page.bytes + page.at;
    // One entry while threads block, so that no other entry waits for it.
    const uint32_t count = at_work() > core_count() ? 1 : kClaimed;
    for (uint32_t i = 0; i < count && claim.end < page.bytes + page.size; ++i) claim.end = next_entry(claim.end);
    page.at = static_cast<uint32_t>(claim.end - page.bytes);
    ++page.users;
    if (page.at == page.size) pages_.pop();
  } else if (Dir* reading = reading_.pop(); reading != nullptr) {
    claim = {.kind = Claim::Kind::kRead, .dir = reading, .fd = reading->fd};
  } else if (!names_.is_empty()) {
    Names& names = *names_.first();
    claim = {.kind = Claim::Kind::kOpen, .dir = names.dir, .fd = use_descriptor(*names.dir), .names = &names};
    claim.name = names.bytes + names.at;
    names.at += static_cast<uint32_t>(strlen(claim.name)) + 1;
    if (names.at == names.size) {
      names_.pop();  // its reference goes to the claim
      --names.dir->waiting;
    } else {
      names.references.fetch_add(1, std::memory_order_relaxed);
    }
  }
  return claim;
}

// False: the job thread must leave.
bool Tree::do_claim(TreeThread& tree, Claim& claim) {
  switch (claim.kind) {
    case Claim::Kind::kLeave:
      return leave(tree, *claim.dir, claim.fd);
    case Claim::Kind::kRoot:
      enter_root(tree);
      return true;
    case Claim::Kind::kEntries:
      do_entries(tree, *claim.dir, claim.fd, claim.at, claim.end);
      finish_page(tree, *claim.page);
      return true;
    case Claim::Kind::kRead:
      read_dir(tree, *claim.dir, claim.fd);
      return true;
    case Claim::Kind::kOpen:
      return open_dir(tree, claim);
    case Claim::Kind::kNone:
      break;
  }
  return false;
}

void Tree::enter_root(TreeThread& tree) {
  int fd = open_root(tree);
  if (fd == kNothing) return;
  if (fd < 0) {
    if (!is_cancelled()) fail(fd);
    return;
  }
  reference_dir(*root_);
  adopt_descriptor(tree, *root_, fd);
  {
    Hold hold(lock);
    ++root_->users;  // until wind_up(): the root stays open, since its path may lead elsewhere by now
  }
  enter(tree, *root_, fd);
}

void Tree::remember_name(TreeThread& tree, const char* name) {
  if (!tree.names.append(name, strlen(name) + 1)) fail(-ENOMEM);
}

void Tree::push_names(TreeThread& tree, Dir& dir) {
  size_t size = tree.names.size();
  void* memory = seams.allocate(sizeof(Names) + size);
  if (memory == nullptr) {
    fail(-ENOMEM);
    return;
  }
  Names* names = new (memory) Names();
  names->dir = &dir;
  names->size = static_cast<uint32_t>(size);
  memcpy(names->bytes, tree.names.data(), size);
  reference_dir(dir);
  bool another;
  {
    Hold hold(lock);
    names_.push(*names);
    ++dir.waiting;
    another = want_thread();
  }
  if (another) submit_thread();
}

void Tree::drop_names(Names* names) {
  if (names->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  let_go(names->dir);
  free(names);
}

// Releases a reference. In post-order, all below the directory has been visited when the last one is released.
void Tree::let_go(Dir* dir) {
  if (!post_order_) return release_dir(dir);
  // root_ is a reference of the root that stays.
  if (dir->references.fetch_sub(1, std::memory_order_acq_rel) != (dir == root_ ? 2 : 1)) return;
  bool another = false, over;
  {
    Hold hold(lock);
    over = ended();
    if (!over) {
      leaving_.push(*dir);
      another = want_thread();
    }
  }
  if (another) submit_thread();
  if (over) drop_unvisited(dir);
}

// Frees a directory without references, and the directories above it that lose their last one. The job is over, and no
// other thread uses the directories.
void Tree::drop_unvisited(Dir* dir) {
  while (dir != root_) {
    Dir* parent = dir->parent;
    free(dir);
    --parent->waiting;
    if (int fd = close_if_done(*parent); fd >= 0) close(fd);
    if (parent->references.fetch_sub(1, std::memory_order_acq_rel) != (parent == root_ ? 2 : 1)) return;
    dir = parent;
  }
}

int64_t Tree::stat_at(TreeThread& tree, int fd, const char* name, int flags, uint32_t mask, struct statx* result) {
  return tree.thread.call(SYS_statx, fd, name, flags, mask, result);
}

// Without the lock: no other thread uses the job's work any more.
void Tree::wind_up() {
  root_waits_ = false;
  auto close_one = [](int fd) {
    if (fd >= 0) close(fd);
  };
  while (Page* page = pages_.pop()) {
    close_one(drop_user(*page->dir));
    let_go(page->dir);
    free(page);
  }
  while (Dir* dir = reading_.pop()) {
    dir->is_read = true;
    close_one(drop_user(*dir));
    let_go(dir);
  }
  while (Names* names = names_.pop()) {
    --names->dir->waiting;
    close_one(close_if_done(*names->dir));
    drop_names(names);
  }
  while (Dir* dir = leaving_.pop()) drop_unvisited(dir);
  if (root_->users > 0) close_one(drop_user(*root_));
  while (Page* page = spare_pages_.pop()) free(page);
}

void Tree::dispose() {
  if (root_ != nullptr) {
    wind_up();
    release_dir(root_);
  }
  errors_.drop();
}

}  // namespace acall
