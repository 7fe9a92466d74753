// The watchdog of debug builds. See watchdog.h. It must not abort because the machine is busy: a check counts only when
// the watchdog itself has woken in time; time asleep is the number of checks that found the thread asleep, and time
// awake is the processor time of the thread. Only checks in a row count: a single one may find state D because a page
// of acall's code comes from the disk.
#include "base/watchdog.h"

#if defined(ACALL_WATCHDOG)

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace acall {

namespace {

constexpr uint64_t kLookNs = 1'000'000;
constexpr uint64_t kLateNs = 3'000'000;  // after a longer sleep the machine is busy, and the check does not count
constexpr uint64_t kMaxNs = 5'000'000;
constexpr uint32_t kMaxLooks = kMaxNs / kLookNs;
constexpr uint32_t kMaxElsewhere = 2'000'000'000 / kLookNs;

// A thread that runs event loops or makes inline calls. Never freed.
struct Watched {
  // Written by the thread, read by the watchdog.
  std::atomic<uint64_t> calls{0};  // odd: inside an inline call
  std::atomic<long> nr{0};
  std::atomic<uint64_t> entries{0};  // how often the thread has entered or left code of acall
  std::atomic<uint32_t> depth{0};    // above 0: inside that code
  std::atomic<uint32_t> loops{0};    // environments of the thread
  int tid = 0;
  Watched* next = nullptr;
  // Used by the watchdog alone.
  uint64_t seen = 0;
  uint64_t ran_ns = 0;
  uint32_t asleep = 0;
  uint64_t seen_entries = 0;
  uint32_t stuck_in_ours = 0;
  uint32_t stuck = 0;
};

std::atomic<Watched*> all{nullptr};

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

bool read_task(int tid, const char* name, char* text, size_t room) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t got = fd < 0 ? -1 : read(fd, text, room - 1);
  if (fd >= 0) close(fd);
  if (got > 0) text[got] = '\0';
  return got > 0;
}

char state_of(int tid) {
  char text[512];
  if (!read_task(tid, "stat", text, sizeof text)) return '?';
  const char* after = strrchr(text, ')');
  return after != nullptr && after[1] == ' ' ? after[2] : '?';
}

uint64_t ran_ns_of(int tid) {
  char text[128];
  return read_task(tid, "schedstat", text, sizeof text) ? strtoull(text, nullptr, 10) : 0;
}

void look_at_call(Watched& watched) {
  const uint64_t calls = watched.calls.load(std::memory_order_acquire);
  if (calls % 2 == 0 || calls != watched.seen) {
    watched.seen = calls;
    watched.asleep = 0;
    if (calls % 2 != 0) watched.ran_ns = ran_ns_of(watched.tid);
    return;
  }
  const char state = state_of(watched.tid);
  const uint64_t ran_ns = ran_ns_of(watched.tid) - watched.ran_ns;
  if (watched.calls.load(std::memory_order_acquire) != calls)
    return;  // the call has ended meanwhile: the state may be of a later moment
  watched.asleep = state == 'D' || state == 'S' ? watched.asleep + 1 : 0;
  if (watched.asleep < kMaxLooks && ran_ns < kMaxNs) return;
  fprintf(stderr, "acall watchdog: thread %d, state %c, does not come back from inline call %ld\n", watched.tid, state,
          watched.nr.load(std::memory_order_relaxed));
  abort();
}

void look_at_loop(Watched& watched) {
  const uint64_t entries = watched.entries.load(std::memory_order_acquire);
  const bool is_ours = watched.depth.load(std::memory_order_acquire) > 0;
  if (watched.loops.load(std::memory_order_acquire) == 0 || state_of(watched.tid) != 'D') {
    watched.stuck = watched.stuck_in_ours = 0;
    return;
  }
  const bool is_same = entries == watched.seen_entries;
  watched.seen_entries = entries;
  watched.stuck++;
  watched.stuck_in_ours = is_ours && is_same ? watched.stuck_in_ours + 1 : 0;
  if (watched.stuck_in_ours < kMaxLooks && watched.stuck < kMaxElsewhere) return;
  // Since its state was read, the thread may have left this code.
  if (watched.entries.load(std::memory_order_acquire) != entries) return;
  fprintf(stderr, "acall watchdog: thread %d of an event loop is in state D, in %s\n", watched.tid,
          is_ours ? "code of ours" : "code of others");
  abort();
}

void* watch(void*) {
  for (;;) {
    const uint64_t before_ns = now_ns();
    const timespec span{0, kLookNs};
    nanosleep(&span, nullptr);
    if (now_ns() - before_ns > kLateNs) continue;
    for (Watched* at = all.load(std::memory_order_acquire); at != nullptr; at = at->next) {
      look_at_call(*at);
      look_at_loop(*at);
    }
  }
}

Watched& watched_here() {
  static thread_local Watched* here = nullptr;
  if (here != nullptr) return *here;
  here = new Watched();
  here->tid = static_cast<int>(syscall(SYS_gettid));
  here->next = all.load(std::memory_order_relaxed);
  while (!all.compare_exchange_weak(here->next, here, std::memory_order_acq_rel)) {
  }
  static std::atomic<bool> started{false};
  pthread_t thread;
  if (!started.exchange(true) &&
      (pthread_create(&thread, nullptr, watch, nullptr) != 0 || pthread_detach(thread) != 0)) {
    abort();
  }
  return *here;
}

}  // namespace

WatchedCall::WatchedCall(long nr) {
  Watched& here = watched_here();
  here.nr.store(nr, std::memory_order_relaxed);
  here.calls.fetch_add(1, std::memory_order_release);
}

WatchedCall::~WatchedCall() { watched_here().calls.fetch_add(1, std::memory_order_release); }

WatchedCode::WatchedCode() {
  Watched& here = watched_here();
  here.entries.fetch_add(1, std::memory_order_release);
  here.depth.fetch_add(1, std::memory_order_release);
}

WatchedCode::~WatchedCode() {
  Watched& here = watched_here();
  here.entries.fetch_add(1, std::memory_order_release);
  here.depth.fetch_sub(1, std::memory_order_release);
}

void watchdog_loop_begins() { watched_here().loops.fetch_add(1, std::memory_order_release); }

void watchdog_loop_ends() {
  Watched& here = watched_here();
  if (here.loops.load(std::memory_order_relaxed) > 0) here.loops.fetch_sub(1, std::memory_order_release);
}

}  // namespace acall

#endif
