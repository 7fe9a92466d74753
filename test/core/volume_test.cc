// Very many ops, one after the other and at the same time: each completes once, with its own result.
// bench/cases/getppid.mjs measures them.
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

constexpr uint32_t kBatch = 128;
constexpr uint32_t kOps = kBatch * (kThreadSanitizer || kAddressSanitizer ? 160 : 3000);

// How often each cookie from 1 up has come, with the right result.
class Tally {
 public:
  explicit Tally(uint32_t count) : times_(count + 1) {}
  void add(const acall_completion* some, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const auto& [code, cookie] = some[i];
      if (cookie < times_.size() && static_cast<int64_t>(code) == getppid()) ++times_[cookie];
    }
  }
  uint32_t once() const {
    uint32_t once = 0;
    for (const uint32_t times : times_) once += times == 1 ? 1 : 0;
    return once;
  }

 private:
  std::vector<uint32_t> times_;
};

acall_submission parent_into(const TestRing& ring, uint64_t cookie) {
  return into_ring(call(kPool, SYS_getppid), ring.memory, cookie);
}

}  // namespace

TEST("batches of 128 through the pool complete once each while a ring is drained") {
  House house(1 << 20);
  TestRing ring(house, 4096);
  std::vector<acall_submission> entries(kBatch);
  std::vector<acall_completion> some(4096);
  Tally tally(kOps);
  for (uint32_t sent = 0, drained = 0; drained < kOps;) {
    if (sent < kOps && sent - drained < 3500) {
      for (uint32_t i = 0; i < kBatch; ++i) entries[i] = parent_into(ring, ++sent);
      CHECK_EQ(house.submit(entries.data(), kBatch), kBatch);
    }
    const uint32_t count = ring.drain(some.data(), 4096);
    tally.add(some.data(), count);
    drained += count;
  }
  CHECK_EQ(tally.once(), kOps);
}

TEST("hundreds of thousands in flight at once complete once each") {
  House house(size_t{kOps} * 16 + (1 << 20));
  TestRing ring(house, kOps);
  std::vector<acall_submission> entries;
  for (uint32_t i = 1; i <= kOps; ++i) entries.push_back(parent_into(ring, i));
  CHECK_EQ(house.submit(entries.data(), kOps), kOps);
  CHECK_EQ(ring.wait(kOps), kOps);
  std::vector<acall_completion> all(kOps);
  Tally tally(kOps);
  tally.add(all.data(), ring.drain(all.data(), kOps));
  CHECK_EQ(tally.once(), kOps);
}

TEST("ops one after the other complete, in the pool and on threads of their own") {
  House house;
  auto* id = house.make<acall_id>();
  auto* slot = house.make<acall_completion>();
  for (const uint32_t flags : {kPool, kOwn}) {
    uint32_t right = 0;
    const uint32_t rounds = kOps / (flags == kOwn ? 100 : 20);
    for (uint32_t i = 1; i <= rounds; ++i) {
      acall_submission one = with_id(call(flags, SYS_getppid), id);
      one.cookie = i;
      one.completion_pointer = address_of(slot);
      CHECK_EQ(house.submit(one), 1);
      wait_for(*id);
      right += slot->cookie == i && static_cast<int64_t>(slot->return_code) == getppid() ? 1 : 0;
    }
    CHECK_EQ(right, rounds);
  }
}
