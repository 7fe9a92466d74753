// readFiles: whole files, many of them, in packs that JavaScript takes when it likes. A helper reads one file at a time
// into its own scratch memory and then copies it into a pack, so that a pack is in a helper's hands only while the
// helper cannot block; a large file has a block of its own and is read into it. What lies unfetched is bounded: helpers
// stop, and large files wait, until it has been taken.
//
// Entered by the environment's thread (add, finish, take) and by helpers; Job::lock guards what is marked so.
#ifndef ACALL_CORE_JOBS_READ_FILES_H_
#define ACALL_CORE_JOBS_READ_FILES_H_

#include <cstddef>
#include <cstdint>

#include "base/pack_memory.h"
#include "files/read_whole.h"
#include "jobs/outbox.h"
#include "jobs/path_feed.h"
#include "wire.h"

namespace acall {

struct ReadPack {
  // What a Buffer of a small file keeps alive, at most: it shares the memory with the others of its pack.
  static constexpr uint32_t kBytes = kPieceRoom;
  static constexpr uint32_t kRecords = kMaxReadRecords;
  ReadPack* next = nullptr;
  size_t weight = 0;      // of what is in it, for the outbox
  Block* data = nullptr;  // nullptr: no file of the pack has bytes
  uint32_t used = 0;      // bytes, each file's at a multiple of 8
  uint32_t count = 0;
  ReadRecord records[kRecords];
};
void read_pack_free(ReadPack* pack);

class ReadFiles final : public PathJob {
 public:
  // `flags`: of open(2); O_CLOEXEC is added. nullptr: no memory.
  static ReadFiles* make(Environment& environment, int flags);

  // No more paths will come: the job ends when all are read.
  void finish();

  struct Output {
    ReadPack* pack = nullptr;  // the caller's now: read_pack_free()
    uint32_t unclaimed = 0;    // paths that nobody has begun to read
    bool ended = false;        // nothing will come after this
    int result = 0;            // when ended: 0, -ECANCELED, -ENOMEM, -EAGAIN
  };
  // One pack that is ready now. None, and not ended: begin() an op, which ends when there is one.
  Output take();

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  // One file on its way.
  struct File {
    PathFeed::Claim claim;
    uint64_t promised = 0;  // of its bytes, to the outbox
    bool was_deferred = false;
  };
  // A large file that waits until there is room for it.
  struct Deferred {
    Deferred* next;
    File file;
  };
  struct Scratch;

  ReadFiles(Environment& environment, Block& home, int flags) : PathJob(environment, home), flags_(flags) {}
  bool has_work() override { return !outbox_.is_full() && (!feed.is_empty() || may_read_deferred()); }
  bool is_over() override { return feed.is_over() && deferred_.is_empty(); }
  void work(Helper& helper) override;
  void wind_up() override;
  void dispose() override;
  bool has_result() override { return !outbox_.is_empty(); }
  // Under the lock, as the next two.
  bool may_read_deferred() const {
    return !deferred_.is_empty() && outbox_.has_room_for(deferred_.first()->file.promised);
  }
  bool claim(File& file);
  Operation* take_ready_op(bool at_once, uint64_t now_ns);
  Scratch* borrow_scratch();
  void read(Helper& helper, Scratch& scratch, File& file);
  void read_large(Helper& helper, const Scratch& scratch, int fd, File& file);
  bool defer(const File& file);
  void fail_file(const File& file, int64_t error, FileCall call, uint64_t size = 0);
  void pack_small(const File& file, const unsigned char* bytes, uint32_t length);
  void pack_alone(const File& file, Block* data, uint32_t length);
  void pack_record(const ReadRecord& record, const unsigned char* bytes, uint32_t length);

  const int flags_;
  // Guarded by `lock`, but for what outbox.h says.
  Outbox<ReadPack, read_pack_free> outbox_{lock};
  Stack<Deferred> deferred_;
  Stack<Scratch> spare_;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_READ_FILES_H_
