// statMany. See batch_stat.h.
#include "batch_stat.h"

#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "threads.h"
#include "worker.h"

namespace acall {

namespace {

constexpr uint32_t kChunk = 64;      // one trip to the lock for 50 microseconds of cached statx
constexpr uint32_t kSmallChunk = 4;  // when threads are stuck: an entry waits for few others

}  // namespace

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

int StatBatch::add(Block* paths, uint32_t count) {
  auto* piece = static_cast<Piece*>(seams.allocate(sizeof(Piece)));
  if (piece == nullptr || count == 0) {
    free(piece);
    block_release(paths);
    return piece == nullptr ? -EAGAIN : 0;
  }
  *piece = {nullptr, paths, reinterpret_cast<const char*>(paths->data()), count};
  bool wanted = false;
  int error = 0;
  {
    Hold hold(lock);
    if (count > count_ - added_) {
      error = -EINVAL;
    } else if (ended()) {
      error = -ECANCELED;
    } else {
      added_ += count;
      if (last_ != nullptr) {
        last_->next = piece;
      } else {
        first_ = piece;
      }
      last_ = piece;
      wanted = want_helper();
    }
  }
  if (error != 0) {
    free(piece);
    block_release(paths);
  }
  if (wanted) submit_helper();
  return error;
}

Block* StatBatch::take() { return std::exchange(block_columns_, nullptr); }

// Under the lock.
bool StatBatch::claim(Chunk& chunk) {
  Piece* piece = first_;
  if (piece == nullptr) return false;
  uint32_t count = at_work() > core_count() ? kSmallChunk : kChunk;
  if (count > piece->left) count = piece->left;
  chunk = {piece->paths, piece->at, count, claimed_};
  claimed_ += count;
  piece->left -= count;
  if (piece->left > 0) {
    block_reference(*piece->paths);
    for (uint32_t i = 0; i < count; ++i) piece->at += strlen(piece->at) + 1;
    return true;
  }
  piece->paths = nullptr;  // its reference goes to the chunk
  first_ = piece->next;
  if (first_ == nullptr) last_ = nullptr;
  piece->next = emptied_;
  emptied_ = piece;
  return true;
}

// False: cancelled.
bool StatBatch::look_up(Helper& helper, const Chunk& chunk) {
  const char* path = chunk.at;
  for (uint32_t i = 0; i < chunk.count; ++i) {
    struct statx result;
    int64_t rc = helper.call(SYS_statx, dirfd_, path, flags_, STATX_BASIC_STATS | STATX_BTIME, &result);
    if (rc == -ECANCELED && is_cancelled()) return false;
    if (rc == 0) {
      columns_.set(chunk.row + i, result);
    } else {
      columns_.set_error(chunk.row + i, rc);
    }
    if (i + 1 < chunk.count) path += strlen(path) + 1;
  }
  return true;
}

void StatBatch::work(Helper& helper) {
  for (;;) {
    Chunk chunk;
    {
      Hold hold(lock);
      if (!claim(chunk)) return;
    }
    bool go_on = look_up(helper, chunk);
    block_release(chunk.paths);
    if (!go_on || helper.should_leave()) return;
  }
}

void StatBatch::wind_up() {
  Hold hold(lock);
  for (Piece* piece = first_; piece != nullptr; piece = piece->next) {
    block_release(piece->paths);
    piece->paths = nullptr;
  }
  if (last_ != nullptr) {
    last_->next = emptied_;
    emptied_ = first_;
  }
  first_ = last_ = nullptr;
}

void StatBatch::dispose() {
  wind_up();
  while (emptied_ != nullptr) free(std::exchange(emptied_, emptied_->next));
  block_release(block_columns_);
}

}  // namespace acall
