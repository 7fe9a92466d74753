// rmTree: removes a tree, files while its folders are read, each folder when all below it has gone. Everything is named
// relative to the descriptor of its folder, and no symbolic link is ever followed, so that whoever changes the tree
// meanwhile cannot lead the removal out of it. The root itself and the folder it lies in are held by descriptors from
// beginning to end: the path is looked up once. What cannot be removed is told and left; the rest goes.
// Entered by helpers.
#ifndef ACALL_CORE_JOBS_TREE_TREE_REMOVE_H_
#define ACALL_CORE_JOBS_TREE_TREE_REMOVE_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>

#include "jobs/tree/tree.h"

namespace acall {

class RemoveTree final : public Tree {
 public:
  // The op ends with 0 although there are errors; with -errno when there is nothing at the path. nullptr: no memory.
  static RemoveTree* make(Environment& environment, const char* root, size_t length);

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  RemoveTree(Environment& environment, Block& home, bool had_slash)
      : Tree(environment, home, {.post_order = true}), had_slash_(had_slash) {}
  void work(Helper& helper) override;
  void wind_up() override;
  int open_root(TreeHelper& tree) override;
  bool entered(TreeHelper&, Dir&, int) override { return true; }
  void refused(TreeHelper& tree, Dir& parent, int parent_fd, const char* name, int error) override;
  void entries(TreeHelper& tree, Dir& dir, int fd, unsigned char* at, unsigned char* end) override;
  // A folder is for one helper: two that change it wait for each other in the kernel.
  bool wants_calls(const unsigned char*, size_t) override { return false; }
  void left(TreeHelper& tree, Dir& dir, int parent_fd) override;

  int64_t unlink_at(TreeHelper& tree, int fd, const char* name, int flags);
  int64_t remove_directory(TreeHelper& tree, Dir& dir, int parent_fd);
  bool sweep(TreeHelper& tree, Dir& dir, int parent_fd);
  // The root's last component.
  const char* root_name() const;

  const bool had_slash_;
  // Written by the helper that opens the root, before any other has work, and by wind_up().
  int outer_ = -1;               // the folder the root lies in
  struct statx opened_root_ {};  // device and inode of what was opened
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_REMOVE_H_
