// The traversal of a tree of directories, shared by walk, readdir, du and rmTree. Work comes in four sizes, claimed in
// this order, so that what is begun is finished first: a directory to leave, all below it visited (where that matters);
// 64 entries of a page of getdents64 that want a statx; the next page of an open directory; a directory to open. Every
// directory is opened relative to its parent's descriptor, never through a symbolic link; of the descriptors that only
// wait for subdirectories few are kept open, and a closed one is opened again name by name from the nearest ancestor,
// so depth is bounded neither by PATH_MAX nor by RLIMIT_NOFILE.
//
// Entered by helpers (job.h). Job::lock guards the work and what Dir and Page mark so.
#ifndef ACALL_CORE_JOBS_TREE_TREE_H_
#define ACALL_CORE_JOBS_TREE_TREE_H_

#include <linux/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/byte_buffer.h"
#include "base/intrusive_list.h"
#include "jobs/job.h"
#include "jobs/tree/tree_errors.h"
#include "wire.h"

namespace acall {

inline constexpr size_t kPageBytes = size_t{32} * 1024;  // what find and libc read at once: about a thousand entries

struct KernelDirent {  // struct linux_dirent64
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  unsigned char type;
  char name[];

  bool is_dots() const { return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')); }
};
inline unsigned char* next_entry(unsigned char* at) { return at + reinterpret_cast<KernelDirent*>(at)->length; }

struct Dir {
  Dir* parent = nullptr;  // holds a reference; nullptr for the root
  std::atomic<uint32_t> references{1};
  uint32_t depth = 0;              // 0 for the root
  uint64_t device = 0, inode = 0;  // set by those traversals that need it, before anybody else sees the Dir
  // Guarded by the lock. The descriptor stays what it is while somebody uses it.
  int fd = -1;
  uint32_t users = 0;    // who has it in hand: a reader, pages, openings of subdirectories
  uint32_t waiting = 0;  // lists of subdirectories to be opened later
  bool is_read = false;  // no more pages will come
  bool is_idle = false;  // open, without users, in the list of those that may be closed
  Links<Dir> idle_links;
  Dir* next = nullptr;       // list of directories with pages to read
  uint32_t name_length = 0;  // the root's name is its whole path
  char name[];
};

// Subdirectories of one directory that are still to be visited. A claimed name is used where it lies.
struct Names {
  Names* next = nullptr;
  Dir* dir = nullptr;                   // holds a reference
  std::atomic<uint32_t> references{1};  // the stack, and each opening in progress
  uint32_t at = 0;                      // guarded by the lock
  uint32_t size = 0;
  char bytes[];
};

// One page of entries that helpers share.
struct Page {
  Page* next = nullptr;
  Dir* dir = nullptr;  // holds a reference and counts as a user
  uint32_t at = 0;     // guarded by the lock: first byte that is not claimed
  uint32_t size = 0;
  uint32_t users = 0;  // guarded by the lock: chunks at work
  alignas(8) unsigned char bytes[kPageBytes];
};

// A helper's own tools, as long as it works.
struct TreeHelper {
  explicit TreeHelper(Helper& helper) : helper(helper) {}
  Helper& helper;
  Page* page = nullptr;  // a spare one
  ByteBuffer names;      // subdirectories found in the range at hand
};

class Tree : public Job {
 public:
  // The first of what could not be read or removed, linked by `next`; the caller's now, to be freed one by one. After
  // the op has ended.
  TreeError* take_errors() {
    Hold hold(lock);
    return errors_.take();
  }
  static constexpr uint32_t kMaxErrors = 1000;  // kept for a caller that gets them at the end; all are counted

 protected:
  struct Traits {
    bool one_file_system = false;
    uint32_t max_depth = kNoDepthLimit;
    uint32_t max_errors = kMaxErrors;
    bool post_order = false;
  };
  Tree(Environment& environment, Block& home, const Traits& traits)
      : Job(environment, home),
        one_file_system_(traits.one_file_system),
        max_depth_(traits.max_depth),
        errors_(traits.max_errors),
        post_order_(traits.post_order) {}
  // Makes the root from its path. False: no memory.
  bool plant(const char* path, size_t length);

  // ---- What a kind of traversal decides; called by helpers, without the lock.
  // Opens the root: a descriptor, or -errno to end the job with, or kNothing when there is nothing to read.
  static constexpr int kNothing = INT32_MAX;
  virtual int open_root(TreeHelper& tree) = 0;
  // A directory is open at `fd`. False: leave it unread.
  virtual bool entered(TreeHelper& tree, Dir& dir, int fd) = 0;
  // A subdirectory could not be opened.
  virtual void refused(TreeHelper& tree, Dir& parent, int parent_fd, const char* name, int error) = 0;
  // Entries [at, end) of a page; at most kChunkEntries when calls into the kernel are needed for each.
  virtual void entries(TreeHelper& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) = 0;
  // Whether such calls are needed, judged by the first entries of a page.
  virtual bool wants_calls(const unsigned char* page, size_t size) = 0;
  // Any time: enough has been found for now.
  virtual bool is_paused() const { return false; }
  // With `post_order`: all below the directory has been visited, and its descriptor is closed. `parent_fd` is
  // AT_FDCWD for the root, whose parent is not ours to know; -errno when the parent could not be opened again.
  virtual void left(TreeHelper& tree, Dir& dir, int parent_fd) {
    static_cast<void>(tree);
    static_cast<void>(dir);
    static_cast<void>(parent_fd);
  }
  // After each piece of work, under the lock; `idle`: nothing is left to claim. An op that may end now.
  virtual Operation* take_ready_op(bool idle) {
    static_cast<void>(idle);
    return nullptr;
  }

  // A subdirectory to be visited later. `entries` calls it for those of its range.
  void remember_name(TreeHelper& tree, const char* name);
  void report(const Dir& dir, const char* name, int64_t error, TreeCall call);
  int64_t stat_at(TreeHelper& tree, int fd, const char* name, int flags, uint32_t mask, struct statx* result);
  // The directory's path without a slash at its end, but for the root folder's own. False: no memory.
  static bool path_of(const Dir& dir, ByteBuffer& path);
  void run_tree(TreeHelper& tree);
  void dispose() override;
  Dir* root() const { return root_; }
  // While helpers are at work, once the root is open: it stays open until wind_up().
  int root_fd() {
    Hold hold(lock);
    return root_->fd;
  }
  void wind_up() override;

  const bool one_file_system_;
  const uint32_t max_depth_;
  ErrorList errors_;          // guarded by the lock, but for their count
  uint64_t root_device_ = 0;  // set when the root is opened, before any other directory is

 public:
  static constexpr uint32_t kChunkEntries = 64;
  static void reference_dir(Dir& dir) { dir.references.fetch_add(1, std::memory_order_relaxed); }
  static void release_dir(Dir* dir);

 private:
  struct Claim {
    enum class Kind { kNone, kLeave, kRoot, kEntries, kRead, kOpen } kind = Kind::kNone;
    Dir* dir = nullptr;
    int fd = -1;  // of dir; -1: closed meanwhile
    Page* page = nullptr;
    unsigned char* at = nullptr;
    unsigned char* end = nullptr;
    Names* names = nullptr;
    const char* name = nullptr;
  };

  bool has_work() final { return !is_paused() && has_units(); }
  bool is_over() final { return !has_units(); }
  bool has_units() const {
    return root_waits_ || !pages_.is_empty() || !reading_.is_empty() || !names_.is_empty() || !leaving_.is_empty();
  }

  // tree.cc
  Claim claim();
  bool do_claim(TreeHelper& tree, Claim& claim);
  void enter_root(TreeHelper& tree);
  void push_names(TreeHelper& tree, Dir& dir);
  void drop_names(Names* names);
  void let_go(Dir* dir);
  bool leave(TreeHelper& tree, Dir& dir, int parent_fd);
  void drop_unvisited(Dir* dir);

  // tree_reading.cc
  void enter(TreeHelper& tree, Dir& dir, int fd);
  void finish_reading(TreeHelper& tree, Dir& dir);
  void read_dir(TreeHelper& tree, Dir& dir, int fd);
  bool read_page(TreeHelper& tree, Dir& dir, int fd, uint32_t size);
  void share_page(TreeHelper& tree, Dir& dir, uint32_t at, uint32_t size);
  void do_entries(TreeHelper& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end);
  void finish_page(TreeHelper& tree, Page& page);
  Page* take_page(TreeHelper& tree);

  // tree_dirs.cc
  bool open_dir(TreeHelper& tree, Claim& claim);
  int open_at(TreeHelper& tree, int fd, const char* name);
  int reopen(TreeHelper& tree, Dir& dir);
  bool give_back(TreeHelper& tree, Claim& claim);
  void adopt_descriptor(TreeHelper& tree, Dir& dir, int fd);
  // These five under the lock; what they return must be closed after unlocking, -1 is nothing.
  int use_descriptor(Dir& dir);  // but this one: the descriptor, -1 when it was closed meanwhile
  int drop_user(Dir& dir);
  int close_if_done(Dir& dir);
  void unlink_idle(Dir& dir);
  int evict_idle();

  const bool post_order_;
  Dir* root_ = nullptr;
  // Guarded by the lock from here on.
  bool root_waits_ = false;
  Stack<Names> names_;  // the deepest first
  Stack<Dir> leaving_;  // all below them has been visited
  Stack<Dir> reading_;  // their next page is to be read
  Stack<Page> pages_;   // with entries that nobody has claimed
  Stack<Page> spare_pages_;
  LinkedList<Dir, &Dir::idle_links> idle_;  // the one used last comes first
  uint32_t open_count_ = 0;
};

Dir* dir_make(Dir* parent, const char* name, size_t length);

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_H_
