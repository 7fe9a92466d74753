// statMany. See batch_stat.h.
#include "jobs/batch_stat.h"

#include <sys/syscall.h>

#include <cerrno>

#include "threads/pool_thread.h"
#include "threads/threads.h"

namespace acall {

StatBatch* StatBatch::make(Environment& environment, uint32_t count, int dirfd, int flags) {
  auto* batch = job_make<StatBatch>(environment, count, dirfd, flags);
  if (batch == nullptr) return nullptr;
  batch->block_columns_ = block_make(count * kColumnsRowBytes);
  if (batch->block_columns_ == nullptr) {
    batch->release();
    return nullptr;
  }
  batch->columns_ = {batch->block_columns_->data(), count};
  return batch;
}

Block* StatBatch::take() { return std::exchange(block_columns_, nullptr); }

// Stores a row for each path of the claim. False: the job is cancelled.
bool StatBatch::look_up(JobThread& thread, const PathFeed::Claim& claim) {
  const char* path = claim.at;
  for (uint32_t i = 0; i < claim.count; ++i, path = next_path(path)) {
    struct statx result;
    int64_t rc = thread.call(SYS_statx, dirfd_, path, flags_, STATX_BASIC_STATS | STATX_BTIME, &result);
    if (rc == -ECANCELED && is_cancelled()) return false;
    if (rc == 0) {
      columns_.set(claim.index + i, result);
    } else {
      columns_.set_error(claim.index + i, rc);
    }
  }
  return true;
}

void StatBatch::work(JobThread& thread) {
  for (bool go_on = true; go_on;) {
    PathFeed::Claim claim;
    {
      Hold hold(lock);
      claim = feed.claim(at_work() > core_count() ? 1 : kClaimed);  // 1 while threads block, so that no path waits
    }
    if (claim.count == 0) return;
    go_on = look_up(thread, claim) && !thread.should_leave();
    PathFeed::release(claim);
  }
}

void StatBatch::dispose() {
  wind_up();
  block_release(block_columns_);
}

}  // namespace acall
