// readFiles. See read_files.h.
#include "read_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "descriptor_room.h"
#include "finish.h"
#include "read_files_scratch.h"
#include "threads.h"
#include "worker.h"

namespace acall {

namespace {

constexpr uint32_t kOwnBytes =
    16 * 1024;  // from here on a file has a block of its own: at most a quarter of a pack is wasted
constexpr uint64_t kDeferBytes = 1 << 20;
constexpr uint32_t kTellPacks = 4;     // enough for a turn of the consumer,
constexpr uint64_t kTellNs = 500'000;  // who else is told not more often than his turn costs
constexpr uint64_t kSlowNs = 40'000;   // thirty times a cached file: it slept, or lost its core

// Whether the calls of a helper sleep, as on a disk that answers in less time than the pool's monitor waits. Times
// alone cannot tell that from a lost core; the kernel's count of voluntary switches can.
class SleepDetector {
 public:
  bool sleeps(uint64_t took_ns) {
    if (took_ns < kSlowNs) {
      if (score_ > 0) --score_;
      return false;
    }
    rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) return false;
    bool slept = usage.ru_nvcsw != switches_;
    switches_ = usage.ru_nvcsw;
    if (slept && score_ < kSure) score_ += kSure / 2;
    return score_ >= kSure;
  }

 private:
  static constexpr int kSure = 8;
  long switches_ = -1;
  int score_ = 0;
};

}  // namespace

// False: there is none left.
bool ReadFiles::Claim::begin_next(uint32_t* file) {
  uint64_t seen = range.load(std::memory_order_relaxed);
  do {
    if (static_cast<uint32_t>(seen) == seen >> 32) return false;
  } while (!range.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed));
  *file = static_cast<uint32_t>(seen);
  return true;
}

// How many they were.
uint32_t ReadFiles::Claim::take_rest(uint32_t* first) {
  uint64_t seen = range.load(std::memory_order_relaxed), left;
  do {
    left = seen & 0xffffffff;
    if (left == seen >> 32) return 0;
  } while (!range.compare_exchange_weak(seen, left << 32 | left, std::memory_order_relaxed));
  *first = static_cast<uint32_t>(left);
  return static_cast<uint32_t>((seen >> 32) - left);
}

bool ReadFiles::Claim::holds_others_up() const {
  const uint64_t seen = range.load(std::memory_order_relaxed);
  return static_cast<uint32_t>(seen) != seen >> 32 || scratch->has_records();
}

void read_pack_free(ReadPack* pack) {
  block_release(pack->data);
  free(pack);
}

ReadFiles* ReadFiles::make(Environment& environment, int flags) {
  return job_make<ReadFiles>(environment, flags | O_CLOEXEC);
}

int ReadFiles::add(Block* paths, uint32_t count) {
  auto* piece = static_cast<Piece*>(seams.allocate(sizeof(Piece)));
  if (piece == nullptr || count == 0) {
    free(piece);
    block_release(paths);
    return count == 0 ? 0 : -EAGAIN;
  }
  *piece = {nullptr, paths, reinterpret_cast<const char*>(paths->data()), count};
  bool wanted = false, refused;
  {
    Hold hold(lock);
    refused = ended() || finished_;
    if (!refused) {
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
  if (refused) {
    free(piece);
    block_release(paths);
    return -ECANCELED;
  }
  if (wanted) submit_helper();
  return 0;
}

void ReadFiles::finish() {
  {
    Hold hold(lock);
    finished_ = true;
  }
  start();
}

ReadFiles::Output ReadFiles::take() {
  Output output;
  bool resumed, was_partial = false;
  {
    Hold hold(lock);
    if (ready_ != nullptr) {
      output.pack = std::exchange(ready_, ready_->next);
      if (ready_ == nullptr) ready_last_ = nullptr;
      --ready_count_;
    } else if (partial_ != nullptr) {
      output.pack = std::exchange(partial_, partial_->next);
      was_partial = true;
    }
    output.unclaimed = added_ - claimed_;
    output.ended = output.pack == nullptr && is_wound_up();
    output.result = result();
    if (output.pack != nullptr) {
      unfetched_bytes_.fetch_sub(output.pack->used + output.pack->count * sizeof(ReadRecord),
                                 std::memory_order_relaxed);
    }
    resumed = want_helper();
  }
  if (resumed) submit_helper();
  if (was_partial && output.pack->data != nullptr && output.pack->used < ReadPack::kBytes / 2) {
    // No Buffer shall keep alive what was never filled.
    if (Block* fitting = block_make(output.pack->used); fitting != nullptr) {
      memcpy(fitting->data(), output.pack->data->data(), output.pack->used);
      block_release(std::exchange(output.pack->data, fitting));
    }
  }
  return output;
}

bool ReadFiles::may_read_deferred() const {
  if (deferred_ == nullptr) return false;
  size_t unfetched = unfetched_bytes_.load(std::memory_order_relaxed);
  return unfetched == 0 || unfetched + deferred_->size <= kMaxUnfetched;
}

// Under the lock.
Operation* ReadFiles::take_ready_op(bool idle) {
  if (!has_op() || !has_result()) return nullptr;
  uint64_t now_ns = seams.now_ns();
  if (!idle && ready_count_ < kTellPacks && now_ns - told_ns_ < kTellNs) return nullptr;
  told_ns_ = now_ns;
  return take_op();
}

// Under the lock.
bool ReadFiles::claim(Claim& claim) {
  if (is_cancelled() || is_paused()) return false;
  if (may_read_deferred()) {
    claim.deferred = std::exchange(deferred_, deferred_->next);
    unfetched_bytes_.fetch_add(claim.deferred->size, std::memory_order_relaxed);
    return true;
  }
  Piece* piece = first_;
  if (piece == nullptr) return claim_stranded(claim);
  // Fewer when threads are stuck, and near the end: a file waits for few others.
  uint32_t count = at_work() > core_count() ? 1 : (added_ - claimed_) / (4 * core_count());
  if (count > kMaxChunk) count = kMaxChunk;
  if (count > piece->left) count = piece->left;
  if (count == 0) count = 1;
  claim.paths = piece->paths;
  claim.at = piece->at;
  claim.index = claimed_;
  claim.range.store(uint64_t{count} << 32, std::memory_order_relaxed);
  claimed_ += count;
  piece->left -= count;
  if (piece->left == 0) {
    first_ = piece->next;
    if (first_ == nullptr) last_ = nullptr;
    free(piece);  // its reference goes to the claim
  } else {
    block_reference(*piece->paths);
    for (uint32_t i = 0; i < count; ++i) piece->at += strlen(piece->at) + 1;
  }
  return true;
}

// Nothing else is left: what stands behind a file that another helper has in hand. Under the lock.
bool ReadFiles::claim_stranded(Claim& claim) {
  Claim* other = find_stranded();
  if (other == nullptr) return false;
  uint32_t first;
  if (uint32_t count = other->take_rest(&first); count > 0) {
    claim.paths = other->paths;  // its owner lets go of it once it is unlinked
    block_reference(*claim.paths);
    claim.at = other->at;
    for (uint32_t i = 0; i < first; ++i) claim.at += strlen(claim.at) + 1;
    claim.index = other->index + first;
    claim.has_first = true;  // so that two who break in on each other get on
    claim.range.store(uint64_t{count} << 32 | 1, std::memory_order_relaxed);
  }
  claim.stranded = other->scratch;  // no scratch memory is freed while a helper is at work
  return true;
}

// Under the lock, as are the next two.
ReadFiles::Claim* ReadFiles::find_stranded() const {
  Claim* claim = claims_;
  while (claim != nullptr && !claim->holds_others_up()) claim = claim->next;
  return claim;
}

void ReadFiles::link(Claim& claim) {
  claim.next = claims_;
  if (claims_ != nullptr) claims_->previous = &claim;
  claims_ = &claim;
}

void ReadFiles::unlink(Claim& claim) {
  (claim.previous != nullptr ? claim.previous->next : claims_) = claim.next;
  if (claim.next != nullptr) claim.next->previous = claim.previous;
}

void ReadFiles::work(Helper& helper) {
  Scratch* scratch = borrow_scratch();
  if (scratch == nullptr) return fail(-ENOMEM);
  DescriptorGuest guest;
  SleepDetector detector;
  for (bool go_on = true; go_on;) {
    Claim claimed;
    claimed.scratch = scratch;
    bool another = false;
    {
      Hold hold(lock);
      go_on = claim(claimed);
      if (go_on) {
        // Not yet linked: its own files call for no other helper.
        another = want_helper();
        link(claimed);
      }
    }
    if (another) submit_helper();
    const bool has_claim = go_on;
    bool one_by_one = false;
    if (has_claim) {
      uint64_t begun_ns = seams.now_ns();
      uint32_t count = read_claimed(helper, *scratch, claimed);
      uint64_t each_ns = count == 0 ? 0 : (seams.now_ns() - begun_ns) / count;
      one_by_one = count <= 1;
      // With one file at a time a result goes out before the next file is begun, which may never end.
      const bool sleeps = detector.sleeps(each_ns);
      if (sleeps) threads_count_as_blocked(helper.self);
      // Who sleeps keeps no core from those in the queue: one more helper comes beside it, not in its place.
      go_on = sleeps ? !is_cancelled() : !helper.should_leave();
    }
    Operation* ready;
    {
      Hold hold(lock);
      if (has_claim) unlink(claimed);
      ready = take_ready_op(!go_on || one_by_one);
      if (!go_on) {
        scratch->next = spare_;
        spare_ = scratch;
      }
    }
    block_release(claimed.paths);
    if (ready != nullptr) finish_begun(*ready, 0);
  }
}

// Results are in packs when it returns: of how many files.
uint32_t ReadFiles::read_claimed(Helper& helper, Scratch& scratch, Claim& claim) {
  if (claim.stranded != nullptr) flush(*claim.stranded);
  uint32_t count = 0;
  if (Deferred* deferred = claim.deferred; deferred != nullptr) {
    read_one(helper, scratch, {deferred->path, deferred->index, deferred->size, true});
    free(deferred);
    count = 1;
  } else {
    const char* path = claim.at;
    uint32_t here = 0, file = 0;
    for (bool first = claim.has_first; !is_cancelled() && (first || claim.begin_next(&file)); first = false, ++count) {
      for (; here < file; ++here) path += strlen(path) + 1;
      if (Scratch::kBytes - scratch.used < kFirstRead) flush_own(scratch);
      read_one(helper, scratch, {path, claim.index + file, 0, false});
    }
  }
  flush_own(scratch);
  return count;
}

void ReadFiles::read_one(Helper& helper, Scratch& scratch, Item item) {
  int64_t fd;
  for (;;) {
    // Other helpers hold a descriptor each, but never for long.
    const uint64_t seen = descriptor_room().releases();
    fd = helper.call(SYS_openat, AT_FDCWD, item.path, flags_, 0666);
    if (!is_out_of_descriptors(fd) || !descriptor_room().wait(helper.self, seen)) break;
  }
  if (fd < 0) return note(scratch, item, fd, FileCall::kOpen);
  unsigned char* into = scratch.bytes + scratch.used;
  int64_t got = read_first(helper.call, static_cast<int>(fd), into, kFirstRead);
  if (got == kFirstRead) read_large(helper, scratch, static_cast<int>(fd), item);
  helper.close(static_cast<int>(fd));
  descriptor_room().released();
  if (got == kFirstRead) return;
  if (got < kOwnBytes) return note(scratch, item, got, FileCall::kRead);
  Block* block = block_make(static_cast<size_t>(got));
  if (block == nullptr) return note(scratch, item, -ENOMEM, FileCall::kRead);
  memcpy(block->data(), into, static_cast<size_t>(got));
  deliver(item, block, static_cast<uint32_t>(got));
}

// The file's first kFirstRead bytes are in the scratch memory.
void ReadFiles::read_large(Helper& helper, Scratch& scratch, int fd, Item& item) {
  WholeFile file = size_of_large(helper.call, fd, kFirstRead);
  if (file.status >= 0 && file.size >= kDeferBytes && !item.was_deferred) {
    item.promised = file.size;
    size_t before = unfetched_bytes_.fetch_add(file.size, std::memory_order_relaxed);
    if (before > 0 && before + file.size > kMaxUnfetched && defer(item, file.size)) return;
  }
  if (file.status >= 0) {
    read_rest(
        helper.call, [this] { return is_cancelled(); }, fd, scratch.bytes + scratch.used, kFirstRead, file);
  }
  if (file.block == nullptr) return note(scratch, item, file.status, file.call, file.size);
  deliver(item, file.block, static_cast<uint32_t>(file.status));
}

// Takes back what was promised to the file. False: no memory.
bool ReadFiles::defer(const Item& item, uint64_t size) {
  size_t length = strlen(item.path) + 1;
  void* memory = seams.allocate(sizeof(Deferred) + length);
  if (memory == nullptr) return false;
  Deferred* deferred = new (memory) Deferred{nullptr, item.index, size};
  memcpy(deferred->path, item.path, length);
  unfetched_bytes_.fetch_sub(item.promised, std::memory_order_relaxed);
  Hold hold(lock);
  deferred->next = deferred_;
  deferred_ = deferred;
  return true;
}

// Nobody else is here any more: what the lock guards is ours.
void ReadFiles::wind_up() {
  while (first_ != nullptr) {
    block_release(first_->paths);
    free(std::exchange(first_, first_->next));
  }
  last_ = nullptr;
  while (deferred_ != nullptr) free(std::exchange(deferred_, deferred_->next));
  while (spare_ != nullptr) free(std::exchange(spare_, spare_->next));
}

void ReadFiles::dispose() {
  wind_up();
  while (ready_ != nullptr) read_pack_free(std::exchange(ready_, ready_->next));
  while (partial_ != nullptr) read_pack_free(std::exchange(partial_, partial_->next));
}

}  // namespace acall
