// A pool of one thread: strict order, and what happens when its only thread blocks.
#include <sys/syscall.h>

#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

[[maybe_unused]] const int kLimited = setenv("ACALL_POOL_MAX", "1", 1);

Gate gate;
std::vector<uint64_t> order;  // written by the pool thread

int64_t fake(acall::CancelWord&, uint32_t nr, const uint64_t args[6]) {
  order.push_back(args[0]);
  if (nr == SYS_sched_yield) gate.pass();
  return 0;
}

}  // namespace

TEST("one thread runs ops in the order they were submitted, also around one that blocks") {
  House house(8 << 20);
  WithSeams seams;
  acall::seams.syscall = fake;
  const uint32_t total = 5000;
  TestRing ring(house, total);
  uint32_t stuck = 0;
  std::vector<acall_submission> entries;
  for (uint64_t i = 0; i < total; ++i) {
    bool blocks = i % 500 == 7;
    stuck += blocks;
    entries.push_back(into_ring(call(kPool, blocks ? SYS_sched_yield : SYS_getppid, {i}), ring.memory, i + 1));
  }
  CHECK_EQ(house.submit(entries.data(), total), total);
  for (uint32_t i = 0; i < stuck; ++i) {
    until([] { return gate.inside() == 1; });
    CHECK_EQ(counters().pool_threads, 1u);
    // The supervisor takes back the ops that the blocked thread has claimed; they must run in their old order.
    until([] { return counters().blocked == 1; });
    CHECK_EQ(order.size(), i * 500 + 8);
    gate.open();
    until([&] { return ring.head() > i * 500 + 7; });
  }
  CHECK_EQ(ring.wait(total), total);
  CHECK_EQ(order.size(), total);
  for (uint64_t i = 0; i < total; ++i) {
    if (!CHECK_EQ(order[i], i)) break;
  }
}

TEST("while the only thread is blocked everything waits, can be cancelled, and then runs") {
  House house;
  WithSeams seams;
  acall::seams.syscall = fake;
  order.clear();
  Ticket stuck(house);
  stuck.submit(house, call(kPool, SYS_sched_yield, {0}));
  until([] { return gate.inside() == 1; });
  std::vector<Ticket> tickets;
  for (uint64_t i = 1; i <= 100; ++i) {
    tickets.emplace_back(house);
    CHECK_EQ(tickets.back().submit(house, call(kPool, SYS_getppid, {i})), 1);
  }
  CHECK_EQ(counters().queued, 100u);
  for (size_t i = 0; i < 100; i += 2) {
    CHECK_EQ(tickets[i].cancel(), 0);
    CHECK(is_complete(*tickets[i].id));
    CHECK_EQ(result_of(*tickets[i].slot), -ECANCELED);
  }
  gate.open();
  CHECK_EQ(stuck.wait(), 0);
  for (size_t i = 1; i < 100; i += 2) CHECK_EQ(tickets[i].wait(), 0);
  CHECK_EQ(order.size(), 51u);
  for (size_t i = 1; i < order.size(); ++i) CHECK_EQ(order[i], 2 * i);
}
