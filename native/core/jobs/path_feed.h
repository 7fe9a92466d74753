// How the inputs of a job come: paths in pages, the first of which are worked on while others are still to come. A page
// is a block of paths back to back, each ended by a NUL; whoever claims some of them gets a reference that keeps the
// block. Entered by the environment's thread (add) and by helpers; Job::lock guards the feed.
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
  // Paths that lie one behind the other.
  struct Claim {
    const char* at = nullptr;
    uint32_t count = 0;  // 0: there are none
    uint32_t index = 0;  // of the first one among all paths
    Block* paths = nullptr;
    Page* spent = nullptr;  // nothing is left of it
  };

  // Takes `most` paths in all and is closed then; without a number, until close().
  explicit PathFeed(uint32_t most = UINT32_MAX) : most_(most), is_closed_(most == 0) {}

  // All under the lock. 0; -EINVAL: more than the feed takes; -ECANCELED: it is closed. The page is the feed's if 0.
  int add(Page& page);
  void close() { is_closed_ = true; }
  Claim claim(uint32_t most);
  bool is_empty() const { return pages_.is_empty(); }
  bool is_over() const { return is_closed_ && is_empty(); }
  uint32_t unclaimed() const { return added_ - claimed_; }

  // Without the lock: lets go of what a claim keeps; and, when the job is over, of what nobody has claimed.
  static void release(const Claim& claim);
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
  // The next `count` paths, at the start of `paths`, whose reference goes to the job. 0; -EAGAIN: no memory;
  // -ECANCELED: the job is over, or no more paths were to come; -EINVAL: more paths than the job was made for.
  int add(Block* paths, uint32_t count);

 protected:
  PathJob(Environment& environment, Block& home, uint32_t most = UINT32_MAX) : Job(environment, home), feed(most) {}

  PathFeed feed;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_PATH_FEED_H_
