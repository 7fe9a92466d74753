// restrict(): cannot be undone, holds for every environment, and is checked again when a queued op starts. A program of
// its own, since nothing undoes it.
#include <sys/syscall.h>

#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

[[maybe_unused]] const int kOneThread = setenv("ACALL_POOL_MAX", "1", 1);

Gate gate;
std::atomic<uint32_t> entered{0};
int64_t fake(acall::CancelWord&, uint32_t nr, const uint64_t[6]) {
  entered.fetch_add(1);
  if (nr == SYS_sched_yield) gate.pass();
  return 11;
}

void restrict_to(std::initializer_list<long> numbers) {
  const std::vector<uint32_t> left(numbers.begin(), numbers.end());
  acall::policy_restrict(left);
}

}  // namespace

TEST("restrict leaves only what it names, also of what is queued already, and never gives back") {
  CHECK(acall::policy_allows_all({SYS_getppid, SYS_getuid, 5000}));
  House house, other;
  WithSeams seams;
  acall::seams.syscall = fake;
  Ticket stuck(house), queued_good(house), queued_bad(house);
  stuck.submit(house, call(kPool, SYS_sched_yield));
  until([] { return gate.inside() == 1; });
  queued_good.submit(house, call(kPool, SYS_getppid));
  queued_bad.submit(house, call(kPool, SYS_getuid));
  restrict_to({SYS_getppid, SYS_gettid, SYS_munmap, SYS_exit_group});
  CHECK(acall::policy_allows_all({SYS_getppid, SYS_gettid}));
  CHECK(acall::policy_allows_all({}));
  CHECK(!acall::policy_allows_all({SYS_getppid, SYS_getuid}));
  CHECK(!acall::policy_allows_all({SYS_getppid, 5000}));
  gate.open();
  CHECK_EQ(stuck.wait(), 11);  // it was running already
  CHECK_EQ(queued_good.wait(), 11);
  CHECK_EQ(queued_bad.wait(), -EPERM);
  CHECK_EQ(entered.load(), 2u);
  for (House* one : {&house, &other}) {
    for (uint32_t flags : {kPool, kOwn, kPool | ACALL_SUBMIT_UNSAFE}) {
      CHECK_EQ(one->submit(call(flags, SYS_getuid)), -EPERM);
      CHECK_EQ(one->submit(call(flags, SYS_exit_group)), -EPERM);  // never runnable calls stay so
      Ticket good(*one);
      CHECK_EQ(good.submit(*one, call(flags, SYS_getppid)), 1);
      CHECK_EQ(good.wait(), 11);
    }
    CHECK_EQ(one->submit(call(kPool, SYS_munmap)), -EPERM);  // calls that need `unsafe` still need it
    CHECK_EQ(one->submit(call(kPool | ACALL_SUBMIT_UNSAFE, SYS_munmap)), 1);
    CHECK_EQ(one->submit(call(kPool | ACALL_SUBMIT_UNSAFE, 5000)), -EPERM);
  }
  restrict_to({SYS_gettid, SYS_getuid});
  CHECK_EQ(house.submit(call(kPool, SYS_getppid)), -EPERM);
  CHECK_EQ(house.submit(call(kPool, SYS_getuid)), -EPERM);  // a later restrict() brings nothing back
  CHECK_EQ(house.submit(call(kPool, SYS_gettid)), 1);
  restrict_to({});
  CHECK_EQ(house.submit(call(kPool, SYS_gettid)), -EPERM);
}
