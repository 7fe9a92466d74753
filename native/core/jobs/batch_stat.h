// statMany: statx over many paths, results as columns, a row for each path. When as many paths as make() was told have
// been looked up, the op ends with 0. Entered by the environment's thread (add, take) and by helpers.
#ifndef ACALL_CORE_JOBS_BATCH_STAT_H_
#define ACALL_CORE_JOBS_BATCH_STAT_H_

#include <cstdint>

#include "jobs/batch_columns.h"
#include "jobs/path_feed.h"

namespace acall {

class StatBatch final : public PathJob {
 public:
  // Room for `count` results. `flags`: AT_SYMLINK_NOFOLLOW or 0. nullptr: no memory.
  static StatBatch* make(Environment& environment, uint32_t count, int dirfd, int flags);

  // Once, after the op has ended with 0: the block of the columns (batch_columns.h), the caller's from now on.
  Block* take();
  uint32_t count() const { return count_; }

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  StatBatch(Environment& environment, Block& home, uint32_t count, int dirfd, int flags)
      : PathJob(environment, home, count), count_(count), dirfd_(dirfd), flags_(flags) {}
  bool has_work() override { return !feed.is_empty(); }
  bool is_over() override { return feed.is_over(); }
  void work(Helper& helper) override;
  void wind_up() override { feed.drop_unclaimed(); }
  void dispose() override;
  bool look_up(Helper& helper, const PathFeed::Claim& claim);

  const uint32_t count_;
  const int dirfd_;
  const int flags_;
  Block* block_columns_ = nullptr;
  Columns columns_;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_BATCH_STAT_H_
