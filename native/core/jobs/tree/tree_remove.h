// rmTree: removes a tree. Files are removed while their directory is read, each directory when all below it is gone.
// Every name is relative to the descriptor of its directory, and no symbolic link is followed, so that a process that
// changes the tree meanwhile cannot lead the removal out of it. The root and the directory that contains it stay open
// from beginning to end: the path is looked up once. What cannot be removed stays and is reported; all else is removed.
// Entered by job threads; Job::lock guards the work, as in tree.h.
#ifndef ACALL_CORE_JOBS_TREE_TREE_REMOVE_H_
#define ACALL_CORE_JOBS_TREE_TREE_REMOVE_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>

#include "jobs/tree/tree.h"

namespace acall {

class RemoveTree final : public Tree {
 public:
  // The op ends with 0 also when there are errors in the tree, and with -errno when there is nothing at the path.
  // nullptr: no memory.
  static RemoveTree* make(Environment& environment, const char* root, size_t length);

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  RemoveTree(Environment& environment, Block& home, bool had_slash)
      : Tree(environment, home, {.post_order = true}), had_slash_(had_slash) {}
  void work(JobThread& thread) override;
  void wind_up() override;
  int open_root(TreeThread& tree) override;
  bool entered(TreeThread&, Dir&, int) override { return true; }
  void refused(TreeThread& tree, Dir& parent, int parent_fd, const char* name, int error) override;
  void entries(TreeThread& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) override;
  // One job thread empties a directory: two that change it would wait for each other in the kernel.
  bool wants_calls(const unsigned char*, size_t) override { return false; }
  void left(TreeThread& tree, Dir& dir, int parent_fd) override;

  int64_t unlink_at(TreeThread& tree, int fd, const char* name, int flags);
  int64_t remove_directory(TreeThread& tree, Dir& dir, int parent_fd);
  bool sweep(TreeThread& tree, Dir& dir, int parent_fd);
  // The last component of the root's path.
  const char* root_name() const;

  const bool had_slash_;  // the root's path ended in a slash
  // Written by the job thread that opens the root, before there is other work, and by wind_up().
  int outer_ = -1;               // the directory that contains the root
  struct statx opened_root_ {};  // device and inode of the root
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_REMOVE_H_
