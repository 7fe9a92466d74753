// How a directory is read page by page, and how job threads share a page. See tree.h.
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "jobs/tree/tree.h"
#include "threads/pool_thread.h"
#include "threads/threads.h"

namespace acall {

namespace {

bool has_more_entries(unsigned char* at, const unsigned char* end, uint32_t than) {
  for (uint32_t i = 0; i < than && at < end; ++i) at = next_entry(at);
  return at < end;
}

}  // namespace

// Reads a directory that has been opened. The caller's reference and use of `dir` end with the reading.
void Tree::enter(TreeThread& tree, Dir& dir, int fd) {
  if (entered(tree, dir, fd)) {
    read_dir(tree, dir, fd);
  } else {
    finish_reading(tree, dir);
  }
}

void Tree::finish_reading(TreeThread& tree, Dir& dir) {
  int fd;
  {
    Hold hold(lock);
    dir.is_read = true;
    fd = drop_user(dir);
  }
  tree.thread.close(fd);
  let_go(&dir);
}

void Tree::read_dir(TreeThread& tree, Dir& dir, int fd) {
  for (;;) {
    Page* page = take_page(tree);
    if (page == nullptr) {
      finish_reading(tree, dir);
      return;
    }
    int64_t got = tree.thread.call(SYS_getdents64, fd, page->bytes, kPageBytes);
    if (got <= 0) {
      // ENOENT: the directory was removed while it was open. That is its end, as for libc.
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
    if (!tree.thread.should_leave() && !is_paused()) continue;
    Hold hold(lock);
    reading_.push(dir);
    return;
  }
}

// Works on the entries of a page, alone while other job threads have other work: two threads in one directory contend
// for its descriptor at every call. False: the rest of the page and of the directory is shared.
bool Tree::read_page(TreeThread& tree, Dir& dir, int fd, uint32_t size) {
  unsigned char* at = tree.page->bytes;
  unsigned char* const end = at + size;
  while (has_more_entries(at, end, kClaimed)) {
    bool shared;
    {
      Hold hold(lock);
      shared = is_paused() || at_work() > core_count() || !has_units();
    }
    if (shared || tree.thread.should_leave()) {
      share_page(tree, dir, static_cast<uint32_t>(at - tree.page->bytes), size);
      return false;
    }
    unsigned char* const begin = at;
    for (uint32_t i = 0; i < kClaimed; ++i) at = next_entry(at);
    do_entries(tree, dir, fd, begin, at);
  }
  do_entries(tree, dir, fd, at, end);
  return true;
}

// Shares the page's entries from `at` on, and the directory's next page: any job thread may claim them.
void Tree::share_page(TreeThread& tree, Dir& dir, uint32_t at, uint32_t size) {
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
    pages_.push(page);
    reading_.push(dir);
    another = want_thread();
  }
  if (another) submit_thread();
}

void Tree::finish_page(TreeThread& tree, Page& page) {
  Dir* dir = page.dir;
  int fd;
  {
    Hold hold(lock);
    if (--page.users > 0 || page.at < page.size) return;
    spare_pages_.push(page);
    fd = drop_user(*dir);
  }
  tree.thread.close(fd);
  let_go(dir);
}

Page* Tree::take_page(TreeThread& tree) {
  if (tree.page != nullptr) return tree.page;
  {
    Hold hold(lock);
    tree.page = spare_pages_.pop();
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

void Tree::do_entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) {
  tree.names.clear();
  entries(tree, dir, fd, at, end);
  if (tree.names.size() > 0) push_names(tree, dir);
}

}  // namespace acall
