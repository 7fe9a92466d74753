// The functions that concern the whole engine. See engine.h.
#include "engine.h"

#include "completion/complete.h"
#include "completion/ring.h"
#include "inline/inline_call.h"
#include "launch/launch.h"
#include "threads/cancel.h"
#include "threads/threads.h"

namespace acall {

namespace {

std::atomic<const char*> first_limit{nullptr};

// On the supervisor. The environment whose turn comes first prints the warning.
void note_limit() {
  first_limit.store(threads_limited_by(), std::memory_order_release);
  environments_bell();
}

Lock start_lock;
std::atomic<int> started{1};  // 1: not yet; then 0 or -errno. Written under start_lock

}  // namespace

bool engine_has_signal() { return cancel_handler_is_ours(); }

int engine_start() {
  int state = started.load(std::memory_order_acquire);
  if (state <= 0) return state;
  Hold hold(start_lock);
  if (started.load(std::memory_order_relaxed) > 0) {
    threads_on_limit(note_limit);
    rings_on_backlog(supervisor_call);
    started.store(cancel_install(), std::memory_order_release);
  }
  return started.load(std::memory_order_relaxed);
}

int engine_cancel(const acall_id& id) { return cancel_by_id(id); }

const char* engine_limited_by() { return threads_limited_by(); }

const char* engine_take_limit() {
  // relaxed: a cheap check on every turn; the exchange decides which environment gets the limit.
  if (first_limit.load(std::memory_order_relaxed) == nullptr) return nullptr;
  return first_limit.exchange(nullptr, std::memory_order_acquire);
}

Counters engine_counters() {
  ThreadCounts threads = thread_counts();
  CompletionCounts elsewhere = completion_counts();
  Counters counters{};
  const InlineCounts counts = inline_counts();
  counters.submitted = launched_ops() + counts.direct;
  counters.completed = threads.completed + elsewhere.completed + counts.direct;
  counters.inline_hits = counts.hits;
  counters.inline_misses = counts.misses;
  counters.cancelled = elsewhere.cancelled;
  counters.overflows = rings_overflows();
  counters.queued = threads.queued;
  counters.running = threads.running;
  counters.pool_threads = threads.pool_threads;
  counters.own_threads = threads.own_threads;
  counters.threads = threads.pool_threads + threads.own_threads + threads.supervisor;
  counters.blocked = threads.blocked;
  return counters;
}

}  // namespace acall
