// A job: one promise op over many inputs. Job threads are pool threads that work for a job: each runs an op of its own
// that claims work until none is left, and the last one to leave ends the promise op. While there is unclaimed work,
// one more such op is in the pool's queue, so that the pool grows when the job threads block: an input that blocks
// delays its own result and the end of the job, and nothing else. A job thread leaves after a slice of time, so that a
// long job and short ops of others take turns.
//
// Entered by job threads, by the environment's thread (begin, start, cancel, release) and by threads that cancel the
// op. Job::lock guards the fields that say so, in this class and its subclasses; no call into the kernel is made under
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
class PromiseSlots;

// A job thread while it works. On the stack of the thread.
struct JobThread {
  Job& job;
  PoolThread& self;
  KernelEntry call;  // makes the job's calls: -ECANCELED once the job is cancelled
  acall_id id;
  uint64_t slice_end_ns;
  Links<JobThread> links = {};  // guarded by Job::lock

  // Closes a descriptor, also when the job is cancelled. -1: does nothing.
  void close(int fd) const {
    if (fd >= 0) KernelEntry::close_always(self, fd);
  }
  // Checked between two pieces of work. True: the job is cancelled, or the slice is over and one more op of the job is
  // queued.
  bool should_leave(uint64_t now_ns = seams.now_ns()) const;
};

class Job {
 public:
  static constexpr uint32_t kMaxThreads = 64;  // job threads of one job: a hung server leaves threads to other ops
  // Paths or entries that a job thread claims at once while no thread blocks: the lock is taken once in 50 us of cached
  // statx. Row stat-many is the same from 16 to 256.
  static constexpr uint32_t kClaimed = 64;

  void reference() { references_.fetch_add(1, std::memory_order_relaxed); }
  void release();

  // Publishes the promise op as running. It ends with the job, or when has_result(). 0 or -EAGAIN. `id` may be null.
  int begin(Ring& ring, uint64_t cookie, bool keep_alive, acall_id* id);
  // The same with the op of a slot of the promise layer; JobOption.
  int begin_in(PromiseSlots& slots, uint32_t number, uint32_t options);
  // Asks for the first job thread, or for one more when new work has come. Without any the job ends with -EAGAIN.
  void start();
  // Any thread with a reference, at any time: job threads stop at their next input, those in the kernel are
  // interrupted, and the op ends with -ECANCELED. Does nothing when the job is over.
  void cancel();
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 protected:
  Job(Environment& environment, Block& home) : environment_(environment), block_(home) {}

  // Under `lock`: whether there is work that one more job thread could claim.
  virtual bool has_work() = 0;
  // Under `lock`, when no job thread is at work: whether no more work will come.
  virtual bool is_over() = 0;
  // Called by a job thread, without `lock`: claims and works until nothing is left or thread.should_leave().
  virtual void work(JobThread& thread) = 0;
  // Called when the job is over and no job thread will enter work() again: closes descriptors and drops unclaimed work.
  virtual void wind_up() = 0;
  // Called with the last reference: frees all memory.
  virtual void dispose() = 0;
  // Under `lock`: the op may end before the job, since JavaScript can fetch something.
  virtual bool has_result() { return false; }

  // Under `lock`: whether one more job thread is wanted. The caller then calls submit_thread() after unlocking.
  bool want_thread();
  void submit_thread();
  // Any thread: the job ends with `error` instead of 0.
  void fail(int error);
  // The next functions, up to take_op(), are called under `lock`. at_work(): how many job threads work; narrow(): how
  // many may work from now on, at least one.
  uint32_t at_work() const { return threads_.length(); }
  void narrow(uint32_t width) { width_ = width == 0 ? 1 : width; }
  bool ended() const { return over_; }
  bool is_wound_up() const { return wound_up_; }
  bool has_op() const { return op_ != nullptr; }
  // Takes the promise op out, which the caller ends after unlocking; nullptr: there is none.
  Operation* take_op() { return std::exchange(op_, nullptr); }
  int result() const { return result_.load(std::memory_order_acquire); }

  Lock lock;

 private:
  friend struct JobThread;
  static int64_t run(Operation& op, PoolThread& self);
  static void raise(Operation& op);
  static void interrupt(void* job);
  static const BackEnd whole_job, one_thread;  // of the promise op, and of the ops that job threads run
  bool join(JobThread& thread);
  void leave(JobThread& thread);
  bool take_over();
  void finish_over();

  Environment& environment_;  // used on its own thread, and by job threads, whose ops have a reference to it
  Block& block_;              // contains the job: every op of the job has a reference
  std::atomic<bool> cancelled_{false};
  std::atomic<uint32_t> references_{1};
  std::atomic<int> result_{0};
  std::atomic<uint32_t> queued_{0};  // the job's ops in the pool's queue, 0 or 1; changed under `lock`
  // Guarded by `lock` from here on.
  LinkedList<JobThread, &JobThread::links> threads_;  // job threads at work
  uint32_t width_ = kMaxThreads;
  bool over_ = false;
  bool wound_up_ = false;
  Operation* op_ = nullptr;  // the promise op
};

// Makes a job inside a block. The block lives longer than the job: until the last op of the job is complete, since
// cancellers of such an op use the job. nullptr: no memory.
template <typename T, typename... Arguments>
T* job_make(Environment& environment, Arguments&&... arguments) {
  static_assert(alignof(T) <= 16);
  Block* home = block_make(sizeof(T));
  if (home == nullptr) return nullptr;
  return new (home->data()) T(environment, *home, std::forward<Arguments>(arguments)...);
}

// A job that has just been made, at work and with the op of a slot; nullptr when memory is short.
template <typename AnyJob>
AnyJob* started_in(PromiseSlots& slots, AnyJob* job, uint32_t number, uint32_t options) {
  if (job == nullptr) return nullptr;
  if (job->begin_in(slots, number, options) == 0) {
    job->start();
    return job;
  }
  job->release();
  return nullptr;
}

}  // namespace acall

#endif  // ACALL_CORE_JOBS_JOB_H_
