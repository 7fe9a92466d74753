// statMany: statx over many paths, results as columns. Paths come in pieces while the first are being looked up
// already. Entered by the environment's thread (add, take) and by helpers; Job::lock guards the pieces and the place
// reached in them.
#ifndef ACALL_CORE_BATCH_STAT_H_
#define ACALL_CORE_BATCH_STAT_H_

#include <cstdint>

#include "batch_columns.h"
#include "job.h"

namespace acall {

class StatBatch final : public Job {
 public:
  // Room for `count` results. `flags`: AT_SYMLINK_NOFOLLOW or 0. nullptr: no memory.
  static StatBatch* make(Environment& environment, uint32_t count, int dirfd, int flags);

  // The next `count` paths, each ended by a NUL, back to back at the start of `paths`, whose reference goes to the
  // batch. When as many as make() was told are there and looked up, the op ends with 0. -EINVAL: more than that;
  // -EAGAIN: no memory.
  int add(Block* paths, uint32_t count);

  // Once, after the op has ended with 0: the block of the columns (batch_columns.h), the caller's from now on.
  Block* take();
  uint32_t count() const { return count_; }

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  struct Piece {
    Piece* next;
    Block* paths;    // keeps the bytes; each chunk at work has a reference of its own
    const char* at;  // first path that is not claimed
    uint32_t left;
  };
  struct Chunk {
    Block* paths;
    const char* at;
    uint32_t count;
    uint32_t row;
  };

  StatBatch(Environment& environment, Block& home, uint32_t count, int dirfd, int flags)
      : Job(environment, home), count_(count), dirfd_(dirfd), flags_(flags) {}
  bool has_work() override { return first_ != nullptr; }
  bool is_over() override { return claimed_ == count_; }
  void work(Helper& helper) override;
  void wind_up() override;
  void dispose() override;
  bool claim(Chunk& chunk);
  bool look_up(Helper& helper, const Chunk& chunk);

  const uint32_t count_;
  const int dirfd_;
  const int flags_;
  Block* block_columns_ = nullptr;
  Columns columns_;
  Piece* first_ = nullptr;  // guarded by `lock`, as are the rest
  Piece* last_ = nullptr;
  Piece* emptied_ = nullptr;  // claimed to the end: freed by dispose(), out of the hot path
  uint32_t added_ = 0;
  uint32_t claimed_ = 0;
};

}  // namespace acall

#endif  // ACALL_CORE_BATCH_STAT_H_
