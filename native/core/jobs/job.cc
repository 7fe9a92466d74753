// How job threads come and go, and how a job ends. See job.h.
#include "jobs/job.h"

#include <cerrno>

#include "launch/launch.h"
#include "op/environment.h"
#include "submit/promise_slots.h"
#include "threads/cancel.h"
#include "threads/finish.h"
#include "threads/pool_thread.h"

namespace acall {

namespace {

// Fairness: long against the cost of one job thread leaving and the next one coming (two microseconds), short for an op
// that waits in the queue.
constexpr uint64_t kSliceNs = 2'000'000;

}  // namespace

bool JobThread::should_leave(uint64_t now_ns) const {
  if (job.is_cancelled()) return true;
  if (now_ns < slice_end_ns) return false;
  return job.queued_.load(std::memory_order_relaxed) > 0;
}

void Job::release() {
  // acq_rel: the last user sees what all others have written before it frees the memory.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  dispose();
  block_release(&block_);
}

// A cancelled op of a job thread still runs, since `queued_` counts it: it sees the flag and returns.
constinit const BackEnd Job::whole_job{.cancel = Job::raise, .interrupt = Job::interrupt};
constinit const BackEnd Job::one_thread{.run = Job::run, .cancel = Job::raise, .runs_cancelled = true};

int Job::begin(Ring& ring, uint64_t cookie, bool keep_alive, acall_id* id) {
  Launch launch(environment_);
  if (launch.allocate(1) == 0 || !launch.into(ring, 1)) return -EAGAIN;
  Operation* op = &launch.next();
  op->is_a(whole_job);
  op->extra = this;
  op->cookie = cookie;
  op->call.block = &block_;
  block_reference(block_);
  if (id != nullptr) *id = operation_table().id_of(*op);
  if (keep_alive) launch.keep_alive(1);
  launch.publish(*op, keep_alive, kRunning);  // never queued: finish_begun() ends it
  {
    Hold hold(lock);
    if (!wound_up_ && !has_result()) op_ = std::exchange(op, nullptr);
  }
  if (op != nullptr) finish_begun(*op, result());
  return 0;
}

int Job::begin_in(PromiseSlots& slots, uint32_t number, uint32_t options) {
  return begin(*environment_.promise_ring, PromiseSlots::cookie_of(number), !(options & JobOption::kUnreferenced),
               &slots.find(number)->id);
}

void Job::start() {
  bool wanted, over;
  {
    Hold hold(lock);
    wanted = want_thread();
    over = !wanted && take_over();
  }
  if (wanted) submit_thread();
  if (over) finish_over();
}

bool Job::want_thread() {
  // seq_cst pairs with cancel(), which sets the flag before it interrupts the job threads.
  if (over_ || cancelled_.load(std::memory_order_seq_cst)) return false;
  if (queued_.load(std::memory_order_relaxed) > 0 || at_work() >= width_ || !has_work()) return false;
  queued_.store(1, std::memory_order_relaxed);
  return true;
}

void Job::submit_thread() {
  reference();
  if (Launch launch(environment_); launch.enter() && launch.allocate(1) > 0) {
    Operation& op = launch.next();
    op.is_a(one_thread);
    op.extra = this;
    op.cookie = 0;
    op.call.block = &block_;
    block_reference(block_);
    op.facts.store(kOpPool, std::memory_order_relaxed);
    launch.publish(op, false);
    launch.send(op);
    return;
  }
  bool alone;
  bool over = false;
  {
    Hold hold(lock);
    queued_.store(0, std::memory_order_relaxed);
    alone = at_work() == 0;
  }
  if (alone) {  // else the job threads at work go on, and leave() asks again
    fail(-EAGAIN);
    Hold hold(lock);
    over = take_over();
  }
  if (over) finish_over();
  release();
}

int64_t Job::run(Operation& op, PoolThread& self) {
  Job& job = *static_cast<Job*>(op.extra);
  JobThread thread{job, self, {op, self}, operation_table().id_of(op), seams.now_ns() + kSliceNs};
  if (job.join(thread)) {
    job.work(thread);
    job.leave(thread);
  }
  job.release();
  return 0;
}

void Job::raise(Operation& op) { static_cast<Job*>(op.extra)->cancelled_.store(true, std::memory_order_seq_cst); }

void Job::interrupt(void* job) { static_cast<Job*>(job)->cancel(); }

bool Job::join(JobThread& thread) {
  bool another = false, over = false, joins;
  {
    Hold hold(lock);
    queued_.store(0, std::memory_order_relaxed);
    joins = !over_ && !cancelled_.load(std::memory_order_seq_cst) && at_work() < width_ && has_work();
    if (joins) {
      threads_.push_front(thread);
      another = want_thread();
    } else {
      over = take_over();
    }
  }
  if (another) submit_thread();
  if (over) finish_over();
  return joins;
}

void Job::leave(JobThread& thread) {
  bool another, over = false;
  {
    Hold hold(lock);
    threads_.remove(thread);
    another = want_thread();
    if (!another) over = take_over();
  }
  if (another) submit_thread();
  if (over) finish_over();
}

bool Job::take_over() {
  if (over_ || at_work() > 0) return false;
  if (!cancelled_.load(std::memory_order_seq_cst) && !is_over()) return false;
  over_ = true;
  return true;
}

void Job::finish_over() {
  wind_up();
  int none = 0;
  if (is_cancelled()) result_.compare_exchange_strong(none, -ECANCELED, std::memory_order_acq_rel);
  Operation* op;
  {
    Hold hold(lock);
    wound_up_ = true;
    op = take_op();
  }
  if (op != nullptr) finish_begun(*op, result());
}

void Job::fail(int error) {
  int none = 0;
  result_.compare_exchange_strong(none, error, std::memory_order_acq_rel);
  cancelled_.store(true, std::memory_order_seq_cst);
}

void Job::cancel() {
  bool over;
  // Before the list is read: a job thread that joins later sees the flag under the lock.
  cancelled_.store(true, std::memory_order_seq_cst);
  {
    Hold hold(lock);
    for (const JobThread& thread : threads_) cancel_by_id(thread.id);
    over = take_over();
  }
  if (over) finish_over();
}

}  // namespace acall
