// How the files of readFiles are read. See read_files.h.
#include "jobs/read_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "threads/descriptor_room.h"
#include "threads/finish.h"
#include "threads/pool_thread.h"
#include "threads/threads.h"

namespace acall {

namespace {

constexpr uint32_t kFirstRead = 64 * 1024;  // bytes that are read before the file's size is asked for
// Files of at least so many bytes have a block of their own, so that at most a quarter of a pack stays unused.
constexpr uint32_t kOwnBytes = 16 * 1024;
// Smaller files are read also when the outbox has no room for them: each job thread exceeds the bound by at most this.
constexpr uint64_t kDeferBytes = 1 << 20;
// These, and the detector's own: row read-files-cold.
constexpr uint32_t kJudged = 16;  // files that are judged together while no thread is blocked: one may lose its core
constexpr uint64_t kSlowNs = 40'000;  // thirty times a cached file: the thread has slept, or lost its core

// Detects that the calls of a job thread sleep, as on a disk that answers before the supervisor would count the thread
// as blocked. The time of a file alone does not show whether the thread has slept or lost its core; the kernel's count
// of voluntary switches does.
class SleepDetector {
 public:
  explicit SleepDetector(uint64_t now_ns) : begun_ns_(now_ns) {}
  // Called after each file; judges the average of `files` files.
  bool sleeps(uint64_t now_ns, uint32_t files) {
    if (++files_ < files) return score_ >= kSure;
    const uint64_t each_ns = (now_ns - begun_ns_) / files_;
    files_ = 0;
    begun_ns_ = now_ns;
    if (each_ns < kSlowNs) {
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
  uint32_t files_ = 0;
  uint64_t begun_ns_;
};

}  // namespace

// The memory into which a job thread reads. The next job thread uses it again, so that its pages are touched once.
struct ReadFiles::Scratch {
  Scratch* next = nullptr;
  alignas(8) unsigned char bytes[kFirstRead];
};

ReadFiles* ReadFiles::make(Environment& environment, int flags) {
  return job_make<ReadFiles>(environment, flags | O_CLOEXEC);
}

void ReadFiles::finish() {
  {
    Hold hold(lock);
    feed.close();
  }
  start();
}

ReadFiles::Output ReadFiles::take() {
  Output output;
  bool resumed;
  {
    Hold hold(lock);
    output.pack = outbox_.take();
    output.unclaimed = feed.unclaimed();
    output.ended = output.pack == nullptr && is_wound_up();
    output.result = result();
    resumed = want_thread();
  }
  if (resumed) submit_thread();
  if (ReadPack* pack = output.pack; pack != nullptr && pack->data != nullptr && pack->used < pack->data->size / 2) {
    // A Buffer must not keep memory alive that was never filled.
    if (Block* fitting = block_make(pack->used); fitting != nullptr) {
      memcpy(fitting->data(), pack->data->data(), pack->used);
      block_release(std::exchange(pack->data, fitting));
    }
  }
  return output;
}

bool ReadFiles::claim(File& file) {
  if (is_cancelled() || outbox_.is_full()) return false;
  if (may_read_deferred()) {
    Deferred* deferred = deferred_.pop();
    file = deferred->file;
    file.was_deferred = true;
    outbox_.promise(file.promised);
    free(deferred);
    return true;
  }
  file = {.claim = feed.claim(1)};
  return file.claim.count > 0;
}

Operation* ReadFiles::take_ready_op(bool at_once, uint64_t now_ns) {
  return has_op() && has_result() && outbox_.is_due(at_once, now_ns) ? take_op() : nullptr;
}

void ReadFiles::work(JobThread& thread) {
  Scratch* scratch = borrow_scratch();
  if (scratch == nullptr) return fail(-ENOMEM);
  DescriptorGuest guest;
  uint64_t now_ns = seams.now_ns();
  SleepDetector detector(now_ns);
  for (bool go_on = true;;) {
    File file;
    bool another = false, is_crowded;
    Operation* ready;
    {
      Hold hold(lock);
      go_on = go_on && claim(file);
      if (go_on) another = want_thread();
      // The file may block this thread for ever. While there is more to claim, another job thread comes here, which
      // takes long only when threads are blocked: then, and near the end, a consumer that waits is notified now.
      is_crowded = at_work() > core_count();
      ready = take_ready_op(!go_on || feed.is_empty() || is_crowded, now_ns);
      if (!go_on) spare_.push(*scratch);
    }
    if (another) submit_thread();
    if (ready != nullptr) finish_begun(*ready, 0);
    if (!go_on) return;
    read(thread, *scratch, file);
    now_ns = seams.now_ns();
    const bool sleeps = detector.sleeps(now_ns, is_crowded ? 1 : kJudged);
    if (sleeps) threads_count_as_blocked(thread.self);
    // A thread that sleeps uses no core: another job thread comes beside it and not in its place.
    go_on = sleeps ? !is_cancelled() : !thread.should_leave(now_ns);
  }
}

// Reads one file. Afterwards its record is in a pack, or the file is deferred.
void ReadFiles::read(JobThread& thread, Scratch& scratch, File& file) {
  int64_t fd;
  for (;;) {
    // Other job threads have a descriptor each, but never for long.
    const uint64_t seen = descriptor_room().releases();
    fd = thread.call(SYS_openat, AT_FDCWD, file.claim.at, flags_, 0666);
    if (!is_out_of_descriptors(fd) || !descriptor_room().wait(thread.self, seen)) break;
  }
  if (fd < 0) return fail_file(file, fd, FileCall::kOpen);
  const int64_t got = read_first(thread.call, static_cast<int>(fd), scratch.bytes, kFirstRead);
  if (got == kFirstRead) read_large(thread, scratch, static_cast<int>(fd), file);
  thread.close(static_cast<int>(fd));
  descriptor_room().released();
  if (got == kFirstRead) return;
  if (got < 0) return fail_file(file, got, FileCall::kRead);
  const auto length = static_cast<uint32_t>(got);
  if (length < kOwnBytes) return pack_small(file, scratch.bytes, length);
  Block* block = block_make(length);
  if (block == nullptr) return fail_file(file, -ENOMEM, FileCall::kRead);
  memcpy(block->data(), scratch.bytes, length);
  pack_alone(file, block, length);
}

// Reads the rest of a file whose first kFirstRead bytes are in the scratch memory.
void ReadFiles::read_large(JobThread& thread, const Scratch& scratch, int fd, File& file) {
  WholeFile whole = size_of_large(thread.call, fd, kFirstRead);
  if (whole.status >= 0 && whole.size >= kDeferBytes && !file.was_deferred) {
    file.promised = whole.size;
    if (!outbox_.promise(whole.size) && defer(file)) return;
  }
  if (whole.status >= 0) {
    read_rest(
        thread.call, [this] { return is_cancelled(); }, fd, scratch.bytes, kFirstRead, whole);
  }
  if (whole.block == nullptr) return fail_file(file, whole.status, whole.call, whole.size);
  pack_alone(file, whole.block, static_cast<uint32_t>(whole.status));
}

// Lets the file wait, and withdraws what the outbox counts for it. False: no memory.
bool ReadFiles::defer(const File& file) {
  void* memory = seams.allocate(sizeof(Deferred));
  if (memory == nullptr) return false;
  auto* deferred = new (memory) Deferred{nullptr, file};
  outbox_.withdraw(file.promised);
  Hold hold(lock);
  deferred_.push(*deferred);
  return true;
}

ReadFiles::Scratch* ReadFiles::borrow_scratch() {
  {
    Hold hold(lock);
    if (Scratch* scratch = spare_.pop()) return scratch;
  }
  void* memory = seams.allocate(sizeof(Scratch));
  return memory == nullptr ? nullptr : new (memory) Scratch;
}

// Without the lock: no other thread uses the job's work any more.
void ReadFiles::wind_up() {
  feed.drop_unclaimed();
  while (Deferred* deferred = deferred_.pop()) {
    PathFeed::release(deferred->file.claim);
    free(deferred);
  }
  while (Scratch* scratch = spare_.pop()) free(scratch);
}

void ReadFiles::dispose() {
  wind_up();
  outbox_.drop();
}

}  // namespace acall
