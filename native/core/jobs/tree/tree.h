// The traversal of a tree of directories, shared by walk, readdir, du and rmTree. There are four kinds of work besides
// the root, claimed in this order, so that what was begun is finished first: a directory to leave, when all below it
// has been visited (for traversals in post-order); 64 entries of a page of getdents64; the next page of an open
// directory; a directory to open. Every directory is opened relative to its parent's descriptor, never through a
// symbolic link. Of the descriptors that only wait for subdirectories few stay open; a closed one is opened again, name
// by name from the nearest open ancestor. So neither PATH_MAX nor RLIMIT_NOFILE bounds the depth.
//
// Entered by job threads (job.h). Job::lock guards the work and the fields of Dir, Names and Page that say so.
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

inline constexpr size_t kPageBytes = size_t{32} * 1024;  // as find and libc read: about a thousand entries

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
  Dir* parent = nullptr;  // with one reference; nullptr for the root
  std::atomic<uint32_t> references{1};
  uint32_t depth = 0;              // 0 for the root
  uint64_t device = 0, inode = 0;  // set by du, before any other thread sees the Dir
  // Guarded by the lock. While `users` is not 0, the descriptor is not closed.
  int fd = -1;
  uint32_t users = 0;    // a reader, pages, and openings of subdirectories
  uint32_t waiting = 0;  // Names of this directory; in post-order also its subdirectories that are not left
  bool is_read = false;  // the last page has been read
  bool is_idle = false;  // open, without users, in the list of directories that may be closed
  Links<Dir> idle_links;
  Dir* next = nullptr;       // among directories to read or to leave
  uint32_t name_length = 0;  // the root's name is its whole path
  char name[];
};

// Names of subdirectories of one directory that are still to be visited. A claim uses a name in place.
struct Names {
  Names* next = nullptr;
  Dir* dir = nullptr;                   // with one reference
  std::atomic<uint32_t> references{1};  // of the stack, and of each opening in progress
  uint32_t at = 0;                      // guarded by the lock: where the first unclaimed name begins
  uint32_t size = 0;
  char bytes[];
};

// One page of entries. Job threads can share it.
struct Page {
  Page* next = nullptr;
  Dir* dir = nullptr;  // with one reference; the page counts as a user
  uint32_t at = 0;     // guarded by the lock: where the first unclaimed entry begins
  uint32_t size = 0;
  uint32_t users = 0;  // guarded by the lock: claimed ranges that are not finished
  alignas(8) unsigned char bytes[kPageBytes];
};

// What a job thread of a traversal has while it works.
struct TreeThread {
  explicit TreeThread(JobThread& thread) : thread(thread) {}
  JobThread& thread;
  Page* page = nullptr;  // a page to read into
  ByteBuffer names;      // subdirectories found in the range that is being worked on
};

class Tree : public Job {
 public:
  // Returns the first errors, linked by `next`, which the caller frees one by one. Called after the op has ended.
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

  // ---- What each kind of traversal decides. Called by job threads, without the lock.
  // Opens the root. Returns a descriptor; -errno, with which the job ends; or kNothing: there is nothing to read.
  static constexpr int kNothing = INT32_MAX;
  virtual int open_root(TreeThread& tree) = 0;
  // A directory has been opened at `fd`. False: it is not read.
  virtual bool entered(TreeThread& tree, Dir& dir, int fd) = 0;
  // A subdirectory could not be opened.
  virtual void refused(TreeThread& tree, Dir& parent, int parent_fd, const char* name, int error) = 0;
  // Works on the entries [at, end) of a page; at most kClaimed when wants_calls().
  virtual void entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) = 0;
  // Whether each entry needs calls into the kernel, by the first entries of a page.
  virtual bool wants_calls(const unsigned char* page, size_t size) = 0;
  // Also under the lock: enough has been found for now, and job threads stop.
  virtual bool is_paused() const { return false; }
  // With `post_order`: all below the directory has been visited, and its descriptor is closed, but for the root's.
  // `parent_fd` is AT_FDCWD for the root, whose parent the traversal does not know, and -errno when the parent could
  // not be opened again.
  virtual void left(TreeThread& tree, Dir& dir, int parent_fd) {
    static_cast<void>(tree);
    static_cast<void>(dir);
    static_cast<void>(parent_fd);
  }
  // After each piece of work, under the lock: takes the promise op out when it may end now. `idle`: nothing is left to
  // claim.
  virtual Operation* take_ready_op(bool idle) {
    static_cast<void>(idle);
    return nullptr;
  }

  // Called by entries() for each subdirectory, which is visited later.
  void remember_name(TreeThread& tree, const char* name);
  void report(const Dir& dir, const char* name, int64_t error, TreeCall call);
  int64_t stat_at(TreeThread& tree, int fd, const char* name, int flags, uint32_t mask, struct statx* result);
  // Stores the path of a directory. It ends in a slash only where the root's path does. False: no memory.
  static bool path_of(const Dir& dir, ByteBuffer& path);
  void run_tree(TreeThread& tree);
  void dispose() override;
  Dir* root() const { return root_; }
  // The root's descriptor, while job threads are at work. It stays open until wind_up().
  int root_fd() {
    Hold hold(lock);
    return root_->fd;
  }
  void wind_up() override;

  const bool one_file_system_;
  const uint32_t max_depth_;
  ErrorList errors_;          // guarded by the lock, but for its count
  uint64_t root_device_ = 0;  // set when the root is opened, before any other directory is

 public:
  static void reference_dir(Dir& dir) { dir.references.fetch_add(1, std::memory_order_relaxed); }
  static void release_dir(Dir* dir);

 private:
  struct Claim {
    enum class Kind { kNone, kLeave, kRoot, kEntries, kRead, kOpen } kind = Kind::kNone;
    Dir* dir = nullptr;
    int fd = -1;  // of dir; -1: it is closed and must be opened again
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
  bool do_claim(TreeThread& tree, Claim& claim);
  void enter_root(TreeThread& tree);
  void push_names(TreeThread& tree, Dir& dir);
  void drop_names(Names* names);
  void let_go(Dir* dir);
  bool leave(TreeThread& tree, Dir& dir, int parent_fd);
  void drop_unvisited(Dir* dir);

  // tree_reading.cc
  void enter(TreeThread& tree, Dir& dir, int fd);
  void finish_reading(TreeThread& tree, Dir& dir);
  void read_dir(TreeThread& tree, Dir& dir, int fd);
  bool read_page(TreeThread& tree, Dir& dir, int fd, uint32_t size);
  void share_page(TreeThread& tree, Dir& dir, uint32_t at, uint32_t size);
  void do_entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end);
  void finish_page(TreeThread& tree, Page& page);
  Page* take_page(TreeThread& tree);

  // tree_dirs.cc
  bool open_dir(TreeThread& tree, Claim& claim);
  int open_at(TreeThread& tree, int fd, const char* name);
  int reopen(TreeThread& tree, Dir& dir);
  bool give_back(TreeThread& tree, Claim& claim);
  void adopt_descriptor(TreeThread& tree, Dir& dir, int fd);
  // The next functions, up to evict_idle(), are called under the lock.
  int use_descriptor(Dir& dir);  // the directory's descriptor; -1: it is closed and must be opened again
  // These return a descriptor that the caller closes after unlocking; -1: there is none.
  int drop_user(Dir& dir);
  int close_if_done(Dir& dir);
  void unlink_idle(Dir& dir);
  int evict_idle();

  const bool post_order_;
  Dir* root_ = nullptr;
  // Guarded by the lock from here on.
  bool root_waits_ = false;
  Stack<Names> names_;  // subdirectories to open, the deepest first
  Stack<Dir> leaving_;  // directories to leave: all below them has been visited
  Stack<Dir> reading_;  // directories whose next page is to be read
  Stack<Page> pages_;   // pages with unclaimed entries
  Stack<Page> spare_pages_;
  LinkedList<Dir, &Dir::idle_links> idle_;  // the directory that was used last comes first
  uint32_t open_count_ = 0;
};

Dir* dir_make(Dir* parent, const char* name, size_t length);

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_H_
