// The descriptors of a traversal: how directories are opened, closed and opened again. See tree.h.
#include <fcntl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "jobs/tree/tree.h"
#include "threads/descriptor_room.h"
#include "threads/pool_thread.h"

namespace acall {

namespace {

// Limit: how many directories a traversal keeps open, besides those in use: a quarter of the usual soft limit.
constexpr uint32_t kMaxOpen = 256;

}  // namespace

int Tree::use_descriptor(Dir& dir) {
  ++dir.users;
  if (dir.is_idle) unlink_idle(dir);
  return dir.fd;
}

int Tree::drop_user(Dir& dir) {
  if (--dir.users > 0 || dir.fd < 0) return -1;
  if (dir.is_read && dir.waiting == 0) {
    --open_count_;
    return std::exchange(dir.fd, -1);
  }
  dir.is_idle = true;
  idle_.push_front(dir);
  return open_count_ > kMaxOpen ? evict_idle() : -1;
}

// Called when a directory waits for less than before.
int Tree::close_if_done(Dir& dir) {
  if (dir.users > 0 || dir.waiting > 0 || dir.fd < 0) return -1;
  if (dir.is_idle) unlink_idle(dir);
  --open_count_;
  return std::exchange(dir.fd, -1);
}

void Tree::unlink_idle(Dir& dir) {
  idle_.remove(dir);
  dir.is_idle = false;
}

// Takes the descriptor of the idle directory that was used longest ago: the one nearest to the root, and needed last.
int Tree::evict_idle() {
  Dir* dir = idle_.last();
  if (dir == nullptr) return -1;
  unlink_idle(*dir);
  --open_count_;
  return std::exchange(dir->fd, -1);
}

void Tree::adopt_descriptor(TreeThread& tree, Dir& dir, int fd) {
  int victim = -1;
  {
    Hold hold(lock);
    dir.fd = fd;
    ++dir.users;
    if (++open_count_ > kMaxOpen) victim = evict_idle();
  }
  tree.thread.close(victim);
}

// Opens a subdirectory: a descriptor or -errno. When the process has no descriptor left, idle directories are closed.
int Tree::open_at(TreeThread& tree, int fd, const char* name) {
  for (;;) {
    int64_t opened = tree.thread.call(SYS_openat, fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (!is_out_of_descriptors(opened)) return static_cast<int>(opened);
    int victim;
    {
      Hold hold(lock);
      victim = evict_idle();
    }
    if (victim < 0) return static_cast<int>(opened);
    tree.thread.close(victim);
  }
}

// Opens a directory again, name by name from the nearest open ancestor: its descriptor or -errno. The caller counts as
// a user already. Ancestors with subdirectories to visit stay open as idle directories, since they are needed later.
int Tree::reopen(TreeThread& tree, Dir& dir) {
  ByteBuffer memory;
  auto** chain = reinterpret_cast<Dir**>(memory.reserve((dir.depth + 1) * sizeof(Dir*)));
  if (chain == nullptr) {
    fail(-ENOMEM);
    return -ENOMEM;
  }
  uint32_t length = 0;
  Dir* from;
  int fd;
  {
    Hold hold(lock);
    from = &dir;
    while (from->fd < 0) {
      chain[length++] = from;
      from = from->parent;
    }
    fd = from->fd;
    if (length > 0) use_descriptor(*from);
  }
  while (length > 0) {
    Dir* to = chain[--length];
    int opened = open_at(tree, fd, to->name);
    int surplus = -1, done;
    {
      Hold hold(lock);
      if (opened >= 0) {
        if (to->fd < 0) {
          to->fd = opened;
          ++open_count_;
        } else {
          surplus = opened;  // another job thread has opened it meanwhile
        }
        fd = to == &dir ? to->fd : use_descriptor(*to);
      }
      done = drop_user(*from);
    }
    tree.thread.close(surplus);
    tree.thread.close(done);
    if (opened < 0) return opened;
    from = to;
  }
  return fd;
}

// There is no descriptor left while other job threads have some: puts the name back, and lowers the number of job
// threads by one. True: the calling thread must leave. False: it is the only one, and nothing has changed.
bool Tree::give_back(TreeThread& tree, Claim& claim) {
  size_t length = strlen(claim.name) + 1;
  void* memory = seams.allocate(sizeof(Names) + length);
  if (memory == nullptr) return false;
  Names* names = new (memory) Names();
  names->dir = claim.dir;
  names->size = static_cast<uint32_t>(length);
  memcpy(names->bytes, claim.name, length);
  int done = -1;
  bool alone;
  {
    Hold hold(lock);
    alone = at_work() <= 1;
    if (!alone) {
      narrow(at_work() - 1);
      names_.push(*names);
      reference_dir(*claim.dir);
      ++claim.dir->waiting;
      done = drop_user(*claim.dir);
    }
  }
  tree.thread.close(done);
  if (alone) {
    free(names);
  } else {
    drop_names(claim.names);
  }
  return !alone;
}

// False: the job thread must leave.
bool Tree::open_dir(TreeThread& tree, Claim& claim) {
  Dir& parent = *claim.dir;
  int parent_fd = claim.fd >= 0 ? claim.fd : reopen(tree, parent);
  int opened = parent_fd >= 0 ? open_at(tree, parent_fd, claim.name) : parent_fd;
  if (is_out_of_descriptors(opened) && give_back(tree, claim)) return false;
  Dir* dir = nullptr;
  if (opened >= 0) {
    dir = dir_make(&parent, claim.name, strlen(claim.name));
    if (dir != nullptr) {
      adopt_descriptor(tree, *dir, opened);
    } else {
      tree.thread.close(opened);
      fail(-ENOMEM);
    }
  } else if (!is_cancelled()) {
    if (parent_fd >= 0) {
      refused(tree, parent, parent_fd, claim.name, opened);
    } else {
      report(parent, claim.name, opened, TreeCall::kOpen);
    }
  }
  int done;
  {
    Hold hold(lock);
    if (dir != nullptr && post_order_) ++parent.waiting;  // until it is left
    done = drop_user(parent);
  }
  tree.thread.close(done);
  drop_names(claim.names);
  if (dir != nullptr) enter(tree, *dir, opened);
  return true;
}

// False: the job thread must leave.
bool Tree::leave(TreeThread& tree, Dir& dir, int parent_fd) {
  Dir* parent = dir.parent;
  if (parent == nullptr) {
    left(tree, dir, AT_FDCWD);
    return true;
  }
  if (parent_fd < 0) parent_fd = reopen(tree, *parent);
  bool is_postponed = false;
  int done = -1;
  if (is_out_of_descriptors(parent_fd)) {
    Hold hold(lock);
    is_postponed = at_work() > 1;
    if (is_postponed) {
      narrow(at_work() - 1);
      leaving_.push(dir);
      done = drop_user(*parent);
    }
  }
  if (!is_postponed) {
    left(tree, dir, parent_fd);
    Hold hold(lock);
    --parent->waiting;
    done = drop_user(*parent);
  }
  tree.thread.close(done);
  if (is_postponed) return false;
  free(&dir);
  let_go(parent);
  return true;
}

}  // namespace acall
