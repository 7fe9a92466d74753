// The supervisor: the first of acall's threads to start and the last to end. Its loop grows and shrinks the pool,
// starts own threads, repeats cancel signals, trims pack memory and flushes backlogs. See threads.h.
#include <sys/prctl.h>

#include "base/pack_memory.h"
#include "base/seams.h"
#include "completion/ring.h"
#include "threads/cancel.h"
#include "threads/threads.h"
#include "threads/threads_state.h"

namespace acall {

namespace {

constexpr uint64_t kLookNs = 250'000;          // spec: between two rounds of the loop while ops wait for the pool
constexpr uint64_t kFlushFirstNs = 1'000'000;  // spec: between two flushes of a backlog: at first a millisecond,
constexpr uint64_t kFlushLastNs = 10'000'000;  // rising to ten

Lock supervisor_start_lock;  // taken before ThreadsState::lock
Parker supervisor_parker;
std::atomic<bool> supervisor_sleeps{false};

void* supervisor_main(void*) {
  prctl(PR_SET_NAME, "acall-super");
  Growth growth;
  uint64_t flush_ns = kFlushFirstNs;
  uint64_t idle_since = seams.now_ns();
  for (;;) {
    uint64_t sleep_ns = kIdleNs;
    auto at_most = [&sleep_ns](uint64_t span) { sleep_ns = span < sleep_ns ? span : sleep_ns; };
    // Before all checks: work that comes after its check calls supervisor_wake() and finds this.
    supervisor_sleeps.store(true, std::memory_order_seq_cst);
    if (growth_look(growth)) at_most(kLookNs);
    if (own_start_waiting()) at_most(kRetryNs);
    growth_look_at_limit(growth);
    uint64_t now = seams.now_ns();
    const uint64_t cancel_ns = cancel_repeat(now);
    at_most(cancel_ns);
    at_most(pool_retire_idle(now));
    const uint64_t trim_ns = pack_memory_trim(now);
    at_most(trim_ns);
    if (rings_have_backlog()) {
      at_most(flush_ns);
      if (rings_flush()) {
        flush_ns = kFlushFirstNs;  // a reader is freeing slots
      } else {
        flush_ns = flush_ns + kFlushFirstNs < kFlushLastNs ? flush_ns + kFlushFirstNs : kFlushLastNs;
      }
    } else {
      flush_ns = kFlushFirstNs;
    }
    {
      Hold hold(threads.lock);
      bool needed = threads.pool_threads > 0 || threads.own_threads > 0 || !threads.own_queue.is_empty() ||
                    !threads.pool_queue.is_empty() || threads.open_submissions > 0 || rings_have_backlog() ||
                    cancel_ns != UINT64_MAX || trim_ns != UINT64_MAX;
      if (needed) {
        idle_since = now;
      } else if (now - idle_since >= kIdleNs) {
        threads.supervisor_alive = false;
        return nullptr;
      }
    }
    if (sleep_ns <= kLookNs)
      supervisor_sleeps.store(false, std::memory_order_relaxed);  // the sleep is short enough without a wake
    supervisor_parker.park(sleep_ns);
  }
}

}  // namespace

bool threads_enter() {
  {
    Hold hold(threads.lock);
    if (threads.supervisor_alive) {
      ++threads.open_submissions;
      return true;
    }
  }
  // One submitter starts the supervisor, and the others wait for the outcome, so that no op is queued that no thread
  // will ever take. No other thread of acall lives now: the supervisor is the last to end, and pool threads and own
  // threads start after it.
  Hold starting(supervisor_start_lock);
  {
    Hold hold(threads.lock);
    ++threads.open_submissions;  // from here on a supervisor does not end
    if (threads.supervisor_alive) return true;
    if (threads.limits.cores == 0) growth_read_first();
  }
  const bool started = seams.start_thread(kPoolStack, supervisor_main, nullptr) == 0;
  Hold hold(threads.lock);
  threads.supervisor_alive = started;
  if (!started) --threads.open_submissions;
  return started;
}

void threads_leave() {
  Hold hold(threads.lock);
  --threads.open_submissions;
}

void supervisor_wake() {
  // Enters the kernel only for a supervisor in a long sleep. seq_cst: pairs with the store at the beginning of its
  // loop.
  if (supervisor_sleeps.exchange(false, std::memory_order_seq_cst)) supervisor_parker.unpark();
}

void supervisor_call() {
  if (!threads_enter()) return;
  supervisor_wake();
  threads_leave();
}

uint32_t core_count() { return threads.limits.cores; }

ThreadCounts thread_counts() {
  Hold hold(threads.lock);
  ThreadCounts counts{};
  counts.completed = threads.completed_by_others;
  counts.queued = threads.pool_queue.length() + threads.own_queue.length();
  for (const PoolThread& thread : threads.working) {
    counts.completed += thread.completed.load(std::memory_order_relaxed) - thread.folded;
    counts.running += thread.busy.load(std::memory_order_relaxed);
    counts.queued += thread.range.left();
  }
  counts.running += threads.own_running.load(std::memory_order_relaxed) + threads.blocked_threads;
  counts.pool_threads = threads.pool_threads;
  counts.own_threads = threads.own_threads;
  counts.blocked = threads.blocked_threads;
  counts.supervisor = threads.supervisor_alive;
  return counts;
}

}  // namespace acall
