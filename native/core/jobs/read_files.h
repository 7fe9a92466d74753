// readFiles: reads many whole files into packs, which JavaScript takes when it wants. A job thread reads one file at a
// time into its scratch memory and then copies it into a pack, so that it borrows a pack only while it cannot block. A
// large file gets a block of its own. The bytes that JavaScript has not taken are bounded: at the bound job threads
// stop and large files wait.
//
// Entered by the environment's thread (add, finish, take) and by job threads; Job::lock guards the fields that say so.
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
  // A Buffer of a small file keeps at most so much memory alive: it shares the memory with the other files of its pack.
  static constexpr uint32_t kBytes = kPieceRoom;
  static constexpr uint32_t kRecords = kMaxReadRecords;
  ReadPack* next = nullptr;
  size_t weight = 0;      // of the files in the pack; written by the outbox
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
    ReadPack* pack = nullptr;  // belongs to the caller, who calls read_pack_free()
    uint32_t unclaimed = 0;    // paths that no thread has begun to read
    bool ended = false;        // this is the last output
    int result = 0;            // when ended: 0, -ECANCELED, -ENOMEM, -EAGAIN
  };
  // Takes one pack. When there is none and the job has not ended: begin() an op, which ends when there is a pack.
  Output take();

 private:
  template <typename T, typename... Arguments>
  friend T* acall::job_make(Environment& environment, Arguments&&... arguments);

  // One file that is being read.
  struct File {
    PathFeed::Claim claim;
    uint64_t promised = 0;  // the weight that the outbox counts for the file
    bool was_deferred = false;
  };
  // A large file that waits until the outbox has room for it.
  struct Deferred {
    Deferred* next;
    File file;
  };
  struct Scratch;

  ReadFiles(Environment& environment, Block& home, int flags) : PathJob(environment, home), flags_(flags) {}
  bool has_work() override { return !outbox_.is_full() && (!feed.is_empty() || may_read_deferred()); }
  bool is_over() override { return feed.is_over() && deferred_.is_empty(); }
  void work(JobThread& thread) override;
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
  void read(JobThread& thread, Scratch& scratch, File& file);
  void read_large(JobThread& thread, const Scratch& scratch, int fd, File& file);
  bool defer(const File& file);
  void fail_file(const File& file, int64_t error, FileCall call, uint64_t size = 0);
  void pack_small(const File& file, const unsigned char* bytes, uint32_t length);
  void pack_alone(const File& file, Block* data, uint32_t length);
  void pack_record(const ReadRecord& record, const unsigned char* bytes, uint32_t length);

  const int flags_;
  // Guarded by `lock`; for the outbox see outbox.h.
  Outbox<ReadPack, read_pack_free> outbox_{lock};
  Stack<Deferred> deferred_;
  Stack<Scratch> spare_;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_READ_FILES_H_
