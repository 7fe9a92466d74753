// How walk and readdir fill their pages. See tree_walk.h.
#include "jobs/tree/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "files/stat_columns.h"
#include "threads/pool_thread.h"

namespace acall {

namespace {

constexpr size_t kRowWeight = 256;  // so at most 65,536 rows are unfetched, which is one turn's work for JavaScript

bool is_ascii(const char* bytes, size_t length) {
  uint64_t seen = 0;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    seen |= word;
  }
  for (; length > 0; ++bytes, --length) seen |= static_cast<unsigned char>(*bytes);
  return (seen & 0x8080808080808080ull) == 0;
}

unsigned char type_of(uint32_t mode) { return static_cast<unsigned char>((mode & S_IFMT) >> 12); }  // DT_ by definition

}  // namespace

struct Walk::WalkThread : TreeThread {
  explicit WalkThread(JobThread& thread) : TreeThread(thread) {}
  ~WalkThread() { release_dir(prefix_dir); }
  Dir* prefix_dir = nullptr;  // with one reference, so that no other Dir gets its address
  ByteBuffer prefix;          // the path of prefix_dir and a slash
};

// Stat results of one range, before a page is borrowed.
struct Walk::Looked {
  struct statx stats[kClaimed];
  int64_t results[kClaimed];
};

void walk_page_free(WalkPage* page) {
  block_release(page->stats);
  page->~WalkPage();
  free(page);
}

Walk* Walk::make(Environment& environment, const char* root, size_t length, const WalkOptions& options) {
  auto* walk = job_make<Walk>(environment, options);
  if (walk != nullptr && !walk->plant(root, length)) {
    walk->release();
    return nullptr;
  }
  return walk;
}

void Walk::work(JobThread& thread) {
  WalkThread tree(thread);
  run_tree(tree);
}

void Walk::dispose() {
  Tree::dispose();
  outbox_.drop();
}

Walk::Output Walk::take() {
  Output output;
  Queue<WalkPage> pages;
  bool resumed;
  {
    Hold hold(lock);
    while (WalkPage* page = outbox_.take()) pages.push_back(*page);
    output.pages = pages.take_all();
    output.errors = errors_.take();
    output.ended = is_wound_up();
    output.result = result();
    resumed = want_thread();
  }
  if (resumed) submit_thread();
  return output;
}

Operation* Walk::take_ready_op(bool idle) {
  if (!has_op() || !has_result() || !outbox_.is_due(idle || !errors_.is_empty(), seams.now_ns())) return nullptr;
  return take_op();
}

int Walk::open_root(TreeThread& tree) {
  int64_t fd = tree.thread.call(SYS_openat, AT_FDCWD, root()->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0 || !one_file_system_) return static_cast<int>(fd);
  struct statx info;
  int64_t rc = stat_at(tree, static_cast<int>(fd), "", AT_EMPTY_PATH, STATX_TYPE, &info);
  if (rc != 0) {
    tree.thread.close(static_cast<int>(fd));
    return static_cast<int>(rc);
  }
  root_device_ = device_number(info.stx_dev_major, info.stx_dev_minor);
  return static_cast<int>(fd);
}

bool Walk::entered(TreeThread& tree, Dir& dir, int fd) {
  if (dir.depth >= max_depth_) return false;
  if (!one_file_system_ || options_.stats || dir.parent == nullptr) return true;
  struct statx info;
  int64_t rc = stat_at(tree, fd, "", AT_EMPTY_PATH, STATX_TYPE, &info);
  if (rc != 0) {
    if (!is_cancelled()) report(dir, nullptr, rc, TreeCall::kStat);
    return false;
  }
  return device_number(info.stx_dev_major, info.stx_dev_minor) == root_device_;
}

void Walk::refused(TreeThread&, Dir& parent, int, const char* name, int error) {
  report(parent, name, error, TreeCall::kOpen);
}

bool Walk::wants_calls(const unsigned char* page, size_t size) {
  if (options_.stats) return true;
  // A file system returns the type of every entry, or of none but the dots.
  for (size_t at = 0; at < size;) {
    const auto& entry = *reinterpret_cast<const KernelDirent*>(page + at);
    if (!entry.is_dots()) return entry.type == DT_UNKNOWN;
    at += entry.length;
  }
  return false;
}

// Makes all calls that may block, before a page is borrowed. False: the job is cancelled.
bool Walk::look_up(TreeThread& tree, int fd, unsigned char* at, const unsigned char* end, Looked& looked) {
  uint32_t index = 0;
  while (at < end) {
    auto& entry = *reinterpret_cast<KernelDirent*>(at);
    at += entry.length;
    if (entry.is_dots()) continue;
    if (options_.stats) {
      int64_t rc = stat_at(tree, fd, entry.name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME,
                           &looked.stats[index]);
      if (rc == -ECANCELED && is_cancelled()) return false;
      if (rc == 0) entry.type = type_of(looked.stats[index].stx_mode);
      looked.results[index++] = rc;
    } else if (entry.type == DT_UNKNOWN) {
      int64_t rc = stat_at(tree, fd, entry.name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &looked.stats[0]);
      if (rc == -ECANCELED && is_cancelled()) return false;
      if (rc == 0) entry.type = type_of(looked.stats[0].stx_mode);
    }
  }
  return true;
}

void Walk::entries(TreeThread& base, Dir& dir, int fd, unsigned char* at, unsigned char* end) {
  auto& tree = static_cast<WalkThread&>(base);
  Looked looked;
  if (!look_up(tree, fd, at, end, looked)) return;
  if (!options_.names_only && tree.prefix_dir != &dir) {
    release_dir(std::exchange(tree.prefix_dir, nullptr));
    if (!path_of(dir, tree.prefix)) return fail(-ENOMEM);
    size_t size = tree.prefix.size();
    bool has_slash = size > 0 && tree.prefix.data()[size - 1] == '/';
    if (!has_slash && !tree.prefix.append("/", 1)) return fail(-ENOMEM);
    reference_dir(dir);
    tree.prefix_dir = &dir;
  }
  uint32_t index = 0;
  while (at < end) {
    WalkPage* page = outbox_.borrow([this] { return make_page(); });
    if (page == nullptr) return fail(-ENOMEM);
    bool ok = append(tree, *page, dir, at, end, looked, index);
    outbox_.give_back(page, page->is_full());
    if (!ok) return fail(-ENOMEM);
  }
}

// Stores entries in the page until it is full. False: no memory.
bool Walk::append(WalkThread& tree, WalkPage& page, Dir& dir, unsigned char*& at, const unsigned char* end,
                  const Looked& looked, uint32_t& index) {
  size_t text_begin = page.text.size();
  uint32_t rows_begin = page.rows;
  size_t prefix = tree.prefix.size();
  bool descends = dir.depth + 1 < max_depth_;
  bool ok = page.runs.reserve(sizeof(WalkRun)) != nullptr;  // reserved first, so that no row is without its run
  while (ok && at < end && !page.is_full()) {
    auto& entry = *reinterpret_cast<KernelDirent*>(at);
    at += entry.length;
    if (entry.is_dots()) continue;
    size_t length = strlen(entry.name) + 1;
    char* text = page.text.reserve(prefix + length);
    char* type = page.types.reserve(1);
    if (text == nullptr || type == nullptr) {
      ok = false;
      break;
    }
    if (prefix > 0) memcpy(text, tree.prefix.data(), prefix);
    memcpy(text + prefix, entry.name, length);
    page.text.advance(prefix + length);
    *type = static_cast<char>(entry.type);
    page.types.advance(1);
    bool same_device = true;
    if (options_.stats) {
      const struct statx& info = looked.stats[index];
      int64_t rc = looked.results[index++];
      if (rc == 0) {
        page.columns.set(page.rows, info);
      } else {
        page.columns.set_error(page.rows, rc);
      }
      same_device =
          !one_file_system_ || rc != 0 || device_number(info.stx_dev_major, info.stx_dev_minor) == root_device_;
    }
    ++page.rows;
    if (entry.type == DT_DIR && descends && same_device) remember_name(tree, entry.name);
  }
  uint32_t rows = page.rows - rows_begin;
  if (rows == 0) return ok;
  size_t bytes = page.text.size() - text_begin;
  page.is_ascii = page.is_ascii && is_ascii(page.text.data() + text_begin, bytes);
  outbox_.note(page, std::max(bytes, rows * kRowWeight));
  WalkRun run{};
  run.rows = rows;
  run.depth = dir.depth + 1;
  run.prefix_bytes = static_cast<uint32_t>(prefix);
  page.runs.append(&run, sizeof run);
  return ok;
}

WalkPage* Walk::make_page() {
  void* memory = seams.allocate(sizeof(WalkPage));
  if (memory == nullptr) return nullptr;
  auto* page = new (memory) WalkPage();
  page->capacity = WalkPage::kRows;
  if (options_.stats) {
    page->stats = block_make(page->capacity * kColumnsRowBytes);
    if (page->stats == nullptr) {
      walk_page_free(page);
      return nullptr;
    }
    page->columns = {page->stats->data(), page->capacity};
  }
  return page;
}

}  // namespace acall
