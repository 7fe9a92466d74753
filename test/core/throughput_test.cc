// What one op costs, printed and not asserted: getppid through the pool, with a ring drained natively and with one
// waited for by memory alone, and an op at a time there and back.
#include <sys/syscall.h>

#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

constexpr uint32_t kOps = kThreadSanitizer || kAddressSanitizer ? 20'000 : 400'000;

}  // namespace

TEST("getppid in batches of 128 through the pool") {
  House house(1 << 20);
  TestRing ring(house, 4096);
  std::vector<acall_submission> entries(128, into_ring(call(kPool, SYS_getppid), ring.memory, 1));
  std::vector<acall_completion> some(4096);
  uint64_t before = now_ns();
  uint32_t drained = 0;
  for (uint32_t sent = 0; sent < kOps;) {
    if (sent - drained < 3500) {
      CHECK_EQ(house.submit(entries.data(), 128), 128);
      sent += 128;
    }
    drained += ring.drain(some.data(), 4096);
  }
  while (drained < kOps / 128 * 128) drained += ring.drain(some.data(), 4096);
  std::printf("(%.0f ns an op) ", static_cast<double>(now_ns() - before) / kOps);
}

TEST("hundreds of thousands in flight at once") {
  const uint32_t count = kOps;
  House house(size_t{count} * 16 + (1 << 20));
  TestRing ring(house, count);
  std::vector<acall_submission> entries(count, into_ring(call(kPool, SYS_getppid), ring.memory, 1));
  uint64_t before = now_ns();
  CHECK_EQ(house.submit(entries.data(), count), count);
  uint64_t submitted = now_ns();
  CHECK_EQ(ring.wait(count), count);
  std::printf("(%.0f ns to submit, %.0f ns an op) ", static_cast<double>(submitted - before) / count,
              static_cast<double>(now_ns() - before) / count);
}

TEST("one op there and back") {
  House house;
  const uint32_t rounds = kOps / 20;
  auto* id = house.make<acall_id>();
  uint64_t before = now_ns();
  for (uint32_t i = 0; i < rounds; ++i) {
    CHECK_EQ(house.submit(with_id(call(kPool, SYS_getppid), id)), 1);
    wait_for(*id);
  }
  std::printf("(%.1f us) ", static_cast<double>(now_ns() - before) / rounds / 1000);
}

TEST("an op with a thread of its own, there and back") {
  House house;
  const uint32_t rounds = kOps / 100;
  auto* id = house.make<acall_id>();
  uint64_t before = now_ns();
  for (uint32_t i = 0; i < rounds; ++i) {
    CHECK_EQ(house.submit(with_id(call(kOwn, SYS_getppid), id)), 1);
    wait_for(*id);
  }
  std::printf("(%.1f us) ", static_cast<double>(now_ns() - before) / rounds / 1000);
}
