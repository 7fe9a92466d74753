// The pool: how it grows, in which order it runs ops, when its threads end, and what happens when none can be had.
#include <signal.h>
#include <sys/syscall.h>

#include <thread>
#include <vector>

#include "check.h"
#include "support.h"
#include "threads/pool_thread.h"
#include "threads/threads.h"

using namespace support;

namespace {

Gate gate;
std::atomic<uint64_t> quick_calls{0};
std::atomic<pid_t> last_at_gate{0};

// sched_yield blocks at the gate, all other calls run.
int64_t fake(acall::CancelWord&, uint32_t nr, const uint64_t args[6]) {
  if (nr == SYS_sched_yield) {
    last_at_gate.store(static_cast<pid_t>(syscall(SYS_gettid)));
    gate.pass();
    return 1;
  }
  quick_calls.fetch_add(1);
  return static_cast<int64_t>(args[0]);
}

const acall_submission kStuck = call(kPool, SYS_sched_yield);
const acall_submission kQuick = call(kPool, SYS_getppid);

void submit_copies(House& house, acall_completion_ring* ring, const acall_submission& of, uint32_t count,
                   uint64_t from = 1) {
  std::vector<acall_submission> entries(count);
  for (uint32_t i = 0; i < count; ++i) entries[i] = into_ring(of, ring, from + i);
  if (house.submit(entries.data(), count) != count) abort();
}

void wait_until_pool_is_gone() {
  until([] { return counters().threads == 0; });
}

std::atomic<int> starts{0}, starts_allowed{0};
int (*real_start)(size_t, void* (*)(void*), void*);
// Lets `starts_allowed` threads start, then fails.
int scarce_start(size_t bytes, void* (*entry)(void*), void* argument) {
  starts.fetch_add(1);
  if (starts_allowed.fetch_sub(1) <= 0) {
    starts_allowed.fetch_add(1);
    return EAGAIN;
  }
  return real_start(bytes, entry, argument);
}

// Notes the highest number of pool threads, when one more is started, that do not count as blocked.
std::atomic<uint32_t> most_unblocked{0};
int noted_start(size_t bytes, void* (*entry)(void*), void* argument) {
  const acall::Counters now = counters();
  if (const uint32_t unblocked = now.pool_threads - now.blocked; unblocked > most_unblocked) most_unblocked = unblocked;
  return real_start(bytes, entry, argument);
}

// SigBlk of a thread of acall, found by its number: an ending thread still has its name when libc blocks all signals.
uint64_t blocked_signals_of(pid_t tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
  FILE* status = fopen(path, "re");
  if (status == nullptr) return 0;
  char line[256];
  unsigned long long mask = 0;
  while (fgets(line, sizeof line, status)) sscanf(line, "SigBlk: %llx", &mask);
  fclose(status);
  return mask;
}

}  // namespace

TEST("quick calls never start more threads than there are cores") {
  House house(16 << 20);
  WithSeams seams;
  acall::seams.syscall = fake;
  const uint32_t total = 60000;
  TestRing ring(house, total);
  uint32_t most = 0;
  std::vector<acall_submission> entries(1000);
  for (uint32_t sent = 0; sent < total; sent += 1000) {
    for (uint32_t i = 0; i < 1000; ++i) entries[i] = into_ring(kQuick, ring.memory, sent + i + 1);
    CHECK_EQ(house.submit(entries.data(), 1000), 1000);
    uint32_t now = counters().pool_threads;
    if (now > most) most = now;
  }
  CHECK_EQ(ring.wait(total), total);
  CHECK(most >= 1);
  // Under a sanitizer threads sleep in page faults of the shadow memory, so a busy machine may have more, but no more
  // than this.
  CHECK(most <= acall::core_count() + (kThreadSanitizer || kAddressSanitizer ? 16 : 0));
}

TEST("two hundred blocked calls do not starve thousands of quick ones") {
  House house(8 << 20);
  WithSeams seams;
  acall::seams.syscall = fake;
  const uint32_t stuck = 200, quick = 5000;
  TestRing stuck_ring(house, stuck), quick_ring(house, quick);
  submit_copies(house, stuck_ring.memory, kStuck, stuck);
  submit_copies(house, quick_ring.memory, kQuick, quick);
  CHECK_EQ(quick_ring.wait(quick), quick);
  until([&] { return gate.inside() == stuck; });
  CHECK_EQ(stuck_ring.head(), 0u);
  acall::Counters now = counters();
  CHECK_EQ(now.running, stuck);
  CHECK(now.pool_threads >= stuck);
  CHECK(now.pool_threads <= stuck + 64);  // growth doubles, but is bounded
  gate.open(stuck);
  CHECK_EQ(stuck_ring.wait(stuck), stuck);
  until([&] { return counters().blocked == 0; });
}

TEST("a quick call passes very many that block, since the pool grows by ever more threads at a time") {
  wait_until_pool_is_gone();
  House house(8 << 20);
  WithSeams seams;
  acall::seams.syscall = fake;
  real_start = seams.real().start_thread;
  acall::seams.start_thread = noted_start;
  most_unblocked = 0;
  const uint32_t stuck = 800;
  TestRing stuck_ring(house, stuck), quick_ring(house, 1);
  submit_copies(house, stuck_ring.memory, kStuck, stuck);
  submit_copies(house, quick_ring.memory, kQuick, 1);
  CHECK_EQ(quick_ring.wait(1), 1u);
  until([&] { return gate.inside() == stuck; });
  CHECK(most_unblocked >= 16);  // not only as many as there are cores
  CHECK(most_unblocked <= 64);
  acall::seams.start_thread = seams.real().start_thread;
  gate.open(stuck);
  CHECK_EQ(stuck_ring.wait(stuck), stuck);
  until([&] { return counters().blocked == 0; });
}

TEST("more stuck calls than the pool has threads by default leave quick ones alone") {
  House house(8 << 20);
  WithSeams seams;
  acall::seams.syscall = fake;
  const uint32_t stuck = 1300, quick = 2000;  // the default is 1,024
  TestRing stuck_ring(house, stuck), quick_ring(house, quick);
  submit_copies(house, stuck_ring.memory, kStuck, stuck);
  submit_copies(house, quick_ring.memory, kQuick, quick);
  CHECK_EQ(quick_ring.wait(quick), quick);
  until([&] { return gate.inside() == stuck; });
  CHECK_EQ(stuck_ring.head(), 0u);
  CHECK_EQ(counters().running, stuck);
  CHECK(counters().pool_threads <= stuck + stuck / 4);  // the pool grows in portions
  // With so many threads blocked, every op is counted once.
  const uint64_t completed = counters().completed;
  submit_copies(house, quick_ring.memory, kQuick, 1, quick + 1);
  until([&] { return counters().completed == completed + 1; });
  gate.open(stuck);
  CHECK_EQ(stuck_ring.wait(stuck), stuck);
  until([&] { return counters().blocked == 0 && counters().completed == completed + 1 + stuck; });
  CHECK_EQ(counters().running, 0u);
}

TEST("an op that blocks gives back what its thread has claimed with it") {
  House house;
  WithSeams seams;
  acall::seams.syscall = fake;
  for (int round = 0; round < 20; ++round) {
    TestRing ring(house, 512);
    std::vector<acall_submission> entries;
    for (uint64_t i = 0; i < 512; ++i) entries.push_back(into_ring(i % 64 ? kQuick : kStuck, ring.memory, i + 1));
    CHECK_EQ(house.submit(entries.data(), 512), 512);
    CHECK_EQ(ring.wait(504), 504u);
    until([&] { return gate.inside() == 8; });
    gate.open(8);
    CHECK_EQ(ring.wait(512), 512u);
  }
}

TEST("threads are named, block every signal but ours, and leave after 200 ms without work") {
  House house;
  WithSeams seams;
  acall::seams.syscall = fake;
  TestRing ring(house, 4);
  submit_copies(house, ring.memory, kStuck, 1);
  until([&] { return gate.inside() == 1; });
  CHECK(threads_named("acall-pool") >= 1);
  CHECK_EQ(threads_named("acall-super"), 1u);
  uint64_t blocked = blocked_signals_of(last_at_gate.load());
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP || (signal >= 32 && signal < 34))
      continue;  // signals that nobody can block, and libc's own
    if (!CHECK_EQ(blocked >> (signal - 1) & 1, signal == 61 ? 0u : 1u)) std::fprintf(stderr, "signal %d\n", signal);
  }
  gate.open();
  ring.wait(1);
  uint64_t last = now_ns();
  wait_until_pool_is_gone();
  uint64_t idle_ms = (now_ns() - last) / 1'000'000;
  CHECK(idle_ms >= 195);
  until([] { return threads_named("acall-pool") == 0; });
}

TEST("a pool that has left comes back, again and again") {
  House house;
  WithSeams seams;
  acall::seams.syscall = fake;
  TestRing ring(house, 64);
  for (uint32_t round = 0; round < 4; ++round) {
    submit_copies(house, ring.memory, kQuick, 16, round * 16 + 1);
    CHECK_EQ(ring.wait(16, round * 16), 16u);
    wait_until_pool_is_gone();
  }
}

TEST("ops come and go around the moment a thread leaves") {
  House house(16 << 20);
  TestRing ring(house, 64);
  acall_completion some[64];
  Random random(9);
  uint32_t sent = 0, drained = 0;
  for (int round = 0; round < 12; ++round) {
    // Waits for about as long as an idle thread lives; whether it has ended or not, no op may be lost.
    timespec pause = span_ns(198'000'000 + random.below(4'000'000));
    nanosleep(&pause, nullptr);
    for (int i = 0; i < 8; ++i) {
      CHECK_EQ(house.submit(into_ring(kQuick, ring.memory, ++sent)), 1);
      CHECK_EQ(ring.wait(1, sent - 1), 1u);
      drained += ring.drain(some, 64);
    }
  }
  CHECK_EQ(drained, sent);
}

TEST("when no thread at all can be had a submission says so, and only then") {
  wait_until_pool_is_gone();
  House house;
  WithSeams seams;
  real_start = seams.real().start_thread;
  acall::seams.start_thread = scarce_start;
  starts_allowed = 0;
  TestRing ring(house, 16);
  acall_submission entries[8];
  for (uint64_t i = 0; i < 8; ++i) entries[i] = into_ring(call(i % 2 ? kPool : kOwn, SYS_getppid), ring.memory, i + 1);
  acall::SubmitError error;
  CHECK_EQ(house.submit(entries, 8, &error), -EAGAIN);
  CHECK_EQ(error.index, 0u);
  CHECK_EQ(acall::engine_counters().queued, 0u);
  // The supervisor lives, no other thread can start: the ops wait.
  starts_allowed = 1;
  CHECK_EQ(house.submit(entries, 8, &error), 8);
  const int tries = starts;
  until([&] { return starts > tries + 3; });  // the supervisor starts threads again and again
  CHECK_EQ(ring.head(), 0u);
  CHECK_EQ(counters().queued, 8u);
  starts_allowed = 8;
  CHECK_EQ(ring.wait(8), 8u);
}

TEST("the n-th thread that cannot be started delays ops and loses none") {
  House house(4 << 20);
  WithSeams seams;
  real_start = seams.real().start_thread;
  for (int allowed = 1; allowed <= 12; ++allowed) {
    wait_until_pool_is_gone();
    acall::seams.start_thread = scarce_start;
    acall::seams.syscall = fake;
    starts_allowed = allowed;
    TestRing ring(house, 256);
    std::vector<acall_submission> entries;
    for (uint64_t i = 0; i < 100; ++i) {
      acall_submission of = i % 10 == 0 ? kStuck : kQuick;
      if (i % 7 == 0) of.flags = kOwn;
      entries.push_back(into_ring(of, ring.memory, i + 1));
    }
    CHECK_EQ(house.submit(entries.data(), 100), 100);
    gate.open(10);
    until([&] {
      if (ring.head() < 100) starts_allowed.store(1);  // from time to time a thread can be had
      return ring.head() == 100;
    });
    acall::seams.start_thread = seams.real().start_thread;
  }
}

TEST("counters add up when everything is over") {
  House house;
  acall::Counters before = counters();
  TestRing ring(house, 1024);
  submit_copies(house, ring.memory, kQuick, 700);
  acall_submission own = kQuick;
  own.flags = kOwn;
  submit_copies(house, ring.memory, own, 50, 701);
  CHECK_EQ(ring.wait(750), 750u);
  until(
      [] { return counters().running == 0 && counters().own_threads == 0; });  // the threads outlive their ops a little
  acall::Counters after = counters();
  CHECK_EQ(after.submitted - before.submitted, 750u);
  CHECK_EQ(after.completed - before.completed, 750u);
  CHECK_EQ(after.submitted, after.completed);
  CHECK_EQ(after.queued, 0u);
  CHECK_EQ(after.own_threads, 0u);
  wait_until_pool_is_gone();
  CHECK_EQ(counters().completed, after.completed);
  CHECK_EQ(counters().threads, 0u);
}
