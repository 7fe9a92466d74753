// walk and readdir: the names of a tree, with their stats when wanted, in pages that JavaScript takes when it likes.
// Helpers stop when too much lies unfetched and go on when it has been taken. A page in the making is only in a
// helper's hands while the helper cannot block, so what is found can be fetched although everybody is stuck. Entered by
// helpers, and by the environment's thread (take); Job::lock guards the lists of pages.
#ifndef ACALL_CORE_TREE_WALK_H_
#define ACALL_CORE_TREE_WALK_H_

#include <atomic>
#include <cstdint>

#include "batch_buffer.h"
#include "batch_columns.h"
#include "tree.h"
#include "wire.h"

namespace acall {

// Small enough for strings and columns to be ordinary objects of the heaps they come to: pages four times as large took
// JavaScript twice the time.
struct WalkPage {
  static constexpr uint32_t kRows = 1024;
  WalkPage* next = nullptr;
  uint32_t rows = 0;
  uint32_t capacity = 0;
  bool is_ascii = true;
  ByteBuffer text;         // paths, or names, each ended by a NUL
  ByteBuffer runs;         // WalkRun
  ByteBuffer types;        // DT_ of each entry
  Block* stats = nullptr;  // columns of `capacity` rows
  Columns columns;
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
    WalkPage* pages = nullptr;    // the caller's now: walk_page_free()
    TreeError* errors = nullptr;  // likewise: free()
    bool ended = false;           // nothing will come after this
    int result = 0;               // when ended: 0, the root's error, -ECANCELED, -ENOMEM, -EAGAIN
  };
  // What is ready now, at once. Nothing, and not ended: begin() an op, which ends when there is something to take.
  Output take();

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  struct WalkHelper;
  struct Looked;

  Walk(Environment& environment, Block& home, const WalkOptions& options)
      : Tree(environment, home, options.one_file_system, options.max_depth), options_(options) {}
  void work(Helper& helper) override;
  void dispose() override;
  bool has_result() override { return ready_ != nullptr || partial_ != nullptr || errors_ != nullptr; }
  int open_root(TreeHelper& tree) override;
  bool entered(TreeHelper& tree, Dir& dir, int fd) override;
  void refused(TreeHelper& tree, Dir& parent, int parent_fd, const char* name, int error) override;
  void entries(TreeHelper& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) override;
  bool wants_calls(const unsigned char* page, size_t size) override;
  bool is_paused() const override;
  void note_error(TreeError* error) override;
  Operation* take_ready_op(bool idle) override;

  bool look_up(TreeHelper& tree, int fd, unsigned char* at, const unsigned char* end, Looked& looked);
  WalkPage* borrow_page();
  void return_page(WalkPage* page);
  bool append(WalkHelper& tree, WalkPage& page, Dir& dir, unsigned char*& at, const unsigned char* end,
              const Looked& looked, uint32_t& index);

  const WalkOptions options_;
  std::atomic<uint32_t> unfetched_rows_{0};  // added to by helpers, taken from by take()
  std::atomic<size_t> unfetched_bytes_{0};
  // Guarded by the lock.
  WalkPage* ready_ = nullptr;  // full ones, in the order they were filled
  WalkPage* ready_last_ = nullptr;
  WalkPage* partial_ = nullptr;  // each with at least one entry, and room for more
  TreeError* errors_ = nullptr;
  TreeError* errors_last_ = nullptr;
  uint64_t told_ns_ = 0;  // when the consumer was last told
};

}  // namespace acall

#endif  // ACALL_CORE_TREE_WALK_H_
