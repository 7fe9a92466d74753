// Ids and the two blocking waits: what counts as complete, time-outs, signals and masks, many waiters at once.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

acall_submission read_of(House& house, const Pipe& pipe, uint32_t flags = kPool) {
  return call(flags, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(house.alloc(16)), 1});
}

int64_t wait_ids(const acall_id* ids, uint32_t nr, const timespec* timeout = nullptr, const uint64_t* mask = nullptr,
                 acall::Liveness liveness = {}) {
  acall::WaitLimits limits;
  limits.timeout = timeout;
  limits.sigmask = mask;
  limits.liveness = liveness;
  return acall::wait_for_ids(ids, nr, limits);
}

int64_t wait_ring(TestRing& ring, uint32_t tail, uint32_t min, const timespec* timeout = nullptr,
                  const uint64_t* mask = nullptr) {
  acall::WaitLimits limits;
  limits.timeout = timeout;
  limits.sigmask = mask;
  return acall::wait_for_ring(*ring.record, tail, min, limits);
}

std::atomic<int> handled{0};
void on_signal(int) { handled.fetch_add(1); }

// A handler with SA_RESTART, as libuv installs.
void catch_signal(int signal) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
  handled = 0;
}

uint64_t bit(int signal) { return 1ull << (signal - 1); }

// Signals the thread until its wait has returned: one of the signals comes during the wait.
int64_t interrupt(int64_t (*wait)(void*), void* context, int signal) {
  std::atomic<bool> done{false};
  int64_t result = 0;
  std::thread thread([&] {
    result = wait(context);
    done = true;
  });
  while (!done) {
    pthread_kill(thread.native_handle(), signal);
    sched_yield();
  }
  thread.join();
  return result;
}

}  // namespace

TEST("ids are unique, also when their records are used again") {
  House house(8 << 20);
  const uint32_t batch = 20000;
  auto* entries = house.make<acall_submission>(batch);
  auto* ids = house.make<acall_id>(batch);
  std::vector<std::pair<uint64_t, uint64_t>> all;
  for (int round = 0; round < 5; ++round) {
    for (uint32_t i = 0; i < batch; ++i) entries[i] = with_id(call(kPool, SYS_getppid), &ids[i]);
    CHECK_EQ(house.submit(entries, batch), batch);
    for (uint32_t i = 0; i < batch; ++i) {
      wait_for(ids[i]);
      all.emplace_back(ids[i].opaque[0], ids[i].opaque[1]);
    }
  }
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
  for (const auto& [a, b] : all) {
    acall_id id{{a, b}};
    if (!CHECK_EQ(wait_ids(&id, 1), 1)) break;  // complete and forgotten counts as complete
    if (!CHECK_EQ(acall::engine_cancel(id), -ENOENT)) break;
  }
}

TEST("an id that was never issued is invalid, wherever it stands") {
  House house;
  Pipe pipe;
  Ticket blocked(house), done(house);
  blocked.submit(house, read_of(house, pipe));
  done.submit(house, call(kPool, SYS_getppid));
  done.wait();
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    acall_id forged;
    switch (i % 4) {
      case 0:
        forged = {{random.next(), random.next()}};
        break;
      case 1:
        forged = {{blocked.id->opaque[0] + 1 + random.below(1000), blocked.id->opaque[1]}};
        break;
      case 2:
        forged = *blocked.id, forged.opaque[1] ^= 1ull << random.below(64);
        break;
      default:
        forged = *done.id, forged.opaque[0] ^= 1ull << random.below(64);
        break;
    }
    acall_id both[2] = {*done.id, forged};
    if (!CHECK_EQ(wait_ids(both, 2), -EINVAL)) break;
    if (!CHECK_EQ(wait_ids(&forged, 1), -EINVAL)) break;
    if (!CHECK_EQ(acall::engine_cancel(forged), -ENOENT)) break;
  }
  acall_id zero{};
  CHECK_EQ(wait_ids(&zero, 1), -EINVAL);
  pipe.write_bytes();
  blocked.wait();
}

TEST("a wait for ids returns when one of them is complete") {
  House house;
  Pipe pipes[64];
  std::vector<acall_id> ids(64);
  std::vector<Ticket> tickets;
  for (auto& pipe : pipes) {
    tickets.emplace_back(house);
    CHECK_EQ(tickets.back().submit(house, read_of(house, pipe)), 1);
  }
  for (int i = 0; i < 64; ++i) ids[i] = *tickets[i].id;
  std::thread writer([&] { pipes[40].write_bytes(); });
  CHECK_EQ(wait_ids(ids.data(), 64), 1);
  CHECK(is_complete(ids[40]));
  CHECK_EQ(wait_ids(ids.data(), 64), 1);  // still complete
  writer.join();
  ids.erase(ids.begin() + 40);
  timespec none{0, 0};
  CHECK_EQ(wait_ids(ids.data(), 63, &none), 0);
  for (auto& pipe : pipes) pipe.write_bytes();
  for (const acall_id& id : ids) CHECK_EQ(wait_ids(&id, 1), 1);
}

TEST("the same id may stand twice, and many threads may wait for it") {
  House house;
  for (int round = 0; round < 50; ++round) {
    Pipe pipe;
    Ticket ticket(house);
    CHECK_EQ(ticket.submit(house, read_of(house, pipe)), 1);
    acall_id twice[3] = {*ticket.id, *ticket.id, *ticket.id};
    std::vector<std::thread> threads;
    std::atomic<int> woken{0};
    for (int i = 0; i < 8; ++i) threads.emplace_back([&, i] { woken += wait_ids(twice, 1 + i % 3) == 1; });
    pipe.write_bytes();
    for (auto& thread : threads) thread.join();
    CHECK_EQ(woken.load(), 8);
  }
}

TEST("time-outs are relative, zero polls, nonsense is invalid, for ever is long") {
  House house;
  Pipe pipe;
  TestRing ring(house, 4);
  Ticket ticket(house);
  ticket.submit(house, read_of(house, pipe));
  timespec none{0, 0}, short_span{0, 30'000'000};
  CHECK_EQ(wait_ids(ticket.id, 1, &none), 0);
  CHECK_EQ(wait_ring(ring, 0, 1, &none), 0);
  uint64_t before = now_ns();
  CHECK_EQ(wait_ids(ticket.id, 1, &short_span), 0);
  CHECK(now_ns() - before >= 30'000'000);
  before = now_ns();
  CHECK_EQ(wait_ring(ring, 0, 1, &short_span), 0);
  CHECK(now_ns() - before >= 30'000'000);
  for (timespec bad :
       {timespec{0, 1'000'000'000}, timespec{0, -1}, timespec{-1, 0}, timespec{INT64_MIN, 5}, timespec{1, INT64_MAX}}) {
    CHECK_EQ(wait_ids(ticket.id, 1, &bad), -EINVAL);
    CHECK_EQ(wait_ring(ring, 0, 1, &bad), -EINVAL);
    CHECK_EQ(wait_ring(ring, 0, 0, &bad), -EINVAL);
  }
  CHECK_EQ(wait_ids(nullptr, 0, &none), 0);
  CHECK_EQ(wait_ids(nullptr, 0), 0);
  for (timespec far :
       {timespec{INT64_MAX, 999'999'999}, timespec{1'000'000'000'000, 0}, timespec{18'446'744'073, 709'551'615}}) {
    Pipe other;
    Ticket second(house);
    second.submit(house, read_of(house, other));
    std::thread writer([&] { other.write_bytes(); });
    CHECK_EQ(wait_ids(second.id, 1, &far), 1);
    writer.join();
  }
  pipe.write_bytes();
  ticket.wait();
}

TEST("a signal ends a wait with -EINTR although its handler restarts calls") {
  House house;
  Pipe pipe;
  TestRing ring(house, 4);
  Ticket ticket(house);
  ticket.submit(house, read_of(house, pipe));
  catch_signal(SIGUSR1);
  CHECK_EQ(interrupt([](void* id) { return wait_ids(static_cast<acall_id*>(id), 1); }, ticket.id, SIGUSR1), -EINTR);
  CHECK_EQ(interrupt([](void* r) { return wait_ring(*static_cast<TestRing*>(r), 0, 1); }, &ring, SIGUSR1), -EINTR);
  // Fewer than min are there, and a signal comes: -EINTR; enough are there: the count.
  CHECK_EQ(house.submit(into_ring(call(kPool, SYS_getppid), ring.memory, 1)), 1);
  ring.wait(1);
  CHECK_EQ(interrupt([](void* r) { return wait_ring(*static_cast<TestRing*>(r), 0, 2); }, &ring, SIGUSR1), -EINTR);
  CHECK(handled > 0);
  pipe.write_bytes();
  ticket.wait();
}

TEST("a pending signal that the mask lets through ends the wait at once, and the old mask comes back") {
  House house;
  Pipe pipe;
  TestRing ring(house, 4);
  Ticket ticket(house);
  ticket.submit(house, read_of(house, pipe));
  catch_signal(SIGUSR2);
  sigset_t blocked, now;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  const uint64_t lets_through = bit(SIGUSR1);
  for (int i = 0; i < 2; ++i) {
    raise(SIGUSR2);
    CHECK_EQ(handled.load(), i);
    if (i == 0) {
      CHECK_EQ(wait_ids(ticket.id, 1, nullptr, &lets_through), -EINTR);
    } else {
      CHECK_EQ(wait_ring(ring, 0, 1, nullptr, &lets_through), -EINTR);
    }
    CHECK_EQ(handled.load(), i + 1);
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  CHECK(sigismember(&now, SIGUSR2) == 1 && sigismember(&now, SIGUSR1) == 0);
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  pipe.write_bytes();
  ticket.wait();
}

TEST("a signal that the mask blocks waits until the wait is over") {
  House house;
  catch_signal(SIGUSR1);
  for (int round = 0; round < 20; ++round) {
    Pipe pipe;
    Ticket ticket(house);
    ticket.submit(house, read_of(house, pipe));
    std::atomic<bool> waits{false};
    std::atomic<int> handled_inside{-1};
    handled = 0;
    int64_t result = 0;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    std::thread waiter([&] {
      pthread_sigmask(SIG_BLOCK, &mask, nullptr);
      waits = true;
      const uint64_t blocks = bit(SIGUSR1);
      result = wait_ids(ticket.id, 1, nullptr, &blocks);
      handled_inside = handled.load();
      pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
    });
    until([&] { return waits.load(); });
    for (int i = 0; i < 100; ++i) pthread_kill(waiter.native_handle(), SIGUSR1);
    pipe.write_bytes();
    waiter.join();
    CHECK_EQ(result, 1);
    CHECK_EQ(handled_inside.load(), 0);
    CHECK_EQ(handled.load(), 1);  // delivered after the wait
  }
}

TEST("a waiting environment is asked every 20 ms, and its end is -EINTR") {
  House house;
  Pipe pipe;
  Ticket ticket(house);
  ticket.submit(house, read_of(house, pipe));
  int asked = 0;
  acall::Liveness liveness{[](void* context) { return ++*static_cast<int*>(context) < 3; }, &asked};
  uint64_t before = now_ns();
  CHECK_EQ(wait_ids(ticket.id, 1, nullptr, nullptr, liveness), -EINTR);
  CHECK_EQ(asked, 3);
  CHECK(now_ns() - before >= 60'000'000);
  asked = 0;
  timespec span{0, 50'000'000};
  liveness.still_alive = [](void* context) { return ++*static_cast<int*>(context) > 0; };
  CHECK_EQ(wait_ids(ticket.id, 1, &span, nullptr, liveness), 0);
  CHECK(asked >= 2);
  pipe.write_bytes();
  ticket.wait();
}

TEST("a wait for a ring returns at min, with all that is stored") {
  House house;
  TestRing ring(house, 64);
  for (uint32_t i = 0; i < 10; ++i) house.submit(into_ring(call(kPool, SYS_getppid), ring.memory, i + 1));
  CHECK_EQ(ring.wait(10), 10u);
  CHECK_EQ(ring.wait(3), 10u);
  CHECK_EQ(ring.wait(3, 7), 3u);
  CHECK_EQ(wait_ring(ring, 10, 0), 0);
  CHECK_EQ(wait_ring(ring, 12, 0), 0);  // a tail ahead of the head: nothing, and nothing negative
  timespec span{0, 1'000'000};
  CHECK_EQ(wait_ring(ring, 4, 60, &span), 6);
}

TEST("a full ring ends a wait, for more cannot come before slots are freed") {
  House house;
  TestRing ring(house, 4);
  for (uint32_t i = 0; i < 9; ++i) house.submit(into_ring(call(kPool, SYS_getppid), ring.memory, i + 1));
  CHECK_EQ(ring.wait(100), 4u);
  CHECK_EQ(ring.wait(5), 4u);
  CHECK_EQ(ring.wait(1, 4), 0u);
  for (int i = 0; i < 4; ++i) ring.cookie(static_cast<uint32_t>(i)).store(0);
  CHECK_EQ(ring.wait(4, 4), 4u);
  ring.cookie(0).store(0);
  CHECK_EQ(ring.wait(1, 8), 1u);
  CHECK_EQ(ring.head(), 9u);
}

TEST("head and tail wrap around 2^32") {
  House house;
  acall_completion_ring* memory = house.ring(8);
  memory->head = 0xfffffffd;
  acall::Ring* record;
  CHECK_EQ(acall::ring_acquire(address_of(memory), 8, 0, acall::RingUse::kObject, &record), 0);
  for (uint32_t i = 0; i < 6; ++i) {
    Ticket ticket(house);
    acall_submission entry = into_ring(call(kPool, SYS_getppid), memory, i + 1);
    CHECK_EQ(house.submit(with_id(entry, ticket.id)), 1);
    wait_for(*ticket.id);
  }
  CHECK_EQ(memory->head, 3u);
  acall::WaitLimits limits;
  CHECK_EQ(acall::wait_for_ring(*record, 0xfffffffd, 6, limits), 6);
  CHECK_EQ(acall::wait_for_ring(*record, 0xffffffff, 4, limits), 4);
  CHECK_EQ(acall::wait_for_ring(*record, 1, 2, limits), 2);
  for (uint32_t i = 0; i < 6; ++i) CHECK_EQ(memory->comps[(0xfffffffdull + i) % 8].cookie, i + 1);
  acall::ring_release_object(*record);
}

TEST("every slot that is counted can be read") {
  House house(4 << 20);
  TestRing ring(house, 256);
  const uint32_t total = 40000;
  std::thread submitter([&] {
    acall_submission entries[16];
    for (uint32_t sent = 0; sent < total; sent += 16) {
      for (uint32_t i = 0; i < 16; ++i) entries[i] = into_ring(call(kPool, SYS_getppid), ring.memory, sent + i + 1);
      house.submit(entries, 16);
    }
  });
  uint32_t tail = 0, unreadable = 0;
  while (tail < total) {
    uint32_t count = ring.wait(1, tail);
    for (uint32_t i = 0; i < count; ++i, ++tail) {
      if (ring.cookie(tail % 256).load(std::memory_order_acquire) == 0) ++unreadable;
      ring.cookie(tail % 256).store(0, std::memory_order_release);
    }
  }
  submitter.join();
  CHECK_EQ(unreadable, 0u);
}

TEST("threads that wait for different counts each wake at theirs") {
  House house;
  TestRing ring(house, 64);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (uint32_t min = 1; min <= 16; ++min) threads.emplace_back([&, min] { right += ring.wait(min) >= min; });
  for (uint32_t i = 0; i < 16; ++i) house.submit(into_ring(call(kPool, SYS_getppid), ring.memory, i + 1));
  for (auto& thread : threads) thread.join();
  CHECK_EQ(right.load(), 16);
}

TEST("waiters survive that the record they wait on is used again") {
  House house(8 << 20);
  auto* ids = house.make<acall_id>(64);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> waits{0};
  std::vector<std::thread> waiters;
  for (int t = 0; t < 3; ++t) {
    waiters.emplace_back([&, t] {
      Random random(static_cast<uint64_t>(t) + 77);
      while (!stop) {
        acall_id some[4];
        for (acall_id& id : some) {
          acall_id& from = ids[random.below(64)];  // ids that are half written count as never issued: -EINVAL
          id.opaque[0] = std::atomic_ref<uint64_t>(from.opaque[0]).load(std::memory_order_relaxed);
          id.opaque[1] = std::atomic_ref<uint64_t>(from.opaque[1]).load(std::memory_order_relaxed);
        }
        int64_t result = wait_ids(some, 1 + random.below(4));
        if (result != 1 && result != -EINVAL) CHECK_EQ(result, 1);
        waits++;
      }
    });
  }
  auto* real = house.make<acall_id>(64);
  for (int round = 0; round < 3000; ++round) {
    for (int i = 0; i < 64; ++i) {
      house.submit(with_id(call(kPool, SYS_getppid), &real[i]));
      std::atomic_ref<uint64_t>(ids[i].opaque[0]).store(real[i].opaque[0], std::memory_order_relaxed);
      std::atomic_ref<uint64_t>(ids[i].opaque[1]).store(real[i].opaque[1], std::memory_order_relaxed);
    }
    if (round % 8 == 0) wait_for(real[63]);
  }
  for (int i = 0; i < 64; ++i) wait_for(real[i]);
  stop = true;
  for (auto& waiter : waiters) waiter.join();
  CHECK(waits > 0);
}
