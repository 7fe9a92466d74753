// Completion rings: slots, head, backlog, drains. Nothing is overwritten, nothing lost, each completion seen exactly
// once.
#include <sys/syscall.h>

#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

void complete_one(House& house, acall_completion_ring* ring, uint64_t cookie, uint32_t flags = kPool) {
  acall_id* id = house.make<acall_id>();
  if (house.submit(with_id(into_ring(call(flags, SYS_getppid), ring, cookie), id)) != 1) abort();
  wait_for(*id);
}

// Submits `count` ops with cookies from, from + 1 ...
void submit_many(House& house, acall_completion_ring* ring, uint32_t count, uint64_t from = 1) {
  acall_submission entries[64];
  for (uint32_t sent = 0; sent < count;) {
    uint32_t some = count - sent < 64 ? count - sent : 64;
    for (uint32_t i = 0; i < some; ++i) entries[i] = into_ring(call(kPool, SYS_getppid), ring, from + sent + i);
    if (house.submit(entries, some) != some) abort();
    sent += some;
  }
}

// A reader that uses memory only: takes what follows index `tail`.
uint64_t take(TestRing& ring, uint32_t& tail) {
  auto cookie = ring.cookie(tail % ring.memory->nr);
  uint64_t value = cookie.load(std::memory_order_acquire);
  if (value == 0) return 0;
  cookie.store(0, std::memory_order_release);
  ++tail;
  return value;
}

struct Marks {
  std::vector<std::atomic<uint8_t>> seen;
  explicit Marks(size_t count) : seen(count + 1) {}
  void mark(uint64_t cookie) {
    if (!CHECK(cookie > 0 && cookie < seen.size())) return;
    if (seen[cookie].fetch_add(1) != 0) CHECK(false);
  }
  size_t missing() const {
    size_t count = 0;
    for (size_t i = 1; i < seen.size(); ++i) count += seen[i].load() != 1;
    return count;
  }
};

}  // namespace

TEST("the first completion lands in slot 0 and head counts what is stored") {
  House house;
  TestRing ring(house, 3);
  for (uint64_t i = 0; i < 3; ++i) {
    complete_one(house, ring.memory, 10 + i, i % 2 ? kOwn : kPool);
    CHECK_EQ(ring.memory->head, i + 1);
    CHECK_EQ(ring.memory->comps[i].cookie, 10 + i);
    CHECK_EQ(ring.memory->comps[i].return_code, getppid());
  }
}

TEST("counting goes on from the head that is found") {
  House house;
  acall_completion_ring* memory = house.ring(4);
  memory->head = 6;
  complete_one(house, memory, 1);
  CHECK_EQ(memory->head, 7u);
  CHECK_EQ(memory->comps[2].cookie, 1u);
}

TEST("rings of any size give each completion to a reader exactly once and in order") {
  for (uint32_t nr : {1u, 2u, 3u, 7u, 1000u}) {
    House house(4 << 20);
    TestRing ring(house, nr);
    const uint32_t total =
        nr < 10 ? nr * 1000 : 20000;  // the supervisor moves so many completions per millisecond when nobody else does
    Marks marks(total);
    std::thread submitter([&] { submit_many(house, ring.memory, total); });
    uint32_t tail = 0;
    while (tail < total) {
      uint64_t cookie = take(ring, tail);
      if (cookie != 0) {
        marks.mark(cookie);
      } else {
        sched_yield();
      }
    }
    submitter.join();
    CHECK_EQ(marks.missing(), 0u);
    CHECK_EQ(ring.head(), total);
    CHECK_EQ(take(ring, tail), 0u);
  }
}

TEST("unread slots are not overwritten: completions wait in order, are counted, and arrive when slots are freed") {
  House house;
  TestRing ring(house, 3);
  for (uint64_t i = 1; i <= 40; ++i) complete_one(house, ring.memory, i);
  CHECK_EQ(ring.head(), 3u);
  CHECK_EQ(ring.backlog(), 37u);
  CHECK_EQ(ring.overflows(), 37u);
  for (uint32_t i = 0; i < 3; ++i) CHECK_EQ(ring.memory->comps[i].cookie, i + 1);
  // The test calls nothing: the supervisor flushes the backlog by itself.
  uint32_t tail = 0;
  for (uint64_t expected = 1; expected <= 40; ++expected) {
    uint64_t cookie = 0;
    until([&] { return (cookie = take(ring, tail)) != 0; });
    CHECK_EQ(cookie, expected);
  }
  CHECK_EQ(ring.backlog(), 0u);
  CHECK_EQ(ring.overflows(), 37u);
  CHECK_EQ(ring.head(), 40u);
}

TEST("a wait, a completion, a drain each store what waits") {
  House house;
  TestRing ring(house, 2);
  auto fill = [&](uint64_t from) {
    for (uint64_t i = 0; i < 4; ++i) complete_one(house, ring.memory, from + i);
  };
  uint32_t tail = 0;
  fill(1);
  CHECK_EQ(take(ring, tail), 1u);
  CHECK_EQ(take(ring, tail), 2u);
  CHECK_EQ(ring.wait(2, 2), 2u);
  CHECK_EQ(ring.memory->comps[0].cookie, 3u);
  CHECK_EQ(ring.memory->comps[1].cookie, 4u);
  fill(5);
  CHECK_EQ(take(ring, tail), 3u);
  complete_one(house, ring.memory, 9);
  CHECK_EQ(ring.memory->comps[0].cookie, 5u);  // in order: 9 waits behind it
  acall_completion all[16];
  uint32_t got = ring.drain(all, 16);
  CHECK_EQ(got, 6u);
  for (uint32_t i = 0; i < got; ++i) CHECK_EQ(all[i].cookie, i + 4);
  CHECK_EQ(ring.head(), 9u);
}

TEST("several threads drain one ring and each completion goes to one of them") {
  House house(8 << 20);
  TestRing ring(house, 64);
  const uint32_t total = 60000;
  Marks marks(total);
  std::atomic<uint32_t> drained{0};
  std::vector<std::thread> drainers;
  for (int t = 0; t < 3; ++t) {
    drainers.emplace_back([&, t] {
      acall_completion some[50];
      while (drained < total) {
        uint32_t got = ring.drain(some, 1 + static_cast<uint32_t>(t) * 24);
        for (uint32_t i = 0; i < got; ++i) marks.mark(some[i].cookie);
        drained += got;
        if (got == 0) sched_yield();
      }
    });
  }
  submit_many(house, ring.memory, total);
  for (auto& drainer : drainers) drainer.join();
  CHECK_EQ(drained.load(), total);
  CHECK_EQ(marks.missing(), 0u);
}

TEST("what a drain returns comes first in the next, in its order") {
  House house;
  TestRing ring(house, 8);
  for (uint64_t i = 1; i <= 8; ++i) complete_one(house, ring.memory, i);
  acall_completion some[16];
  CHECK_EQ(ring.drain(some, 6), 6u);
  CHECK(acall::ring_return(*ring.record, some + 2, 4));
  CHECK_EQ(acall::ring_available(*ring.record), 6u);
  CHECK_EQ(ring.drain(some, 2), 2u);
  CHECK_EQ(some[0].cookie, 3u);
  CHECK_EQ(some[1].cookie, 4u);
  CHECK(acall::ring_return(*ring.record, some + 1, 1));
  CHECK_EQ(ring.drain(some, 16), 5u);
  for (uint64_t i = 0; i < 5; ++i) CHECK_EQ(some[i].cookie, i + 4);
  CHECK(acall::ring_return(*ring.record, some, 0));
  CHECK_EQ(ring.drain(some, 16), 0u);
}

TEST("a drain that starts late finds what is unread and nothing else") {
  House house;
  acall_completion_ring* memory = house.ring(4);
  for (uint64_t i = 1; i <= 3; ++i) complete_one(house, memory, i);
  memory->comps[0].cookie = 0;  // read already
  acall::Ring* record;
  CHECK_EQ(acall::ring_acquire(address_of(memory), 4, 0, acall::RingUse::kObject, &record), 0);
  acall_completion some[8];
  CHECK_EQ(acall::ring_drain(*record, some, 8), 2u);
  CHECK_EQ(some[0].cookie, 2u);
  CHECK_EQ(some[1].cookie, 3u);
  acall::ring_release_object(*record);
}

TEST("after a reader of memory alone has gone round, a drain is still in order") {
  House house;
  TestRing ring(house, 4);
  uint32_t tail = 0;
  for (uint64_t i = 1; i <= 30; ++i) {
    complete_one(house, ring.memory, i);
    if (i <= 27) CHECK_EQ(take(ring, tail), i);
  }
  CHECK(acall::ring_available(*ring.record) <= 4);
  acall_completion some[8];
  CHECK_EQ(ring.drain(some, 8), 3u);
  for (uint64_t i = 0; i < 3; ++i) CHECK_EQ(some[i].cookie, 28 + i);
}

TEST("a size that changes behind our back does not move us out of the ring") {
  House house;
  TestRing ring(house, 4);
  auto* guard = house.make<uint64_t>(1024);
  for (uint64_t i = 1; i <= 4; ++i) complete_one(house, ring.memory, i);
  ring.memory->nr = 100;
  acall_completion some[8];
  CHECK_EQ(ring.drain(some, 4), 4u);
  CHECK_EQ(house.submit(into_ring(call(kPool, SYS_getppid), ring.memory, 5)), -EINVAL);
  ring.memory->nr = 4;
  // While one thread writes the size, submissions with the right one are stored where they belong and others refused.
  std::atomic<bool> stop{false};
  std::thread liar([&] {
    while (!stop) {
      std::atomic_ref<uint32_t>(ring.memory->nr).store(60, std::memory_order_relaxed);
      std::atomic_ref<uint32_t>(ring.memory->nr).store(4, std::memory_order_relaxed);
    }
  });
  uint64_t accepted = 0, drained = 0;
  for (int i = 0; i < 20000; ++i) {
    accepted += house.submit(into_ring(call(kPool, SYS_getppid), ring.memory, 7)) == 1;
    drained += ring.drain(some, 8);
  }
  stop = true;
  liar.join();
  while (drained < accepted) drained += ring.drain(some, 8);
  for (int i = 0; i < 1024; ++i) CHECK_EQ(guard[i], 0u);
  ring.memory->nr = 4;
}

TEST("many rings of different sizes at once, from several environments") {
  House house(32 << 20), other(32 << 20);
  struct One {
    House* house;
    std::unique_ptr<TestRing> ring;
    uint64_t submitted = 0, drained = 0, cookie_sum = 0, drained_sum = 0;
  };
  std::vector<One> rings;
  for (uint32_t i = 0; i < 200; ++i) {
    House* owner = i % 2 ? &house : &other;
    rings.push_back({owner, std::make_unique<TestRing>(*owner, 1 + i * 3 % 50)});
  }
  auto work = [&](uint32_t parity) {
    Random random(parity + 5);
    acall_submission entries[40];
    acall_completion some[64];
    for (int round = 0; round < 1500; ++round) {
      uint32_t count = 1 + random.below(40);
      uint32_t chosen[40];
      for (uint32_t i = 0; i < count; ++i) {
        chosen[i] = random.below(100) * 2 + parity;
        uint64_t cookie = 1 + random.below(1000);
        entries[i] = into_ring(call(kPool, SYS_getppid), rings[chosen[i]].ring->memory, cookie);
        rings[chosen[i]].submitted++;
        rings[chosen[i]].cookie_sum += cookie;
      }
      House& owner = *rings[parity].house;
      CHECK_EQ(owner.submit(entries, count), count);
      One& one = rings[random.below(100) * 2 + parity];
      uint32_t got = one.ring->drain(some, 64);
      one.drained += got;
      for (uint32_t i = 0; i < got; ++i) one.drained_sum += some[i].cookie;
    }
  };
  std::thread second(work, 1);
  work(0);
  second.join();
  for (One& one : rings) {
    acall_completion some[64];
    until([&] {
      uint32_t got = one.ring->drain(some, 64);
      one.drained += got;
      for (uint32_t i = 0; i < got; ++i) one.drained_sum += some[i].cookie;
      return one.drained >= one.submitted;
    });
    CHECK_EQ(one.drained, one.submitted);
    CHECK_EQ(one.drained_sum, one.cookie_sum);
  }
}

TEST("two environments complete into one ring of shared memory") {
  House house;
  acall::EnvironmentHooks hooks;
  acall::Environment* second = acall::environment_attach(hooks);
  acall::Arena* same = acall::arena_add(*second, house.begin(), house.size(), nullptr);
  TestRing ring(house, 32);
  const uint32_t each = 10000;
  Marks marks(2 * each);
  std::thread thread([&] {
    acall::SubmitError error;
    for (uint32_t i = 0; i < each; ++i) {
      acall_submission entry = into_ring(call(kPool, SYS_getppid), ring.memory, each + i + 1);
      CHECK_EQ(acall::engine_submit(*second, &entry, 1, &error), 1);
    }
  });
  std::thread drainer([&] {
    acall_completion some[32];
    for (uint32_t drained = 0; drained < 2 * each;) {
      uint32_t got = ring.drain(some, 32);
      for (uint32_t i = 0; i < got; ++i) marks.mark(some[i].cookie);
      drained += got;
      if (got == 0) sched_yield();
    }
  });
  submit_many(house, ring.memory, each);
  thread.join();
  drainer.join();
  CHECK_EQ(marks.missing(), 0u);
  acall::environment_detach(second, false);
  acall::arena_drop(same);
}

TEST("memory that was a ring may become another") {
  House house;
  auto* memory = house.ring(64);
  for (uint32_t nr = 1; nr <= 64; ++nr) {
    memset(static_cast<void*>(memory), 0, sizeof *memory + 64 * sizeof(acall_completion));
    memory->nr = nr;
    acall::Ring* record;
    CHECK_EQ(acall::ring_acquire(address_of(memory), nr, 0, acall::RingUse::kFreshObject, &record), 0);
    complete_one(house, memory, nr);
    CHECK_EQ(memory->comps[0].cookie, nr);
    acall_completion some[2];
    CHECK_EQ(acall::ring_drain(*record, some, 2), 1u);
    if (nr % 2) acall::ring_release_object(*record);  // else a stale object remains, as before it is finalized
  }
}

TEST("a watch rings the bell at its count, or when the ring is full") {
  House house;
  {
    acall::Hold hold(acall::arenas_lock);
    CHECK(acall::arena_pin(*house.arena));  // else its last unpin rings as well
  }
  TestRing ring(house, 8);
  acall::ring_set_referenced(*ring.record, *house.environment, false);
  CHECK(acall::ring_watch(*ring.record, *house.environment, 3));
  complete_one(house, ring.memory, 1);
  complete_one(house, ring.memory, 2);
  CHECK_EQ(house.bells.load(), 0);
  complete_one(house, ring.memory, 3);
  until([&] { return house.bells > 0; });
  CHECK_EQ(house.bells.load(), 1);
  acall::ring_unwatch(*ring.record, *house.environment);
  acall::environment_turn(*house.environment);
  CHECK(acall::ring_watch(*ring.record, *house.environment, 2));  // both can be drained already
  CHECK_EQ(house.bells.load(), 2);
  acall::ring_unwatch(*ring.record, *house.environment);
  acall::environment_turn(*house.environment);
  CHECK(acall::ring_watch(*ring.record, *house.environment, 100));
  for (uint64_t i = 4; i <= 7; ++i) complete_one(house, ring.memory, i);
  CHECK_EQ(house.bells.load(), 2);
  complete_one(house, ring.memory, 8);
  until([&] { return house.bells > 2; });
  acall::ring_unwatch(*ring.record, *house.environment);
  acall::arena_unpin(*house.arena);
}

TEST("ref and unref of a ring count the ops in flight, each once") {
  House house;
  std::vector<std::unique_ptr<Pipe>> pipes;
  TestRing ring(house, 64);
  auto* ids = house.make<acall_id>(20);
  for (int i = 0; i < 20; ++i) {
    pipes.push_back(std::make_unique<Pipe>());
    acall_submission entry =
        call(kPool, SYS_read, {static_cast<uint64_t>(pipes.back()->read_end), address_of(house.alloc(16)), 1});
    house.submit(with_id(into_ring(entry, ring.memory, 1), &ids[i]));
  }
  auto kept = [&] { return house.environment->keeping_alive.load(); };
  CHECK_EQ(kept(), 20u);
  for (int i = 0; i < 3; ++i) {
    acall::ring_set_referenced(*ring.record, *house.environment, false);
    CHECK_EQ(kept(), 0u);
    acall::ring_set_referenced(*ring.record, *house.environment, true);
    CHECK_EQ(kept(), 20u);
  }
  // While they complete, ref and unref race with them; in every order the count ends at 0.
  std::thread writer([&] {
    for (auto& pipe : pipes) pipe->write_bytes();
  });
  for (int i = 0; i < 200; ++i) acall::ring_set_referenced(*ring.record, *house.environment, i % 2);
  writer.join();
  for (int i = 0; i < 20; ++i) wait_for(ids[i]);
  until([&] { return kept() == 0; });
  acall::ring_set_referenced(*ring.record, *house.environment, false);
  CHECK_EQ(kept(), 0u);
}

TEST("a ring is opened where it lies whole in an arena of the environment, and nowhere else") {
  House house(1 << 16);
  acall_completion_ring* memory = house.ring(8);
  const uint64_t end = house.begin() + house.size();
  acall::Ring* ring = nullptr;
  auto open_at = [&](uint64_t address, bool fresh = false) {
    return acall::ring_open(*house.environment, address, fresh, &ring);
  };
  CHECK_EQ(open_at(house.begin() - 8), -EFAULT);
  CHECK_EQ(open_at(address_of(memory) + 4), -EFAULT);
  CHECK_EQ(open_at(end), -EFAULT);
  memory->nr = UINT32_MAX;
  CHECK_EQ(open_at(address_of(memory)), -EFAULT);
  memory->nr = 0;
  CHECK_EQ(open_at(address_of(memory)), -EINVAL);
  CHECK(ring == nullptr);
  memory->nr = 8;
  CHECK_EQ(open_at(address_of(memory), true), 0);
  acall::Ring* const opened = ring;
  if (opened == nullptr) return;
  CHECK_EQ(open_at(address_of(memory)), 0);
  CHECK(ring == opened);
  memory->nr = 4;  // not what it was opened with
  CHECK_EQ(open_at(address_of(memory)), -EINVAL);
  acall::ring_release_object(*opened);
  acall::ring_release_object(*opened);
}

TEST("an environment has one watch for a ring, the last one") {
  House house;
  TestRing ring(house, 8);
  CHECK(acall::ring_watch(*ring.record, *house.environment, 1));
  CHECK(acall::ring_watch(*ring.record, *house.environment, 2));
  CHECK_EQ(house.environment->watches, 1u);
  CHECK(acall::environment_is_awaited(*house.environment));
  acall::ring_unwatch(*ring.record, *house.environment);
  CHECK_EQ(house.environment->watches, 0u);
  CHECK(!acall::environment_is_awaited(*house.environment));
}
