// walk and readdir: the names of a tree, with stat results on request, in pages that JavaScript takes when it wants.
// Entered by job threads, and by the environment's thread (take); Job::lock guards the outbox and the errors.
#ifndef ACALL_CORE_JOBS_TREE_TREE_WALK_H_
#define ACALL_CORE_JOBS_TREE_TREE_WALK_H_

#include <cstdint>

#include "base/byte_buffer.h"
#include "jobs/batch_columns.h"
#include "jobs/outbox.h"
#include "jobs/tree/tree.h"
#include "wire.h"

namespace acall {

// A page is small enough that its strings and columns are ordinary objects on JavaScript's heap: with pages four times
// as large JavaScript took twice the time.
struct WalkPage {
  static constexpr uint32_t kRows = 1024;
  static constexpr size_t kTextBytes = 65'536;
  WalkPage* next = nullptr;
  size_t weight = 0;  // of the rows in the page; written by the outbox
  uint32_t rows = 0;
  uint32_t capacity = 0;
  bool is_ascii = true;
  ByteBuffer text;         // paths, or names, each ended by a NUL
  ByteBuffer runs;         // WalkRun
  ByteBuffer types;        // DT_ of each entry
  Block* stats = nullptr;  // columns of `capacity` rows
  Columns columns;

  bool is_full() const { return rows == capacity || text.size() >= kTextBytes; }
};
void walk_page_free(WalkPage* page);

struct WalkOptions {
  bool stats = false;
  bool one_file_system = false;
  bool names_only = false;  // the text is the name, not the path
  uint32_t max_depth = kNoDepthLimit;
};

class Walk final : public Tree {
 public:
  // `root` may be a symbolic link, which is followed; no other is. nullptr: no memory.
  static Walk* make(Environment& environment, const char* root, size_t length, const WalkOptions& options);

  struct Output {
    WalkPage* pages = nullptr;    // belong to the caller, who calls walk_page_free()
    TreeError* errors = nullptr;  // belong to the caller, who calls free()
    bool ended = false;           // this is the last output
    int result = 0;               // when ended: 0, the root's error, -ECANCELED, -ENOMEM, -EAGAIN
  };
  // Takes all pages and errors there are. When there are none and the job has not ended: begin() an op, which ends when
  // there are some.
  Output take();

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  struct WalkThread;
  struct Looked;

  Walk(Environment& environment, Block& home, const WalkOptions& options)
      : Tree(environment, home,
             {.one_file_system = options.one_file_system, .max_depth = options.max_depth, .max_errors = UINT32_MAX}),
        options_(options) {}
  void work(JobThread& thread) override;
  void dispose() override;
  bool has_result() override { return !outbox_.is_empty() || !errors_.is_empty(); }
  int open_root(TreeThread& tree) override;
  bool entered(TreeThread& tree, Dir& dir, int fd) override;
  void refused(TreeThread& tree, Dir& parent, int parent_fd, const char* name, int error) override;
  void entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) override;
  bool wants_calls(const unsigned char* page, size_t size) override;
  bool is_paused() const override { return outbox_.is_full(); }
  Operation* take_ready_op(bool idle) override;

  bool look_up(TreeThread& tree, int fd, unsigned char* at, const unsigned char* end, Looked& looked);
  WalkPage* make_page();
  bool append(WalkThread& tree, WalkPage& page, Dir& dir, unsigned char*& at, const unsigned char* end,
              const Looked& looked, uint32_t& index);

  const WalkOptions options_;
  Outbox<WalkPage, walk_page_free> outbox_{lock};
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_WALK_H_
