// The pool: its queue, the ops that each thread claims, which threads are idle and which are counted as blocked.
// Entered by submitting threads, pool threads and the supervisor; ThreadsState::lock guards all of it. See threads.h.
#include <algorithm>
#include <new>

#include "base/seams.h"
#include "threads/threads.h"
#include "threads/threads_state.h"

namespace acall {

constinit ThreadsState threads;

namespace {

// About twice the time that a sleeping thread takes to wake. Row read-files-10: a tenth slower when no thread watches;
// a call that is awaited alone takes four times as long.
constexpr uint64_t kWatchNs = 50'000;
// At most 1,023 rests go without a watch. Row read-files-10: a quarter slower when each rest has one.
constexpr uint32_t kMaxVain = 10;
// Fairness: the end of a thread takes 60 us of a core. When 1,000 end at once, the event loop stands still for 13 ms.
constexpr uint32_t kRetiredAtOnce = 16;
constexpr uint64_t kPortionNs = 1'000'000;  // between two such portions

std::atomic<bool> somebody_watches{false};

// Gives the thread a fair share of the queue. Under the lock; the thread's range is empty and it is in no idle list.
bool refill(PoolThread& thread) {
  if (threads.pool_queue.is_empty()) return false;
  uint32_t share = threads.pool_queue.length() / (2 * threads.limits.cores);
  if (share > kClaimMax) share = kClaimMax;
  if (share == 0) share = 1;
  for (uint32_t i = 0; i < share; ++i) thread.claimed[i] = threads.pool_queue.pop();
  thread.range.refill(share);
  return true;
}

Operation* next_claimed(PoolThread& self) {
  uint32_t index;
  return self.range.take_one(&index) ? self.claimed[index] : nullptr;
}

// Moves the ops that a blocked thread has claimed and not started back to the front of the queue, in their order. Under
// the lock.
void take_back(PoolThread& thread) {
  uint32_t first;
  for (uint32_t left = thread.range.take_rest(&first); left > 0; --left)
    threads.pool_queue.push_front(*thread.claimed[first + left - 1]);
}

// Removes a thread from the list of working threads, and adds the ops that it has completed to the sum of all others.
// Under the lock.
void unlink_working(PoolThread& thread) {
  threads.working.remove(thread);
  const uint64_t completed = thread.completed.load(std::memory_order_relaxed);
  threads.completed_by_others += completed - thread.folded;
  thread.folded = completed;
}

void unlink_idle(PoolThread& thread) {
  threads.idle_first.remove(thread);
  thread.in_idle_list = false;
  threads.working.push_front(thread);
}

void link_idle(PoolThread& thread, uint64_t now_ns) {
  unlink_working(thread);
  thread.idle_since_ns = now_ns;
  threads.idle_first.push_front(thread);
  thread.in_idle_list = true;
}

void clear_blocked(PoolThread& thread) {
  if (!thread.counted_blocked.load(std::memory_order_relaxed)) return;
  thread.counted_blocked.store(false, std::memory_order_relaxed);
  --threads.blocked_threads;
  ++threads.returns;
  threads.working.push_front(thread);
}

// Wakes or starts one more thread if ops are queued and fewer threads are unblocked than there are cores. Not under the
// lock.
void engage_another() {
  PoolThread* woken = nullptr;
  bool start = false;
  {
    Hold hold(threads.lock);
    if (threads.pool_queue.is_empty() || threads.unblocked_threads() >= threads.limits.cores) return;
    woken = pool_engage_idle();
    if (woken == nullptr && threads.may_start_pool()) {
      ++threads.pool_threads;
      start = true;
    }
  }
  if (woken) woken->parker.unpark();
  if (start) pool_start_thread();
}

// The thread ends; its record is kept for another thread. Under the lock.
void leave_pool(PoolThread& self) {
  unlink_working(self);
  threads.free_records.push_front(self);
  if (--threads.pool_threads <= threads.limits.pool_max) threads.pool_allowed = threads.limits.pool_max;
}

// Sleeps until there is work. A thread whose last rest was short first watches for a while without sleeping, since
// waking a sleeping thread on an idle core takes longer than most calls. One thread watches at a time. After a watch
// that brought no work the thread rests once without one, after the next such watch three times, then seven times, and
// so on: on a busy machine the thread that would bring work may be waiting for this very core.
void rest(PoolThread& self, uint64_t now_ns) {
  if (self.rests_shortly && self.watches_left_out > 0) {
    --self.watches_left_out;
  } else if (self.rests_shortly && threads.limits.cores > 1 &&
             !somebody_watches.exchange(true, std::memory_order_relaxed)) {
    bool woken = false;
    while (!(woken = self.parker.is_woken()) && seams.now_ns() - now_ns < kWatchNs) {
      for (int i = 0; i < 16; ++i) cpu_relax();
    }
    somebody_watches.store(false, std::memory_order_relaxed);
    self.watches_in_vain = woken ? 0 : self.watches_in_vain + 1;
    self.watches_left_out = (1U << std::min(self.watches_in_vain, kMaxVain)) - 1;
  }
  self.parker.park(0);
  self.rests_shortly = seams.now_ns() - now_ns < 2 * kWatchNs;
}

void* pool_main(void* argument) {
  PoolThread& self = *static_cast<PoolThread*>(argument);
  thread_begin(self, "acall-pool");
  for (;;) {
    Operation* op = next_claimed(self);
    if (op != nullptr) {
      run_operation(*op, self);
      pool_no_longer_blocked(self);  // it may have been blocked again when it disposed of a result
      continue;
    }
    // The rest below never times out: arming a timer costs more than all else of a hand-over, and the supervisor ends
    // threads that have been idle for too long.
    uint64_t now_ns = seams.now_ns();
    bool got, more;
    {
      Hold hold(threads.lock);
      clear_blocked(self);  // the supervisor may have counted it just as its call returned
      if (self.in_idle_list && !threads.pool_queue.is_empty())
        unlink_idle(self);  // woken without work, but there is some now
      got = refill(self);
      more = got && !threads.pool_queue.is_empty() && threads.unblocked_threads() < threads.limits.cores;
      if (got) {
        self.retired = false;
      } else if (self.retired) {
        leave_pool(self);
        return nullptr;
      } else if (!self.in_idle_list) {
        link_idle(self, now_ns);
      }
    }
    if (more) engage_another();
    if (!got) rest(self, now_ns);
  }
}

}  // namespace

PoolThread* pool_engage_idle() {
  PoolThread* thread = threads.idle_first.first();
  if (thread == nullptr) return nullptr;
  unlink_idle(*thread);
  refill(*thread);
  return thread;
}

void pool_count_blocked(PoolThread& thread) {
  thread.counted_blocked.store(true, std::memory_order_relaxed);
  ++threads.blocked_threads;
  take_back(thread);
  unlink_working(thread);
}

void pool_no_longer_blocked(PoolThread& self) {
  if (!self.counted_blocked.load(std::memory_order_relaxed)) return;
  Hold hold(threads.lock);
  clear_blocked(self);
}

uint64_t pool_retire_idle(uint64_t now_ns) {
  uint64_t next_ns = kIdleNs;
  uint32_t left = kRetiredAtOnce;
  {
    Hold hold(threads.lock);
    ThreadsState::IdleList retired;
    while (PoolThread* thread = threads.idle_first.last()) {
      uint64_t idle_ns = now_ns > thread->idle_since_ns ? now_ns - thread->idle_since_ns : 0;
      if (idle_ns >= kIdleNs && left-- == 0) {
        next_ns = kPortionNs;
        break;
      }
      if (idle_ns < kIdleNs) {
        next_ns = kIdleNs - idle_ns;
        break;  // all others have been idle for a shorter time
      }
      unlink_idle(*thread);
      thread->retired = true;
      retired.push_front(*thread);
    }
    // Under the lock: afterwards the thread may end, and its record may be used for another.
    while (PoolThread* thread = retired.pop_front()) thread->parker.unpark();
  }
  return next_ns;
}

bool pool_start_thread() {
  PoolThread* thread = nullptr;
  {
    Hold hold(threads.lock);
    thread = threads.free_records.pop_front();
  }
  if (thread == nullptr) {
    void* memory = seams.allocate(sizeof(PoolThread) + alignof(PoolThread));
    if (memory != nullptr) {
      thread = reinterpret_cast<PoolThread*>((reinterpret_cast<uintptr_t>(memory) + alignof(PoolThread) - 1) &
                                             ~(alignof(PoolThread) - 1));
    }
  }
  if (thread != nullptr) {
    {
      Hold hold(threads.lock);  // the supervisor may still read a record that is used again
      new (thread) PoolThread();
      threads.working.push_front(*thread);
      refill(*thread);
    }
    if (seams.start_thread(kPoolStack, pool_main, thread) == 0) return true;
  }
  Hold hold(threads.lock);
  --threads.pool_threads;
  if (thread != nullptr) {
    take_back(*thread);
    unlink_working(*thread);
    threads.free_records.push_front(*thread);
  }
  return false;
}

void threads_submit_pool(Queue<Operation>& ops, bool leave) {
  PoolThread* woken = nullptr;
  bool start = false, pending;
  {
    Hold hold(threads.lock);
    threads.pool_queue.append(ops);  // from here on the supervisor stays because of these ops
    if (leave) --threads.open_submissions;
    if (threads.unblocked_threads() < threads.limits.cores) {
      woken = pool_engage_idle();
      if (woken == nullptr && threads.may_start_pool()) {
        ++threads.pool_threads;
        start = true;
      }
    }
    pending = threads.pool_queue.length() > (start ? 1u : 0u);
  }
  if (woken) woken->parker.unpark();
  if (start && !pool_start_thread()) pending = true;
  if (pending) supervisor_wake();
}

void threads_count_as_blocked(PoolThread& self) {
  {
    Hold hold(threads.lock);
    if (self.own || self.counted_blocked.load(std::memory_order_relaxed)) return;
    pool_count_blocked(self);
  }
  engage_another();
}

}  // namespace acall
