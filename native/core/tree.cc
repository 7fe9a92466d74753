// The traversal's loop: claim, read, share. See tree.h; descriptors are in tree_dirs.cc.
#include "tree.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "finish.h"
#include "threads.h"
#include "worker.h"

namespace acall {

namespace {

constexpr uint32_t kSmallChunkEntries = 4;  // when threads are stuck: an entry waits for few others

unsigned char* next_entry(unsigned char* at) { return at + reinterpret_cast<KernelDirent*>(at)->length; }

bool has_more_entries(unsigned char* at, const unsigned char* end, uint32_t than) {
  for (uint32_t i = 0; i < than && at < end; ++i) at = next_entry(at);
  return at < end;
}

}  // namespace

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
  // A loop: a deep tree goes up in one pass.
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

void Tree::run_tree(TreeHelper& tree) {
  bool go_on = true;
  while (go_on) {
    Claim claimed;
    bool another;
    Operation* ready;
    {
      Hold hold(lock);
      claimed = claim();
      another = want_helper();
      ready = take_ready_op(claimed.kind == Claim::Kind::kNone || !has_units());
    }
    if (another) submit_helper();
    if (ready != nullptr) finish_begun(*ready, 0);
    if (claimed.kind == Claim::Kind::kNone) break;
    go_on = do_claim(tree, claimed) && !tree.helper.should_leave();
  }
  Operation* ready;
  {
    Hold hold(lock);
    ready = take_ready_op(true);
    if (tree.page != nullptr) {
      tree.page->next = spare_pages_;
      spare_pages_ = std::exchange(tree.page, nullptr);
    }
  }
  if (ready != nullptr) finish_begun(*ready, 0);
}

Tree::Claim Tree::claim() {
  Claim claim;
  if (is_paused() || is_cancelled()) return claim;
  if (leaving_ != nullptr) {
    Dir* dir = std::exchange(leaving_, leaving_->next);
    int parent_fd = dir->parent == nullptr ? AT_FDCWD : use_descriptor(*dir->parent);
    claim = {.kind = Claim::Kind::kLeave, .dir = dir, .fd = parent_fd};
  } else if (root_waits_) {
    root_waits_ = false;
    claim.kind = Claim::Kind::kRoot;
  } else if (pages_ != nullptr) {
    Page& page = *pages_;
    claim = {.kind = Claim::Kind::kEntries, .dir = page.dir, .fd = page.dir->fd, .page = &page};
    claim.at = claim.end = page.bytes + page.at;
    uint32_t count = at_work() > core_count() ? kSmallChunkEntries : kChunkEntries;
    for (uint32_t i = 0; i < count && claim.end < page.bytes + page.size; ++i) claim.end = next_entry(claim.end);
    page.at = static_cast<uint32_t>(claim.end - page.bytes);
    ++page.users;
    if (page.at == page.size) pages_ = page.next;
  } else if (reading_ != nullptr) {
    claim = {.kind = Claim::Kind::kRead, .dir = reading_, .fd = reading_->fd};
    reading_ = reading_->next;
  } else if (stack_ != nullptr) {
    Names& names = *stack_;
    claim = {.kind = Claim::Kind::kOpen, .dir = names.dir, .fd = use_descriptor(*names.dir), .names = &names};
    claim.name = names.bytes + names.at;
    names.at += static_cast<uint32_t>(strlen(claim.name)) + 1;
    if (names.at == names.size) {
      stack_ = names.next;  // its reference goes to the claim
      --names.dir->waiting;
    } else {
      names.references.fetch_add(1, std::memory_order_relaxed);
    }
  }
  return claim;
}

// False: the helper must leave.
bool Tree::do_claim(TreeHelper& tree, Claim& claim) {
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

void Tree::enter_root(TreeHelper& tree) {
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
    ++root_->users;  // until wind_up(): the root is never closed, since the way to it may have changed
  }
  enter(tree, *root_, fd);
}

// The caller's reference and use of `dir` go to the reading.
void Tree::enter(TreeHelper& tree, Dir& dir, int fd) {
  if (entered(tree, dir, fd)) {
    read_dir(tree, dir, fd);
  } else {
    finish_reading(tree, dir);
  }
}

void Tree::finish_reading(TreeHelper& tree, Dir& dir) {
  int fd;
  {
    Hold hold(lock);
    dir.is_read = true;
    fd = drop_user(dir);
  }
  tree.helper.close(fd);
  let_go(&dir);
}

void Tree::read_dir(TreeHelper& tree, Dir& dir, int fd) {
  for (;;) {
    Page* page = take_page(tree);
    if (page == nullptr) {
      finish_reading(tree, dir);
      return;
    }
    int64_t got = tree.helper.call(SYS_getdents64, fd, page->bytes, kPageBytes);
    if (got <= 0) {
      // ENOENT: removed while it was open, which is its end as libc sees it.
      if (got < 0 && got != -ENOENT && !is_cancelled()) report(dir, nullptr, got, TreeCall::kRead);
      finish_reading(tree, dir);
      return;
    }
    auto size = static_cast<uint32_t>(got);
    if (wants_calls(page->bytes, size)) {
      if (!read_page(tree, dir, fd, size)) return;
    } else {
      do_entries(tree, dir, fd, page->bytes, page->bytes + size);
    }
    if (!tree.helper.should_leave() && !is_paused()) continue;
    Hold hold(lock);
    dir.next = reading_;
    reading_ = &dir;
    return;
  }
}

// A page's entries, by ourselves as long as the others find work elsewhere: two threads in one directory take its
// descriptor from each other at every call. False: what is left of the page and of the directory is shared.
bool Tree::read_page(TreeHelper& tree, Dir& dir, int fd, uint32_t size) {
  unsigned char* at = tree.page->bytes;
  unsigned char* const end = at + size;
  while (has_more_entries(at, end, kChunkEntries)) {
    bool shared;
    {
      Hold hold(lock);
      shared = is_paused() || at_work() > core_count() || !has_units();
    }
    if (shared || tree.helper.should_leave()) {
      share_page(tree, dir, static_cast<uint32_t>(at - tree.page->bytes), size);
      return false;
    }
    unsigned char* const begin = at;
    for (uint32_t i = 0; i < kChunkEntries; ++i) at = next_entry(at);
    do_entries(tree, dir, fd, begin, at);
  }
  do_entries(tree, dir, fd, at, end);
  return true;
}

// The page's entries from `at` on and the directory's next page are for whoever comes first.
void Tree::share_page(TreeHelper& tree, Dir& dir, uint32_t at, uint32_t size) {
  Page& page = *std::exchange(tree.page, nullptr);
  page.dir = &dir;
  page.at = at;
  page.size = size;
  page.users = 0;
  reference_dir(dir);
  bool another;
  {
    Hold hold(lock);
    ++dir.users;
    page.next = pages_;
    pages_ = &page;
    dir.next = reading_;
    reading_ = &dir;
    another = want_helper();
  }
  if (another) submit_helper();
}

void Tree::finish_page(TreeHelper& tree, Page& page) {
  Dir* dir = page.dir;
  int fd;
  {
    Hold hold(lock);
    if (--page.users > 0 || page.at < page.size) return;
    page.next = spare_pages_;
    spare_pages_ = &page;
    fd = drop_user(*dir);
  }
  tree.helper.close(fd);
  let_go(dir);
}

Page* Tree::take_page(TreeHelper& tree) {
  if (tree.page != nullptr) return tree.page;
  {
    Hold hold(lock);
    tree.page = spare_pages_;
    if (tree.page != nullptr) spare_pages_ = tree.page->next;
  }
  if (tree.page == nullptr) {
    void* memory = seams.allocate(sizeof(Page));
    if (memory == nullptr) {
      fail(-ENOMEM);
    } else {
      tree.page = new (memory) Page;
    }
  }
  return tree.page;
}

void Tree::do_entries(TreeHelper& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) {
  tree.names.clear();
  entries(tree, dir, fd, at, end);
  if (tree.names.size() > 0) push_names(tree, dir);
}

void Tree::remember_name(TreeHelper& tree, const char* name) {
  if (!tree.names.append(name, strlen(name) + 1)) fail(-ENOMEM);
}

void Tree::push_names(TreeHelper& tree, Dir& dir) {
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
    names->next = stack_;
    stack_ = names;
    ++dir.waiting;
    another = want_helper();
  }
  if (another) submit_helper();
}

void Tree::drop_names(Names* names) {
  if (names->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  let_go(names->dir);
  free(names);
}

// One reference less; with the last one all below the directory has been visited.
void Tree::let_go(Dir* dir) {
  if (!tells_leaving_) return release_dir(dir);
  if (dir->references.fetch_sub(1, std::memory_order_acq_rel) != (dir == root_ ? 2 : 1))
    return;  // of the root's, one is ours
  bool another = false, over;
  {
    Hold hold(lock);
    over = ended();
    if (!over) {
      dir->next = leaving_;
      leaving_ = dir;
      another = want_helper();
    }
  }
  if (another) submit_helper();
  if (over) drop_unvisited(dir);
}

// A directory without references, and those above it that lose their last one. The job is over and nobody else is here.
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

bool Tree::path_of(const Dir& dir, ByteBuffer& path) {
  size_t length = 0;
  for (const Dir* at = &dir; at != nullptr; at = at->parent) length += at->name_length + 1;
  path.clear();
  char* end = path.reserve(length);
  if (end == nullptr) return false;
  char* from = end + length;
  for (const Dir* at = &dir; at != nullptr; at = at->parent) {
    bool has_slash = at->name_length > 0 && at->name[at->name_length - 1] == '/';  // the root, as the caller wrote it
    if (at != &dir && !has_slash) *--from = '/';
    from -= at->name_length;
    memcpy(from, at->name, at->name_length);
  }
  size_t used = static_cast<size_t>(end + length - from);
  memmove(end, from, used);
  path.advance(used);
  return true;
}

void Tree::report(const Dir& dir, const char* name, int64_t error, TreeCall call) {
  ByteBuffer path;
  bool ok = path_of(dir, path);
  if (ok && name != nullptr) {
    bool has_slash = path.size() > 0 && path.data()[path.size() - 1] == '/';
    ok = (has_slash || path.append("/", 1)) && path.append(name, strlen(name));
  }
  void* memory = ok ? seams.allocate(sizeof(TreeError) + path.size() + 1) : nullptr;
  if (memory == nullptr) {
    fail(-ENOMEM);
    return;
  }
  auto* record = static_cast<TreeError*>(memory);
  record->next = nullptr;
  record->error = static_cast<int>(-error);
  record->call = call;
  record->path_length = static_cast<uint32_t>(path.size());
  if (path.size() > 0) memcpy(record->path, path.data(), path.size());
  record->path[path.size()] = '\0';
  note_error(record);
}

int64_t Tree::stat_at(TreeHelper& tree, int fd, const char* name, int flags, uint32_t mask, struct statx* result) {
  return tree.helper.call(SYS_statx, fd, name, flags, mask, result);
}

// Nobody else is here any more: what the lock guards is ours.
void Tree::wind_up() {
  root_waits_ = false;
  auto close_one = [](int fd) {
    if (fd >= 0) close(fd);
  };
  while (pages_ != nullptr) {
    Page* page = std::exchange(pages_, pages_->next);
    close_one(drop_user(*page->dir));
    let_go(page->dir);
    free(page);
  }
  while (reading_ != nullptr) {
    Dir* dir = std::exchange(reading_, reading_->next);
    dir->is_read = true;
    close_one(drop_user(*dir));
    let_go(dir);
  }
  while (stack_ != nullptr) {
    Names* names = std::exchange(stack_, stack_->next);
    --names->dir->waiting;
    close_one(close_if_done(*names->dir));
    drop_names(names);
  }
  while (leaving_ != nullptr) drop_unvisited(std::exchange(leaving_, leaving_->next));
  if (root_->users > 0) close_one(drop_user(*root_));
  while (spare_pages_ != nullptr) free(std::exchange(spare_pages_, spare_pages_->next));
}

void Tree::dispose_tree() {
  if (root_ != nullptr) {
    wind_up();
    release_dir(root_);
  }
}

}  // namespace acall
