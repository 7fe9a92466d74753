// du: the size of a tree, to the byte as GNU du prints it (`du -s -B1`, `du -s -b`): the own size of every directory
// and each file once, however many names it has; symbolic links are not followed, and the root is included. Entered by
// job threads; Job::lock guards the work. The totals are atomic counters that any thread may read at any time.
#ifndef ACALL_CORE_JOBS_TREE_TREE_DU_H_
#define ACALL_CORE_JOBS_TREE_TREE_DU_H_

#include <atomic>
#include <cstdint>

#include "jobs/tree/tree.h"
#include "jobs/tree/tree_links.h"

namespace acall {

struct DuOptions {
  bool apparent_size = false;  // sizes instead of blocks
  bool one_file_system = false;
};

class Du final : public Tree {
 public:
  // nullptr: no memory.
  static Du* make(Environment& environment, const char* root, size_t length, const DuOptions& options);

  struct Totals {
    uint64_t bytes, files, directories, errors;  // files: everything but directories; hard links count once
  };
  Totals totals() const;  // any thread, any time

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  Du(Environment& environment, Block& home, const DuOptions& options)
      : Tree(environment, home, {.one_file_system = options.one_file_system}), apparent_size_(options.apparent_size) {}
  void work(JobThread& thread) override;
  void dispose() override;
  int open_root(TreeThread& tree) override;
  bool entered(TreeThread& tree, Dir& dir, int fd) override;
  void refused(TreeThread& tree, Dir& parent, int parent_fd, const char* name, int error) override;
  void entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) override;
  bool wants_calls(const unsigned char*, size_t) override { return true; }

  bool enter_directory(Dir& dir, const struct statx& info);
  bool is_foreign(const struct statx& info) const;
  void add_file(const struct statx& info, Totals& sum);
  void add(const Totals& sum);
  uint64_t bytes_of(const struct statx& info) const;

  const bool apparent_size_;
  LinkSet links_;
  std::atomic<uint64_t> bytes_{0}, files_{0}, directories_{0};
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_DU_H_
