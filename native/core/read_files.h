// readFiles: whole files, many of them, in packs that JavaScript takes when it likes. Paths come in pieces while the
// first are being read already. A helper reads a few files into its own scratch memory and then copies them into a
// pack, so that a pack is in a helper's hands only while the helper cannot block; a large file has a block of its own
// and is read into it. What lies unfetched is bounded: helpers stop, and large files wait, until it has been taken.
//
// Entered by the environment's thread (add, finish, take) and by helpers; Job::lock guards what is marked so.
#ifndef ACALL_CORE_READ_FILES_H_
#define ACALL_CORE_READ_FILES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "job.h"
#include "pack_memory.h"
#include "read_whole.h"
#include "wire.h"

namespace acall {

struct ReadPack {
  // What a Buffer of a small file keeps alive, at most: it shares the memory with the others of its pack.
  static constexpr uint32_t kBytes = kPieceRoom;
  static constexpr uint32_t kRecords = kMaxReadRecords;
  ReadPack* next = nullptr;
  Block* data = nullptr;  // nullptr: no file of the pack has bytes
  uint32_t used = 0;      // bytes, each file's at a multiple of 8
  uint32_t count = 0;
  ReadRecord records[kRecords];
};
void read_pack_free(ReadPack* pack);

class ReadFiles final : public Job {
 public:
  // `flags`: of open(2); O_CLOEXEC is added. nullptr: no memory.
  static ReadFiles* make(Environment& environment, int flags);

  // The next `count` paths, each ended by a NUL, back to back at the start of `paths`, whose reference goes to the job.
  // -EAGAIN: no memory; -ECANCELED: the job is over.
  int add(Block* paths, uint32_t count);
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

  struct Piece {
    Piece* next;
    Block* paths;    // keeps the bytes; each claim has a reference of its own
    const char* at;  // first path that is not claimed
    uint32_t left;
  };
  // A large file that waits until there is room for it.
  struct Deferred {
    Deferred* next;
    uint32_t index;
    uint64_t size;
    char path[];
  };
  struct Scratch;
  // On a helper's stack. While it is linked another helper may take the files that its owner has not begun: the one in
  // hand may hold its owner up for ever.
  struct Claim {
    Block* paths = nullptr;
    const char* at = nullptr;
    uint32_t index = 0;
    std::atomic<uint64_t> range{0};  // [low half, high half): files not begun
    bool has_first = false;          // file 0 is begun by the claim itself
    Deferred* deferred = nullptr;
    Scratch* scratch = nullptr;   // the owner's
    Scratch* stranded = nullptr;  // another's, whose records are to be brought to packs
    Claim* previous = nullptr;    // guarded by `lock`, as is the next one
    Claim* next = nullptr;

    bool begin_next(uint32_t* file);
    uint32_t take_rest(uint32_t* first);
    bool holds_others_up() const;
  };
  // One file on its way.
  struct Item {
    const char* path;
    uint32_t index;
    uint64_t promised;  // counted among the unfetched bytes beforehand
    bool was_deferred;
  };

  ReadFiles(Environment& environment, Block& home, int flags) : Job(environment, home), flags_(flags) {}
  bool has_work() override {
    return !is_paused() && (first_ != nullptr || may_read_deferred() || find_stranded() != nullptr);
  }
  bool is_over() override { return finished_ && first_ == nullptr && deferred_ == nullptr; }
  void work(Helper& helper) override;
  void wind_up() override;
  void dispose() override;
  bool has_result() override { return ready_ != nullptr || partial_ != nullptr; }
  bool is_paused() const { return unfetched_bytes_.load(std::memory_order_relaxed) >= kMaxUnfetched; }
  bool may_read_deferred() const;
  Operation* take_ready_op(bool idle);
  bool claim(Claim& claim);
  bool claim_stranded(Claim& claim);
  void link(Claim& claim);
  void unlink(Claim& claim);
  Claim* find_stranded() const;
  uint32_t read_claimed(Helper& helper, Scratch& scratch, Claim& claim);
  void read_one(Helper& helper, Scratch& scratch, Item item);
  void read_large(Helper& helper, Scratch& scratch, int fd, Item& item);
  bool defer(const Item& item, uint64_t size);
  void note(Scratch& scratch, const Item& item, int64_t status, FileCall call, uint64_t size = 0);
  void deliver(const Item& item, Block* data, uint32_t length);
  void flush(Scratch& scratch);
  void flush_own(Scratch& scratch);
  Scratch* borrow_scratch();
  ReadPack* borrow_pack();
  void return_pack(ReadPack* pack, bool full);

  static constexpr size_t kMaxUnfetched = 16 << 20;

  const int flags_;
  std::atomic<size_t> unfetched_bytes_{0};  // read, or promised to a large file being read; added to by helpers
  // Guarded by `lock` from here on.
  Piece* first_ = nullptr;
  Piece* last_ = nullptr;
  Deferred* deferred_ = nullptr;
  Scratch* spare_ = nullptr;
  Claim* claims_ = nullptr;    // being worked on
  ReadPack* ready_ = nullptr;  // full ones, in the order they were filled
  ReadPack* ready_last_ = nullptr;
  ReadPack* partial_ = nullptr;  // each with at least one record, and room for more
  uint32_t ready_count_ = 0;
  uint32_t added_ = 0;
  uint32_t claimed_ = 0;
  uint64_t told_ns_ = 0;  // when the consumer was last told
  bool finished_ = false;
};

}  // namespace acall

#endif  // ACALL_CORE_READ_FILES_H_
