// statMany: statx of many paths, with the results as columns, one row for each path. The op ends with 0 when there are
// results for the `count` paths of make(). Entered by the environment's thread (add, take) and by job threads;
// Job::lock guards the feed.
#ifndef ACALL_CORE_JOBS_BATCH_STAT_H_
#define ACALL_CORE_JOBS_BATCH_STAT_H_

#include <cstdint>

#include "jobs/batch_columns.h"
#include "jobs/path_feed.h"

namespace acall {

class StatBatch final : public PathJob {
 public:
  // Makes a job with room for `count` results. `flags`: AT_SYMLINK_NOFOLLOW or 0. nullptr: no memory.
  static StatBatch* make(Environment& environment, uint32_t count, int dirfd, int flags);

  // Called once, after the op has ended with 0. Returns the block of the columns, which belongs to the caller then.
  Block* take();
  uint32_t count() const { return count_; }

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  StatBatch(Environment& environment, Block& home, uint32_t count, int dirfd, int flags)
      : PathJob(environment, home, count), count_(count), dirfd_(dirfd), flags_(flags) {}
  bool has_work() override { return !feed.is_empty(); }
  bool is_over() override { return feed.is_over(); }
  void work(JobThread& thread) override;
  void wind_up() override { feed.drop_unclaimed(); }
  void dispose() override;
  bool look_up(JobThread& thread, const PathFeed::Claim& claim);

  const uint32_t count_;
  const int dirfd_;
  const int flags_;
  Block* block_columns_ = nullptr;
  Columns columns_;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_BATCH_STAT_H_
