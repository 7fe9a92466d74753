// When the pool gets more threads: while ops wait and its threads sleep in the kernel. Entered by the supervisor, and
// growth_read_first() by the submitting thread that starts it; ThreadsState::lock guards what it changes. See
// docs/threads.md.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/pack_memory.h"
#include "base/seams.h"
#include "threads/descriptor_room.h"
#include "threads/threads.h"
#include "threads/threads_state.h"

namespace acall {

namespace {

constexpr uint64_t kStuckNs = 5'000'000;   // limit: all threads are blocked for so long before there are more
constexpr uint64_t kReadNs = 100'000'000;  // between two readings of the limits while ops wait for a thread
constexpr uint32_t kReadFirst = 8;         // limit: with fewer threads the limits are read once; then at each doubling
constexpr uint64_t kLimitedNs = 1'000'000'000;  // a limit keeps ops waiting for so long before the user is notified
constexpr uint64_t kShareKept = 8;              // limit of memory: an eighth of what is free may be idle pack memory
constexpr uint32_t kMaxSuspects = 16;           // fairness: threads whose state one growth_look() reads in /proc

std::atomic<const char*> limited_by{nullptr};  // written by the supervisor
std::atomic<void (*)()> on_limit{nullptr};

// Whether the thread sleeps in the kernel. A thread that is ready to run and has no core is no reason to start another.
bool sleeps_in_kernel(pid_t tid) {
  char path[64];
  char text[256];
  int length = 0;
  for (const char* p = "/proc/self/task/"; *p; ++p) path[length++] = *p;
  char digits[16];
  int count = 0;
  for (int value = tid; value > 0; value /= 10) digits[count++] = static_cast<char>('0' + value % 10);
  while (count > 0) path[length++] = digits[--count];
  for (const char* p = "/stat"; *p; ++p) path[length++] = *p;
  path[length] = '\0';
  DescriptorGuest guest;  // the descriptor may be the last one, and an op may wait for one
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;  // no /proc, or no descriptor left: the time inside the call decides alone
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return true;
  text[got] = '\0';
  for (ssize_t i = got - 1; i > 0; --i) {
    if (text[i] == ')') return i + 2 < got && text[i + 2] != 'R';
  }
  return true;
}

struct Suspect {
  PoolThread* thread;
  pid_t tid;
  uint32_t activity;
};

// Finds pool threads that have been inside one call since the last growth_look(); returns how many.
uint32_t collect_suspects(Suspect* suspects) {
  uint32_t count = 0;
  Hold hold(threads.lock);
  for (PoolThread& thread : threads.working) {
    if (thread.in_idle_list) continue;
    uint32_t activity = thread.activity.load(std::memory_order_relaxed);
    bool stuck = (activity & 1) && activity == thread.seen_activity;
    thread.seen_activity = activity;
    if (!stuck || thread.counted_blocked.load(std::memory_order_relaxed) || count == kMaxSuspects) continue;
    suspects[count++] = {&thread, thread.tid.load(std::memory_order_acquire), activity};
  }
  return count;
}

bool work_is_pending() {
  Hold hold(threads.lock);
  if (!threads.pool_queue.is_empty()) return true;
  for (const PoolThread& thread : threads.working) {
    if (thread.range.left() > 0) return true;
  }
  return false;
}

// The limit that keeps ops waiting now; nullptr: none does. Under the lock.
const char* limit_in_the_way(uint64_t now_ns, const Growth& growth) {
  const bool pool_waits = !threads.pool_queue.is_empty() && threads.blocked_threads >= threads.pool_threads;
  if (pool_waits && threads.limits.pool_is_set && threads.pool_threads >= threads.pool_allowed) return "ACALL_POOL_MAX";
  if (pool_waits && threads.pool_threads < threads.pool_allowed && !threads.may_start_pool())
    return threads.limits.limit;
  if (!threads.own_queue.is_empty() && threads.own_threads >= threads.limits.own_max) return threads.limits.own_limit;
  if (!threads.own_queue.is_empty() && !threads.may_start_own()) return threads.limits.limit;
  if (!threads.own_queue.is_empty() || (pool_waits && now_ns < growth.not_before_ns)) return "the system (EAGAIN)";
  return nullptr;
}

// Reads the limits again, when there are enough new threads or ops have waited long enough: the share of others may
// have changed. Enters the kernel, so not under the lock.
void read_limits(Growth& growth) {
  const uint64_t now_ns = seams.now_ns();
  uint32_t ours;
  {
    Hold hold(threads.lock);
    ours = threads.pool_threads + threads.own_threads;
    const bool waits = !threads.own_queue.is_empty() || (!threads.pool_queue.is_empty() && !threads.may_start_pool());
    if (ours < growth.read_at && !(waits && now_ns - growth.read_ns >= kReadNs)) return;
  }
  const ThreadLimits fresh = read_thread_limits(ours);
  pack_memory_keep(fresh.free_bytes / kShareKept);
  Hold hold(threads.lock);
  threads.limits.total = fresh.total;
  threads.limits.limit = fresh.limit;
  threads.limits.own_max = fresh.own_max;
  threads.limits.own_limit = fresh.own_limit;
  growth.read_at = ours < kReadFirst ? kReadFirst : ours * 2;
  growth.read_ns = now_ns;
}

// Lets the pool have some more threads when it has all it may, all are blocked and none has returned for kStuckNs,
// unless ACALL_POOL_MAX is set. Under the lock.
void allow_more(Growth& growth) {
  const uint64_t now_ns = seams.now_ns();
  const bool is_stuck = !threads.pool_queue.is_empty() && threads.pool_threads >= threads.pool_allowed &&
                        threads.blocked_threads >= threads.pool_threads;
  if (!is_stuck || threads.returns != growth.returns || growth.quiet_since_ns == 0) {
    growth.returns = threads.returns;
    growth.quiet_since_ns = now_ns;
  } else if (!threads.limits.pool_is_set && now_ns - growth.quiet_since_ns >= kStuckNs) {
    threads.pool_allowed = threads.pool_threads + threads.pool_threads / 8;  // it has 1,024 or more
    growth.quiet_since_ns = now_ns;
  }
}

}  // namespace

void growth_look_at_limit(Growth& growth) {
  const uint64_t now_ns = seams.now_ns();
  const char* limit;
  {
    Hold hold(threads.lock);
    limit = limit_in_the_way(now_ns, growth);
  }
  if (limit == nullptr) {
    growth.limited_since_ns = 0;
  } else if (growth.limited_since_ns == 0) {
    growth.limited_since_ns = now_ns;
  }
  const bool has_lasted = limit != nullptr && now_ns - growth.limited_since_ns >= kLimitedNs;
  limited_by.store(has_lasted ? limit : nullptr, std::memory_order_relaxed);
  if (!has_lasted) return;
  if (void (*notify)() = on_limit.exchange(nullptr, std::memory_order_acq_rel)) notify();
}

void growth_read_first() {
  threads.limits = read_thread_limits(0);
  pack_memory_keep(threads.limits.free_bytes / kShareKept);
  threads.pool_allowed = threads.limits.pool_max;
}

bool growth_look(Growth& growth) {
  Suspect suspects[kMaxSuspects];
  uint32_t count = collect_suspects(suspects);
  uint32_t found = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (!sleeps_in_kernel(suspects[i].tid)) continue;
    Hold hold(threads.lock);
    PoolThread& thread = *suspects[i].thread;
    if (thread.in_idle_list || thread.activity.load(std::memory_order_relaxed) != suspects[i].activity) continue;
    if (thread.counted_blocked.load(std::memory_order_relaxed)) continue;
    pool_count_blocked(thread);
    ++found;
  }
  uint32_t wanted = 0;
  read_limits(growth);
  {
    Hold hold(threads.lock);
    allow_more(growth);
    const uint32_t unblocked = threads.unblocked_threads();
    growth.found = threads.pool_queue.is_empty() ? 0 : growth.found + found;
    if (!threads.pool_queue.is_empty() && unblocked < threads.limits.cores) {
      // Twice as many threads as have blocked since the last were started: a quick call behind very many that block
      // waits for few rounds. Where none has blocked, only as many as cores are free: on a busy machine the queue is
      // often not empty because a thread that was idle has not got its core yet.
      wanted = std::max(threads.limits.cores - unblocked, 2 * std::min(growth.found, kMaxSuspects));
      wanted = std::min(wanted, threads.pool_queue.length());
      growth.found = 0;
    }
  }
  for (; wanted > 0; --wanted) {
    PoolThread* woken;
    {
      Hold hold(threads.lock);
      if (threads.pool_queue.is_empty()) break;
      woken = pool_engage_idle();
      if (woken == nullptr) {
        if (!threads.may_start_pool() || seams.now_ns() < growth.not_before_ns) break;
        ++threads.pool_threads;
      }
    }
    if (woken) {
      woken->parker.unpark();
    } else if (!pool_start_thread()) {
      growth.not_before_ns = seams.now_ns() + kRetryNs;
      break;
    }
  }
  return work_is_pending();
}

void threads_on_limit(void (*notify)()) { on_limit.store(notify, std::memory_order_release); }

const char* threads_limited_by() { return limited_by.load(std::memory_order_relaxed); }

}  // namespace acall
