// A job: one promise op over many inputs. Helpers are ops of the pool that claim work until none is left; the last one
// to leave ends the op. While unclaimed work exists one helper stands in the queue, so that the pool's growth rule sees
// it when those at work are stuck: a stuck entry delays itself and the end of its job, nothing else. A helper gives its
// thread back after a slice, so that a long job and the quick ops of others take turns.
//
// Entered by pool threads (helpers), by the environment's thread (begin, cancel, release) and by whoever cancels the
// op. Job::lock guards what is marked so, in this class and in its subclasses; no call into the kernel is made under
// it.
#ifndef ACALL_CORE_JOBS_JOB_H_
#define ACALL_CORE_JOBS_JOB_H_

#include <atomic>
#include <cstdint>
#include <new>
#include <utility>

#include "base/block.h"
#include "base/intrusive_list.h"
#include "base/seams.h"
#include "base/sync.h"
#include "completion/ring.h"
#include "op/operation.h"
#include "syscalls/kernel_entry.h"

namespace acall {

struct PoolThread;
class Job;

// One run of a helper, on the stack of its thread.
struct Helper {
  Job& job;
  PoolThread& self;
  KernelEntry call;  // how the job enters the kernel: -ECANCELED once it is cancelled
  acall_id id;
  uint64_t slice_end_ns;
  Links<Helper> links = {};  // guarded by Job::lock

  // Also when the job is cancelled. -1: nothing.
  void close(int fd) const {
    if (fd >= 0) KernelEntry::close_always(self, fd);
  }
  // Between two pieces of work: the job is cancelled, or the slice is over and another helper will take the thread.
  bool should_leave(uint64_t now_ns = seams.now_ns()) const;
};

class Job {
 public:
  static constexpr uint32_t kMaxHelpers = 64;  // of one job: a hung server leaves the pool to others

  void reference() { references_.fetch_add(1, std::memory_order_relaxed); }
  void release();

  // Begins the promise op that ends with the job: 0, or -EAGAIN. `id` may be null.
  int begin(Ring& ring, uint64_t cookie, bool keep_alive, acall_id* id);
  // Sends the first helper, or one more when new work has come. A job that cannot get one ends with -EAGAIN.
  void start();
  // Any thread with a reference, any time: helpers stop at their next entry, those in the kernel are interrupted, the
  // op ends with -ECANCELED. Nothing happens when the job is over.
  void cancel();
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 protected:
  Job(Environment& environment, Block& home) : environment_(environment), block_(home) {}

  // All three under `lock`. Something that one more helper could claim.
  virtual bool has_work() = 0;
  // When no helper is at work: nothing more will come.
  virtual bool is_over() = 0;
  // Claims and works until nothing is left or helper.should_leave().
  virtual void work(Helper& helper) = 0;
  // Once, when the job is over and no helper will enter work() again: lets go of descriptors and of what was not
  // claimed.
  virtual void wind_up() = 0;
  // With the last reference: lets go of all memory.
  virtual void dispose() = 0;
  // Under `lock`: the op may end before the job does, since there is something to fetch.
  virtual bool has_result() { return false; }

  // Under `lock`: whether the caller must call submit_helper() after unlocking.
  bool want_helper();
  void submit_helper();
  // Any thread: the job ends with `error` instead of 0.
  void fail(int error);
  // Under `lock`, this and those up to take_op(). Helpers at work, and how many there may be from now on, at least one.
  uint32_t at_work() const { return helpers_.length(); }
  void narrow(uint32_t width) { width_ = width == 0 ? 1 : width; }
  bool ended() const { return over_; }
  bool is_wound_up() const { return wound_up_; }
  bool has_op() const { return op_ != nullptr; }
  // Takes the begun op out, to be ended by the caller after unlocking; nullptr when there is none.
  Operation* take_op() { return std::exchange(op_, nullptr); }
  int result() const { return result_.load(std::memory_order_acquire); }

  Lock lock;

 private:
  friend struct Helper;
  static int64_t run(Operation& op, PoolThread& self);
  static void raise(Operation& op);
  static void interrupt(void* job);
  static const BackEnd whole_job, one_helper;  // the op that ends with the job, and those that work for it
  bool join(Helper& helper);
  void leave(Helper& helper);
  bool take_over();
  void finish_over();

  Environment& environment_;  // used by helpers, whose ops keep it, and on its own thread
  Block& block_;              // the job lives there: every op of it has a reference
  std::atomic<bool> cancelled_{false};
  std::atomic<uint32_t> references_{1};
  std::atomic<int> result_{0};
  std::atomic<uint32_t> queued_{0};  // helpers in the pool's queue; changed under `lock`
  // Guarded by `lock` from here on.
  LinkedList<Helper, &Helper::links> helpers_;  // at work
  uint32_t width_ = kMaxHelpers;
  bool over_ = false;
  bool wound_up_ = false;
  Operation* op_ = nullptr;  // the op that ends with the job, or earlier
};

// Makes a job inside a block, which lives until the last op that points to the job's flag is complete: longer than the
// job. nullptr: no memory.
template <typename T, typename... Arguments>
T* job_make(Environment& environment, Arguments&&... arguments) {
  static_assert(alignof(T) <= 16);
  Block* home = block_make(sizeof(T));
  if (home == nullptr) return nullptr;
  return new (home->data()) T(environment, *home, std::forward<Arguments>(arguments)...);
}

}  // namespace acall

#endif  // ACALL_CORE_JOBS_JOB_H_
