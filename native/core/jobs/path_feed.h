// The inputs of a job: paths in pages. Job threads work on the first pages while more are added. A page is a block of
// paths, each ended by a NUL; a claim of some of them has a reference that keeps the block. Entered by the
// environment's thread (add) and by job threads; Job::lock guards the feed.
#ifndef ACALL_CORE_JOBS_PATH_FEED_H_
#define ACALL_CORE_JOBS_PATH_FEED_H_

#include <cstdint>
#include <cstring>

#include "base/block.h"
#include "base/intrusive_list.h"
#include "jobs/job.h"

namespace acall {

inline const char* next_path(const char* path) { return path + strlen(path) + 1; }

class PathFeed {
 public:
  struct Page {
    Page* next;
    Block* paths;
    const char* at;  // the first path that is not claimed
    uint32_t left;
  };
  // Paths that follow each other.
  struct Claim {
    const char* at = nullptr;
    uint32_t count = 0;  // 0: there are none
    uint32_t index = 0;  // of the first one among all paths
    Block* paths = nullptr;
    Page* spent = nullptr;  // a page that is used up and is freed with the claim
  };

  // The feed closes itself when `most` paths have been added.
  explicit PathFeed(uint32_t most = UINT32_MAX) : most_(most), is_closed_(most == 0) {}

  // The next functions, up to unclaimed(), are called under the lock.
  // 0: the page belongs to the feed. -EINVAL: there are more paths than the feed takes; -ECANCELED: it is closed.
  int add(Page& page);
  void close() { is_closed_ = true; }
  Claim claim(uint32_t most);
  bool is_empty() const { return pages_.is_empty(); }
  bool is_over() const { return is_closed_ && is_empty(); }
  uint32_t unclaimed() const { return added_ - claimed_; }

  // Without the lock: releases the memory of a claim.
  static void release(const Claim& claim);
  // When the job is over, without the lock: releases all pages.
  void drop_unclaimed();

 private:
  const uint32_t most_;
  bool is_closed_;
  Queue<Page> pages_;
  uint32_t added_ = 0;
  uint32_t claimed_ = 0;
};

// A job whose inputs are paths.
class PathJob : public Job {
 public:
  // Adds `count` paths, at the beginning of `paths`, whose reference goes to the job. 0; -EAGAIN: no memory;
  // -ECANCELED: the job is over, or its feed is closed; -EINVAL: there are more paths than the job was made for.
  int add(Block* paths, uint32_t count);
  // The same for `length` bytes that should be `count` paths joined by NULs; kHasNul: the number of paths differs.
  int add_joined(Block* paths, size_t length, uint32_t count);

 protected:
  PathJob(Environment& environment, Block& home, uint32_t most = UINT32_MAX) : Job(environment, home), feed(most) {}

  PathFeed feed;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_PATH_FEED_H_
