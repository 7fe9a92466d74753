// The engine works: pool, own threads, rings, ids. Other files test each of them in detail.
#include <sys/syscall.h>

#include "check.h"
#include "support.h"

using namespace support;

TEST("pool ops complete into a ring and all arrive") {
  House house;
  acall_completion_ring* ring = house.ring(1024);
  const uint32_t count = 1000;
  auto* submissions = house.make<acall_submission>(count);
  for (uint32_t i = 0; i < count; ++i) submissions[i] = into_ring(call(kPool, SYS_getppid), ring, i + 1);
  acall::Ring* record;
  CHECK_EQ(acall::ring_acquire(address_of(ring), 1024, 0, acall::RingUse::kObject, &record), 0);
  CHECK_EQ(house.submit(submissions, count), count);
  CHECK_EQ(acall::wait_for_ring(*record, 0, count, for_ever()), count);
  CHECK_EQ(ring->head, count);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < count; ++i) {
    CHECK_EQ(ring->comps[i].return_code, getppid());
    sum += ring->comps[i].cookie;
  }
  CHECK_EQ(sum, uint64_t{count} * (count + 1) / 2);
  acall::ring_release_object(*record);
}

TEST("an op on a thread of its own completes into its slot") {
  House house;
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(kOwn, SYS_gettid)), 1);
  int64_t tid = ticket.wait();
  CHECK(tid > 0 && tid != gettid());
}
