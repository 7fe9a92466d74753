// Ops without ACALL_SUBMIT_THREAD_POOL: each has an own thread that is cloned from the submitter and ends with the op;
// and the limits.
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"
#include "threads/thread_limits.h"
#include "threads/threads.h"

using namespace support;

namespace {

constexpr uint32_t kMax = 6;
// The variable is read once, when the first thread starts.
[[maybe_unused]] const int kLimited = setenv("ACALL_OWN_MAX", "6", 1);

Gate gate;
std::vector<uint64_t> started;  // arguments of the calls, in the order they began
acall::Lock started_lock;

int64_t fake(acall::CancelWord&, uint32_t nr, const uint64_t args[6]) {
  {
    acall::Hold hold(started_lock);
    started.push_back(args[0]);
  }
  if (nr == SYS_sched_yield) gate.pass();
  return static_cast<int64_t>(args[0]);
}

}  // namespace

TEST("each op has a thread of its own, which is gone after it") {
  House house;
  std::vector<int64_t> tids;
  for (int i = 0; i < 50; ++i) {
    Ticket ticket(house);
    CHECK_EQ(ticket.submit(house, call(kOwn, SYS_gettid)), 1);
    int64_t tid = ticket.wait();
    CHECK(tid != gettid());
    until([&] { return thread_state(static_cast<pid_t>(tid)) == 0; });
    tids.push_back(tid);
  }
  until([] { return counters().own_threads == 0; });
  std::sort(tids.begin(), tids.end());
  CHECK(std::unique(tids.begin(), tids.end()) == tids.end());
}

TEST("the thread inherits nice and affinity of its submitter as they are now") {
  House house;
  Ticket before(house), after(house), cpu(house), pooled(house);
  const long ours = syscall(SYS_getpriority, PRIO_PROCESS, 0);  // 20 - nice, as the kernel returns it
  if (ours == 1) return SKIP("runs with the least priority that there is");
  const long theirs = std::max(ours - 5, 1L);
  cpu_set_t one;
  CPU_ZERO(&one);
  sched_getaffinity(0, sizeof one, &one);
  int last = 0;
  for (int i = 0; i < CPU_SETSIZE; ++i) last = CPU_ISSET(i, &one) ? i : last;
  CPU_ZERO(&one);
  CPU_SET(last, &one);
  auto* mask = house.make<cpu_set_t>();
  std::thread submitter([&] {
    before.submit(house, call(kOwn, SYS_getpriority, {PRIO_PROCESS, 0}));
    before.wait();
    syscall(SYS_setpriority, PRIO_PROCESS, 0, 20 - theirs);
    sched_setaffinity(0, sizeof one, &one);
    after.submit(house, call(kOwn, SYS_getpriority, {PRIO_PROCESS, 0}));
    after.wait();
    cpu.submit(house, call(kOwn, SYS_sched_getaffinity, {0, sizeof *mask, address_of(mask)}));
    cpu.wait();
  });
  submitter.join();
  CHECK_EQ(result_of(*before.slot), ours);
  CHECK_EQ(result_of(*after.slot), theirs);
  CHECK(CPU_EQUAL(mask, &one));
  CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), ours);
}

TEST("what an op does to its thread ends with it") {
  House house;
  Ticket set(house), get(house);
  const long ours = syscall(SYS_getpriority, PRIO_PROCESS, 0);
  if (ours == 1) return SKIP("runs with the least priority that there is");
  CHECK_EQ(set.submit(house, call(kOwn, SYS_setpriority, {PRIO_PROCESS, 0, static_cast<uint64_t>(20 - ours + 5)})), 1);
  CHECK_EQ(set.wait(), 0);
  CHECK_EQ(get.submit(house, call(kOwn, SYS_getpriority, {PRIO_PROCESS, 0})), 1);
  CHECK_EQ(get.wait(), ours);
}

TEST("more ops than threads are allowed wait, and start in order") {
  House house;
  WithSeams seams;
  acall::seams.syscall = fake;
  started.clear();
  TestRing ring(house, 64);
  for (uint64_t i = 0; i < 40; ++i) {
    CHECK_EQ(house.submit(into_ring(call(kOwn, SYS_sched_yield, {i}), ring.memory, i + 1)), 1);
  }
  until([] { return gate.inside() == kMax; });
  CHECK_EQ(counters().own_threads, kMax);
  CHECK_EQ(counters().queued, 40 - kMax);
  CHECK_EQ(threads_named("acall-own"), kMax);
  for (uint32_t done = 1; done <= 40; ++done) {
    gate.open();
    CHECK(ring.wait(done) >= done);
    CHECK(counters().own_threads <= kMax);
    uint32_t wanted = std::min(40u, done + kMax);
    until([&] {
      acall::Hold hold(started_lock);
      return started.size() == wanted;
    });
  }
  // The first kMax start together, in any order; from then on one at a time.
  std::sort(started.begin(), started.begin() + kMax);
  for (uint64_t i = 0; i < 40; ++i) CHECK_EQ(started[i], i);
}

TEST("an op that is cancelled while it waits for a thread needs none") {
  House house;
  WithSeams seams;
  acall::seams.syscall = fake;
  started.clear();
  TestRing ring(house, 64);
  for (uint64_t i = 0; i < kMax; ++i) house.submit(into_ring(call(kOwn, SYS_sched_yield, {i}), ring.memory, i + 1));
  until([] { return gate.inside() == kMax; });
  std::vector<Ticket> tickets;
  for (int i = 0; i < 10; ++i) {
    tickets.emplace_back(house);
    CHECK_EQ(tickets.back().submit(house, call(kOwn, SYS_sched_yield, {100})), 1);
  }
  for (Ticket& ticket : tickets) {
    CHECK_EQ(ticket.cancel(), 0);
    CHECK_EQ(ticket.wait(), -ECANCELED);
    CHECK_EQ(ticket.cancel(), -ENOENT);
  }
  Ticket last(house);
  CHECK_EQ(last.submit(house, call(kOwn, SYS_getppid, {200})), 1);
  gate.open(kMax);
  CHECK_EQ(last.wait(), 200);
  CHECK_EQ(ring.wait(kMax), kMax);
  acall::Hold hold(started_lock);
  CHECK_EQ(started.size(), kMax + 1);  // no cancelled op has run
}

TEST("thousands of own threads come and go while the pool works") {
  House house(16 << 20);
  const uint32_t total = 3000;
  TestRing ring(house, total);
  std::vector<acall_submission> entries;
  for (uint64_t i = 0; i < total; ++i)
    entries.push_back(into_ring(call(i % 3 ? kOwn : kPool, SYS_getppid), ring.memory, i + 1));
  CHECK_EQ(house.submit(entries.data(), total), total);
  CHECK_EQ(ring.wait(total), total);
  until([] { return counters().own_threads == 0; });
  CHECK_EQ(counters().queued, 0u);
}

TEST("limits come from the environment, from RLIMIT_NPROC and from the cgroup") {
  // A variable of its own, since those of acall were read when the first thread started.
  auto with = [](const char* value) {
    setenv("ACALL_TEST_MAX", value, 1);
    return acall::limit_from_environment("ACALL_TEST_MAX", 1024, 65536);
  };
  CHECK_EQ(with("7"), 7u);
  CHECK_EQ(with("1"), 1u);
  for (const char* nonsense : {"", "0", "abc", "12x", "-", " ", "-5"}) CHECK_EQ(with(nonsense), 1024u);
  CHECK_EQ(with("999999999999999999999"), 65536u);
  unsetenv("ACALL_TEST_MAX");
  CHECK_EQ(acall::limit_from_environment("ACALL_TEST_MAX", 1024, 65536), 1024u);
  CHECK_EQ(acall::read_thread_limits().pool_max, 1024u);
  CHECK_EQ(acall::read_thread_limits().own_max, kMax);
  CHECK(acall::read_thread_limits().own_max <= 16384u);
  rlimit before;
  getrlimit(RLIMIT_NPROC, &before);
  rlimit small{100, before.rlim_max};
  setrlimit(RLIMIT_NPROC, &small);
  CHECK(acall::read_thread_limits().own_max < 50u);  // less than half
  small.rlim_cur = 0;
  setrlimit(RLIMIT_NPROC, &small);
  CHECK_EQ(acall::read_thread_limits().own_max, 1u);
  setrlimit(RLIMIT_NPROC, &before);
  cpu_set_t set{};
  sched_getaffinity(0, sizeof set, &set);
  CHECK_EQ(acall::read_thread_limits().cores, CPU_COUNT(&set));
}
