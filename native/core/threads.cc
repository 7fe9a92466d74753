// Pool, own threads, supervisor. See threads.h. One lock guards the queues and the lists of threads; it is held for a
// few dozen instructions at a time, and no call into the kernel is made under it but futexes.
#include "threads.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>

#include "cancel.h"
#include "complete.h"
#include "descriptor_room.h"
#include "pack_memory.h"
#include "ring.h"
#include "seams.h"
#include "thread_limits.h"
#include "worker.h"

namespace acall {

namespace {

constexpr uint64_t kIdleNs = 200'000'000;      // 2009: a pool thread with nothing to do exits after 200 ms
constexpr uint64_t kLookNs = 250'000;          // the supervisor's look while the queue is not empty
constexpr uint64_t kFlushFirstNs = 1'000'000;  // its look at a backlog: every millisecond,
constexpr uint64_t kFlushLastNs = 10'000'000;  // rising to ten
constexpr uint64_t kRetryNs = 5'000'000;       // its next try to start a thread that could not be had
constexpr uint64_t kWatchNs = 50'000;          // about twice the time a sleeping thread takes to wake
constexpr uint32_t kMaxVain = 10;              // at most 1,023 rests are left out
constexpr size_t kPoolStack = size_t{256} * 1024;
constexpr size_t kOwnStack = size_t{64} * 1024;
constexpr uint64_t kStuckNs =
    5'000'000;  // all are stuck for so long, and the pool may grow beyond what it has by default
constexpr uint32_t kLeastPortion = 64;          // by so many threads at a time at least
constexpr uint64_t kReadNs = 100'000'000;       // between two looks at the limits while ops wait for a thread
constexpr uint32_t kReadFirst = 8;              // threads; then at each doubling
constexpr uint64_t kLimitedNs = 1'000'000'000;  // so long a limit keeps ops waiting before somebody is told
constexpr uint32_t kRetiredAtOnce = 16;  // threads: each end takes a core for 60 us, and the event loop wants one too
constexpr uint64_t kPortionNs = 1'000'000;  // between two such portions
constexpr uint64_t kShareKept = 8;          // of the free memory may be idle for a moment
constexpr uint32_t kMaxSuspects = 16;       // threads whose state is looked up in /proc in one look

Lock pool_lock;  // guards everything below that is not atomic

struct Queue {
  Operation* first = nullptr;
  Operation* last = nullptr;
  uint32_t length = 0;

  void append(Operation* from, Operation* to, uint32_t count) {
    if (last == nullptr) {
      first = from;
    } else {
      last->next = from;
    }
    last = to;
    length += count;
  }
  void push_front(Operation* op) {
    op->next = first;
    first = op;
    if (last == nullptr) last = op;
    ++length;
  }
  Operation* pop() {
    Operation* op = first;
    first = op->next;
    if (first == nullptr) last = nullptr;
    --length;
    return op;
  }
};

Queue pool_queue;
Queue own_queue;                 // ops that wait for a thread of their own
Worker* working = nullptr;       // neither idle nor counted as blocked: few, however many are stuck
Worker* idle_workers = nullptr;  // the one that went idle last comes first, so that the others can time out
Worker* idle_longest = nullptr;  // the end of that list
Worker* free_workers = nullptr;  // records of threads that have ended; linked by working_next, never freed
uint32_t pool_threads = 0;       // started and not ended, those that are starting included
uint32_t idle_threads = 0;
uint32_t blocked_threads = 0;
uint32_t own_threads = 0;
std::atomic<uint32_t> own_running{0};  // own threads that are inside their op
ThreadLimits limits{};
uint64_t completed_by_others = 0;  // than those that work: by the idle, the blocked and the gone
uint32_t pool_allowed = 0;         // limits.pool_max, and more while all of those are stuck
uint64_t returns = 0;              // calls that came back on threads counted as blocked

Lock supervisor_start_lock;  // before pool_lock
bool supervisor_alive = false;
uint32_t open_submissions = 0;
Parker supervisor_parker;
std::atomic<bool> supervisor_sleeps{false};
std::atomic<bool> somebody_watches{false};
std::atomic<const char*> limited_by{nullptr};  // written by the supervisor
std::atomic<void (*)()> tell_of_limit{nullptr};

uint64_t pack(uint32_t next, uint32_t end) { return static_cast<uint64_t>(end) << 32 | next; }
uint32_t range_next(uint64_t range) { return static_cast<uint32_t>(range); }
uint32_t range_end(uint64_t range) { return static_cast<uint32_t>(range >> 32); }

uint32_t unblocked_threads() {
  uint32_t busy = pool_threads - idle_threads;
  return busy > blocked_threads ? busy - blocked_threads : 0;
}

void name_thread(const char* name) { prctl(PR_SET_NAME, name); }

void open_cancel_signal() {
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, cancel_signal());
  pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
}

// ---- One op on the calling thread

void no_longer_blocked(Worker& self);

void run_operation(Operation& op, Worker& self) {
  op.worker.store(&self, std::memory_order_release);
  uint64_t state = op.state.load(std::memory_order_acquire);
  do {
    if (!(state & kQueued)) {  // cancelled while it waited: completed already
      operation_unlinked(op);
      return;
    }
  } while (!op.state.compare_exchange_weak(state, (state & ~kPhaseMask) | kRunning, std::memory_order_acq_rel));
  // Not busy any more before its completion is seen: who counts the running then does not find the op that told him.
  if (self.own) {
    own_running.fetch_add(1, std::memory_order_relaxed);
  } else {
    self.busy.store(true, std::memory_order_relaxed);
  }
  int64_t result = op.run(op, self);
  if (self.own) {
    own_running.fetch_sub(1, std::memory_order_relaxed);
  } else {
    self.busy.store(false, std::memory_order_relaxed);
    no_longer_blocked(self);
  }
  finish(op, self, result);
}

// ---- Pool

// Gives the worker a fair share of the queue. Under pool_lock; the worker's range is empty and it is in no idle list.
bool refill(Worker& worker) {
  if (pool_queue.length == 0) return false;
  uint32_t share = pool_queue.length / (2 * limits.cores);
  if (share > kClaimMax) share = kClaimMax;
  if (share == 0) share = 1;
  for (uint32_t i = 0; i < share; ++i) worker.claimed[i] = pool_queue.pop();
  // release: the claimed ops are there before the range says so; pairs with the acquire in next_claimed().
  worker.range.store(pack(0, share), std::memory_order_release);
  return true;
}

Operation* next_claimed(Worker& self) {
  uint64_t range = self.range.load(std::memory_order_acquire);
  while (range_next(range) != range_end(range)) {
    Operation* op = self.claimed[range_next(range)];
    if (self.range.compare_exchange_weak(range, pack(range_next(range) + 1, range_end(range)),
                                         std::memory_order_acq_rel)) {
      return op;
    }
  }
  return nullptr;
}

// Takes back what a stuck worker has claimed and not started, to the front of the queue in the old order. Under
// pool_lock.
void take_back(Worker& worker) {
  uint64_t range = worker.range.load(std::memory_order_acquire);
  while (
      !worker.range.compare_exchange_weak(range, pack(range_end(range), range_end(range)), std::memory_order_acq_rel)) {
  }
  for (uint32_t i = range_end(range); i > range_next(range); --i) pool_queue.push_front(worker.claimed[i - 1]);
}

// Into the list of those that work, and out of it: then what it has completed is in the sum of all. Under pool_lock.
void link_working(Worker& worker) {
  worker.working_previous = nullptr;
  worker.working_next = working;
  if (working) working->working_previous = &worker;
  working = &worker;
}

void unlink_working(Worker& worker) {
  if (worker.working_previous) {
    worker.working_previous->working_next = worker.working_next;
  } else {
    working = worker.working_next;
  }
  if (worker.working_next) worker.working_next->working_previous = worker.working_previous;
  const uint64_t completed = worker.completed.load(std::memory_order_relaxed);
  completed_by_others += completed - worker.folded;
  worker.folded = completed;
}

void unlink_idle(Worker& worker) {
  if (worker.idle_previous) {
    worker.idle_previous->idle_next = worker.idle_next;
  } else {
    idle_workers = worker.idle_next;
  }
  if (worker.idle_next) {
    worker.idle_next->idle_previous = worker.idle_previous;
  } else {
    idle_longest = worker.idle_previous;
  }
  worker.idle_previous = worker.idle_next = nullptr;
  worker.in_idle_list = false;
  --idle_threads;
  link_working(worker);
}

void link_idle(Worker& worker, uint64_t now_ns) {
  unlink_working(worker);
  worker.idle_since_ns = now_ns;
  worker.idle_next = idle_workers;
  if (idle_workers) {
    idle_workers->idle_previous = &worker;
  } else {
    idle_longest = &worker;
  }
  idle_workers = &worker;
  worker.in_idle_list = true;
  ++idle_threads;
}

// One idle worker with work in its hands, to be unparked after the lock is released; nullptr when none idles.
Worker* engage_idle() {
  Worker* worker = idle_workers;
  if (worker == nullptr) return nullptr;
  unlink_idle(*worker);
  refill(*worker);
  return worker;
}

void count_blocked(Worker& worker) {
  worker.counted_blocked.store(true, std::memory_order_relaxed);
  ++blocked_threads;
  take_back(worker);
  unlink_working(worker);
}

void clear_blocked(Worker& worker) {
  if (!worker.counted_blocked.load(std::memory_order_relaxed)) return;
  worker.counted_blocked.store(false, std::memory_order_relaxed);
  --blocked_threads;
  ++returns;
  link_working(worker);
}

void no_longer_blocked(Worker& self) {
  if (!self.counted_blocked.load(std::memory_order_relaxed)) return;
  Hold hold(pool_lock);
  clear_blocked(self);
}

// Room for one more thread, pool and own together. Each kind leaves an eighth to the other, so that neither starves it.
bool has_room(uint32_t mine, uint32_t others) {
  const uint32_t reserve = limits.total / 8;
  return mine == 0 || mine + std::max(others, reserve) < limits.total;
}
bool may_start_pool() { return pool_threads < pool_allowed && has_room(pool_threads, own_threads); }
bool may_start_own() { return own_threads < limits.own_max && has_room(own_threads, pool_threads); }

bool start_pool_thread();

// Engages one more thread if the queue and the cores want it. Not under the lock.
void engage_another() {
  Worker* woken = nullptr;
  bool start = false;
  {
    Hold hold(pool_lock);
    if (pool_queue.length == 0 || unblocked_threads() >= limits.cores) return;
    woken = engage_idle();
    if (woken == nullptr && may_start_pool()) {
      ++pool_threads;
      start = true;
    }
  }
  if (woken) woken->parker.unpark();
  if (start) start_pool_thread();
}

// The thread ends; its record is kept for another. Under pool_lock.
void leave_pool(Worker& self) {
  unlink_working(self);
  self.working_next = free_workers;
  free_workers = &self;
  if (--pool_threads <= limits.pool_max) pool_allowed = limits.pool_max;
}

// Sends away those that have been idle for 200 ms, a portion at a time. Returns nanoseconds until it is to be called
// again.
uint64_t retire_idle(uint64_t now_ns) {
  uint64_t next_ns = kIdleNs;
  uint32_t left = kRetiredAtOnce;
  Worker* retired = nullptr;
  {
    Hold hold(pool_lock);
    for (Worker* worker = idle_longest; worker != nullptr;) {
      Worker* after = worker->idle_previous;
      uint64_t idle_ns = now_ns > worker->idle_since_ns ? now_ns - worker->idle_since_ns : 0;
      if (idle_ns >= kIdleNs && left-- == 0) {
        next_ns = kPortionNs;
        break;
      }
      if (idle_ns >= kIdleNs) {
        unlink_idle(*worker);
        worker->retired = true;
        worker->idle_next = retired;
        retired = worker;
      } else {
        next_ns = kIdleNs - idle_ns;
        break;  // the others have been idle for less
      }
      worker = after;
    }
    // Under the lock: a record that has left may be used again at once.
    while (retired != nullptr) {
      Worker* after = retired->idle_next;
      retired->idle_next = nullptr;
      retired->parker.unpark();
      retired = after;
    }
  }
  return next_ns;
}

// Sleeps until somebody has work. A thread whose last rest was short watches for a while before it sleeps: waking a
// sleeper on an idle core takes longer than most calls. One watches at a time. Who watched in vain leaves out one rest,
// then three, seven ...: on a busy machine whoever would bring work may be waiting for this very core.
void rest(Worker& self, uint64_t now_ns) {
  if (self.rests_shortly && self.watches_left_out > 0) {
    --self.watches_left_out;
  } else if (self.rests_shortly && limits.cores > 1 && !somebody_watches.exchange(true, std::memory_order_relaxed)) {
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
  Worker& self = *static_cast<Worker*>(argument);
  name_thread("acall-pool");
  open_cancel_signal();
  self.tid.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_release);
  for (;;) {
    Operation* op = next_claimed(self);
    if (op != nullptr) {
      run_operation(*op, self);
      no_longer_blocked(self);  // it may have waited once more, to dispose of a result
      continue;
    }
    // No time-out on the sleep below: arming a timer costs more than the rest of a hand-over, and the supervisor knows
    // who has been idle for too long.
    uint64_t now_ns = seams.now_ns();
    bool got, more;
    {
      Hold hold(pool_lock);
      clear_blocked(self);  // the monitor may have counted it just as its call came back
      if (self.in_idle_list && pool_queue.length > 0) unlink_idle(self);  // woken for nothing, and there is work
      got = refill(self);
      more = got && pool_queue.length > 0 && unblocked_threads() < limits.cores;
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

// The caller has counted the thread in pool_threads already. Not under the lock.
bool start_pool_thread() {
  Worker* worker = nullptr;
  {
    Hold hold(pool_lock);
    worker = free_workers;
    if (worker != nullptr) free_workers = worker->working_next;
  }
  if (worker == nullptr) {
    void* memory = seams.allocate(sizeof(Worker) + alignof(Worker));
    if (memory != nullptr) {
      worker = reinterpret_cast<Worker*>((reinterpret_cast<uintptr_t>(memory) + alignof(Worker) - 1) &
                                         ~(alignof(Worker) - 1));
    }
  }
  if (worker != nullptr) {
    {
      Hold hold(pool_lock);  // the monitor may still look at a record that is used again
      new (worker) Worker();
      link_working(*worker);
      refill(*worker);
    }
    if (seams.start_thread(kPoolStack, pool_main, worker) == 0) return true;
  }
  Hold hold(pool_lock);
  --pool_threads;
  if (worker != nullptr) {
    take_back(*worker);
    unlink_working(*worker);
    worker->working_next = free_workers;
    free_workers = worker;
  }
  return false;
}

// ---- Own threads

void* own_main(void* argument) {
  Worker self;  // cancellers reach it through the op, and only under the cancel lock while the op runs
  self.own = true;
  name_thread("acall-own");
  open_cancel_signal();
  self.tid.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_release);
  run_operation(*static_cast<Operation*>(argument), self);
  bool others_wait;
  {
    Hold hold(pool_lock);
    --own_threads;
    others_wait = own_queue.length > 0;
  }
  if (others_wait) supervisor_wake();
  return nullptr;
}

// The caller has counted the thread. False: none to be had, nothing changed.
bool start_own_thread(Operation* op) { return seams.start_thread(kOwnStack, own_main, op) == 0; }

// Starts threads for ops that had to wait, in order. Returns whether some still wait.
bool start_waiting_own() {
  for (;;) {
    Operation* op;
    {
      Hold hold(pool_lock);
      if (own_queue.length == 0) return false;
      if (!may_start_own()) return true;
      op = own_queue.pop();
      if (!(op->state.load(std::memory_order_acquire) & kQueued)) {  // cancelled: needs no thread
        operation_unlinked(*op);
        continue;
      }
      ++own_threads;
    }
    if (start_own_thread(op)) continue;
    Hold hold(pool_lock);
    --own_threads;
    own_queue.push_front(op);
    return true;
  }
}

// ---- Supervisor

// Whether the thread sleeps in the kernel, in a way that is not just "has lost its core": a thread that wants to run
// and may not is no reason to start another.
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
  DescriptorGuest guest;  // it may be the last one, and somebody waits for it
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;  // no /proc here, or no descriptor left: believe the clock
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
  Worker* worker;
  pid_t tid;
  uint32_t activity;
};

// Finds pool threads that have been inside one call since the last look; returns how many need to be asked about.
uint32_t collect_suspects(Suspect* suspects) {
  uint32_t count = 0;
  Hold hold(pool_lock);
  for (Worker* worker = working; worker != nullptr; worker = worker->working_next) {
    if (worker->in_idle_list) continue;
    uint32_t activity = worker->activity.load(std::memory_order_relaxed);
    bool stuck = (activity & 1) && activity == worker->seen_activity;
    worker->seen_activity = activity;
    if (!stuck || worker->counted_blocked.load(std::memory_order_relaxed) || count == kMaxSuspects) continue;
    suspects[count++] = {worker, worker->tid.load(std::memory_order_acquire), activity};
  }
  return count;
}

bool work_is_pending() {
  Hold hold(pool_lock);
  if (pool_queue.length > 0) return true;
  for (Worker* worker = working; worker != nullptr; worker = worker->working_next) {
    uint64_t range = worker->range.load(std::memory_order_relaxed);
    if (range_next(range) != range_end(range)) return true;
  }
  return false;
}

struct Growth {
  uint32_t step = 0;              // how many threads the last look started
  uint64_t not_before_ns = 0;     // a thread could not be had: the next try
  uint64_t returns = 0;           // at the last look
  uint64_t quiet_since_ns = 0;    // since when nothing has come back
  uint32_t read_at = 0;           // the limits are read when there are so many threads,
  uint64_t read_ns = 0;           // or when ops have waited for so long since
  uint64_t limited_since_ns = 0;  // since when a limit keeps ops waiting; 0: none does
};

// The limit that keeps ops waiting now, nullptr when none does. Under pool_lock.
const char* limit_in_the_way(uint64_t now_ns, const Growth& growth) {
  const bool pool_waits = pool_queue.length > 0 && blocked_threads >= pool_threads;
  if (pool_waits && limits.pool_is_set && pool_threads >= pool_allowed) return "ACALL_POOL_MAX";
  if (pool_waits && pool_threads < pool_allowed && !may_start_pool()) return limits.limit;
  if (own_queue.length > 0 && own_threads >= limits.own_max) return limits.own_limit;
  if (own_queue.length > 0 && !may_start_own()) return limits.limit;
  if (own_queue.length > 0 || (pool_waits && now_ns < growth.not_before_ns)) return "the system (EAGAIN)";
  return nullptr;
}

void look_at_limit(Growth& growth) {
  const uint64_t now_ns = seams.now_ns();
  const char* limit;
  {
    Hold hold(pool_lock);
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
  if (void (*tell)() = tell_of_limit.exchange(nullptr, std::memory_order_acq_rel)) tell();
}

// The limits as they are now: what others have taken is not free, and they may have let go of it. Calls into the
// kernel, so not under the lock.
void read_limits(Growth& growth) {
  const uint64_t now_ns = seams.now_ns();
  uint32_t ours;
  {
    Hold hold(pool_lock);
    ours = pool_threads + own_threads;
    const bool waits = own_queue.length > 0 || (pool_queue.length > 0 && !may_start_pool());
    if (ours < growth.read_at && !(waits && now_ns - growth.read_ns >= kReadNs)) return;
  }
  const ThreadLimits fresh = read_thread_limits(ours);
  pack_memory_keep(fresh.free_bytes / kShareKept);
  Hold hold(pool_lock);
  limits.total = fresh.total;
  limits.limit = fresh.limit;
  limits.own_max = fresh.own_max;
  limits.own_limit = fresh.own_limit;
  growth.read_at = ours < kReadFirst ? kReadFirst : ours * 2;
  growth.read_ns = now_ns;
}

// All that the pool may have are stuck, and nothing has come back for some milliseconds: it may have some more, unless
// ACALL_POOL_MAX says how many. Under pool_lock.
void allow_more(Growth& growth) {
  const uint64_t now_ns = seams.now_ns();
  const bool is_stuck = pool_queue.length > 0 && pool_threads >= pool_allowed && blocked_threads >= pool_threads;
  if (!is_stuck || returns != growth.returns || growth.quiet_since_ns == 0) {
    growth.returns = returns;
    growth.quiet_since_ns = now_ns;
  } else if (!limits.pool_is_set && now_ns - growth.quiet_since_ns >= kStuckNs) {
    pool_allowed = pool_threads + std::max(kLeastPortion, pool_threads / 8);
    growth.quiet_since_ns = now_ns;
  }
}

// One look at the pool. Returns whether work still waits.
bool look_at_pool(Growth& growth) {
  Suspect suspects[kMaxSuspects];
  uint32_t count = collect_suspects(suspects);
  uint32_t found = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (!sleeps_in_kernel(suspects[i].tid)) continue;
    Hold hold(pool_lock);
    Worker& worker = *suspects[i].worker;
    if (worker.in_idle_list || worker.activity.load(std::memory_order_relaxed) != suspects[i].activity) continue;
    if (worker.counted_blocked.load(std::memory_order_relaxed)) continue;
    count_blocked(worker);
    ++found;
  }
  uint32_t wanted = 0;
  read_limits(growth);
  {
    Hold hold(pool_lock);
    allow_more(growth);
    uint32_t unblocked = unblocked_threads();
    if (pool_queue.length > 0 && unblocked < limits.cores) {
      // Doubling: looks that find blocked ones again start more each time. Looks that find none start what is missing:
      // with a busy machine the queue often is not empty while a thread that idled has not yet got its core.
      const uint32_t missing = limits.cores - unblocked;
      growth.step = found > 0 ? std::max(growth.step * 2, missing) : missing;
      wanted = growth.step < pool_queue.length ? growth.step : pool_queue.length;
    } else {
      growth.step = 0;
    }
  }
  for (; wanted > 0; --wanted) {
    Worker* woken;
    {
      Hold hold(pool_lock);
      if (pool_queue.length == 0) break;
      woken = engage_idle();
      if (woken == nullptr) {
        if (!may_start_pool() || seams.now_ns() < growth.not_before_ns) break;
        ++pool_threads;
      }
    }
    if (woken) {
      woken->parker.unpark();
    } else if (!start_pool_thread()) {
      growth.not_before_ns = seams.now_ns() + kRetryNs;
      break;
    }
  }
  return work_is_pending();
}

void* supervisor_main(void*) {
  name_thread("acall-super");
  Growth growth;
  uint64_t flush_ns = kFlushFirstNs;
  uint64_t idle_since = seams.now_ns();
  for (;;) {
    uint64_t sleep_ns = kIdleNs;
    auto at_most = [&sleep_ns](uint64_t span) { sleep_ns = span < sleep_ns ? span : sleep_ns; };
    supervisor_sleeps.store(true, std::memory_order_seq_cst);  // before the looks: what comes after them wakes us
    if (look_at_pool(growth)) at_most(kLookNs);
    if (start_waiting_own()) at_most(kRetryNs);
    look_at_limit(growth);
    uint64_t now = seams.now_ns();
    const uint64_t cancel_ns = cancel_repeat(now);
    at_most(cancel_ns);
    at_most(retire_idle(now));
    const uint64_t trim_ns = pack_memory_trim(now);
    at_most(trim_ns);
    if (rings_have_backlog()) {
      at_most(flush_ns);
      if (rings_flush()) {
        flush_ns = kFlushFirstNs;  // its reader is at work
      } else {
        flush_ns = flush_ns + kFlushFirstNs < kFlushLastNs ? flush_ns + kFlushFirstNs : kFlushLastNs;
      }
    } else {
      flush_ns = kFlushFirstNs;
    }
    {
      Hold hold(pool_lock);
      bool needed = pool_threads > 0 || own_threads > 0 || own_queue.length > 0 || pool_queue.length > 0 ||
                    open_submissions > 0 || rings_have_backlog() || cancel_ns != UINT64_MAX || trim_ns != UINT64_MAX;
      if (needed) {
        idle_since = now;
      } else if (now - idle_since >= kIdleNs) {
        supervisor_alive = false;
        return nullptr;
      }
    }
    if (sleep_ns <= kLookNs)
      supervisor_sleeps.store(false, std::memory_order_relaxed);  // comes back soon enough by itself
    supervisor_parker.park(sleep_ns);
  }
}

}  // namespace

bool threads_enter() {
  {
    Hold hold(pool_lock);
    if (supervisor_alive) {
      ++open_submissions;
      return true;
    }
  }
  // One submitter starts it, the others wait for the outcome: nobody may queue an op that no thread will ever look at.
  // No other thread of ours lives now: the supervisor is the last to go, and pool and own threads start after it.
  Hold starting(supervisor_start_lock);
  {
    Hold hold(pool_lock);
    ++open_submissions;  // from here on a supervisor stays
    if (supervisor_alive) return true;
    if (limits.cores == 0) {
      limits = read_thread_limits(0);
      pack_memory_keep(limits.free_bytes / kShareKept);
      pool_allowed = limits.pool_max;
    }
  }
  const bool started = seams.start_thread(kPoolStack, supervisor_main, nullptr) == 0;
  Hold hold(pool_lock);
  supervisor_alive = started;
  if (!started) --open_submissions;
  return started;
}

void threads_leave() {
  Hold hold(pool_lock);
  --open_submissions;
}

void threads_submit_pool(Operation* first, Operation* last, uint32_t count) {
  Worker* woken = nullptr;
  bool start = false, pending;
  {
    Hold hold(pool_lock);
    pool_queue.append(first, last, count);
    if (unblocked_threads() < limits.cores) {
      woken = engage_idle();
      if (woken == nullptr && may_start_pool()) {
        ++pool_threads;
        start = true;
      }
    }
    pending = pool_queue.length > (start ? 1u : 0u);
  }
  if (woken) woken->parker.unpark();
  if (start && !start_pool_thread()) pending = true;
  if (pending) supervisor_wake();
}

void threads_count_as_blocked(Worker& self) {
  {
    Hold hold(pool_lock);
    if (self.own || self.counted_blocked.load(std::memory_order_relaxed)) return;
    count_blocked(self);
  }
  engage_another();
}

void threads_submit_own(Operation* op) {
  op->next = nullptr;
  {
    Hold hold(pool_lock);
    if (own_queue.length > 0 || !may_start_own()) {
      own_queue.append(op, op, 1);
      op = nullptr;
    } else {
      ++own_threads;
    }
  }
  if (op != nullptr) {
    if (start_own_thread(op)) return;
    Hold hold(pool_lock);
    --own_threads;
    own_queue.append(op, op, 1);
  }
  supervisor_wake();
}

void supervisor_wake() {
  // Only a supervisor in its long sleep needs a call into the kernel. seq_cst: pairs with the store before its looks.
  if (supervisor_sleeps.exchange(false, std::memory_order_seq_cst)) supervisor_parker.unpark();
}

uint32_t core_count() { return limits.cores; }

void threads_on_limit(void (*tell)()) { tell_of_limit.store(tell, std::memory_order_release); }
const char* threads_limited_by() { return limited_by.load(std::memory_order_relaxed); }

ThreadCounts thread_counts() {
  Hold hold(pool_lock);
  ThreadCounts counts{};
  counts.completed = completed_by_others;
  counts.queued = pool_queue.length + own_queue.length;
  for (Worker* worker = working; worker != nullptr; worker = worker->working_next) {
    counts.completed += worker->completed.load(std::memory_order_relaxed) - worker->folded;
    counts.running += worker->busy.load(std::memory_order_relaxed);
    uint64_t range = worker->range.load(std::memory_order_relaxed);
    counts.queued += range_end(range) - range_next(range);
  }
  counts.running += own_running.load(std::memory_order_relaxed) + blocked_threads;
  counts.pool_threads = pool_threads;
  counts.own_threads = own_threads;
  counts.blocked = blocked_threads;
  counts.supervisor = supervisor_alive;
  return counts;
}

}  // namespace acall
