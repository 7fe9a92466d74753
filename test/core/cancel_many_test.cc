// The cancel of very many ops at once: each ends exactly once, none begins a call afterwards, and the cost of one
// cancel does not depend on the number of ops.
#include <sys/syscall.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "descriptors.h"
#include "support.h"
#include "threads/cancel.h"

using namespace support;

namespace {

constexpr bool kSanitized = kThreadSanitizer || kAddressSanitizer;

// A pipe that only tests write to. Many ops can wait on it.
acall_submission read_of(House& house, const Pipe& pipe, uint32_t flags = kPool) {
  return call(flags, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(house.alloc(16)), 1});
}

Gate gate;

acall::Seams real_seams = acall::seams;

// Holds a thread that has the op before the stub, which has not read the cancel word yet.
int64_t held_before_the_stub(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  if (nr != SYS_write) return real_seams.syscall(word, nr, args);
  gate.pass();
  return real_seams.syscall(word, nr, args);
}

}  // namespace

TEST("each of thousands ends exactly once, whoever gives it up and however it ends meanwhile") {
  constexpr uint32_t kOps = kSanitized ? 1000 : 4000;
  constexpr uint32_t kBlocked = 64;  // ops wait for the pipe, all others in the queue behind them
  constexpr int kRounds = kSanitized ? 4 : 12;
  House house(64 << 20);
  Pipe pipe;
  char* path = house.text("/proc/self/stat");
  auto* nap = house.make<timespec>();
  *nap = {0, 30'000};
  auto* ids = house.make<acall_id>(kOps);
  Random random(7);
  uint64_t given_up = 0, natural = 0;
  {
    // The first wait of this thread sleeps, and so makes its eventfd.
    TestRing nothing(house, 1);
    const timespec moment{0, 1'000'000};
    acall::WaitLimits limits;
    limits.timeout = &moment;
    CHECK_EQ(acall::wait_for_ring(*nothing.record, 0, 1, limits), 0);
  }
  for (int round = 0; round < kRounds; ++round) {
    const auto descriptors = open_descriptors();
    TestRing ring(house, 2 * kOps);
    std::vector<acall_submission> entries;
    for (uint32_t i = 0; i < kOps; ++i) {
      acall_submission entry;
      switch (random.below(4)) {
        case 0:
          entry = i < kBlocked * 4 ? read_of(house, pipe) : call(kPool, SYS_getppid);
          break;
        case 1:
          entry = call(kPool, SYS_openat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), O_RDONLY | O_CLOEXEC});
          break;
        case 2:
          entry = call(kPool, SYS_nanosleep, {address_of(nap), 0});
          break;
        default:
          entry = call(kPool, SYS_getppid);
          break;
      }
      if (random.below(64) == 0) entry.flags = kOwn;
      entries.push_back(with_id(into_ring(entry, ring.memory, i + 1), &ids[i]));
    }
    std::vector<std::thread> threads;
    std::atomic<uint32_t> submitted{0};
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        // The parts overlap: two threads cancel the same op at the same time.
        const uint32_t begin = t == 2 ? kOps / 4 : static_cast<uint32_t>(t) * kOps / 2;
        until([&] { return submitted.load() >= begin + kOps / 2; });
        acall::cancel_unwanted(ids + begin, kOps / 2);
      });
    }
    for (uint32_t at = 0; at < kOps; at += 100) {
      if (house.submit(entries.data() + at, 100) != 100) abort();
      submitted.store(at + 100);
    }
    for (auto& thread : threads) thread.join();
    acall::cancel_unwanted(ids, kOps);  // the ops are complete or cancelled: nothing more happens
    std::vector<uint32_t> seen(kOps + 1);
    ring.wait(kOps);
    std::vector<acall_completion> results(2 * kOps);
    const uint32_t count = ring.drain(results.data(), 2 * kOps);
    CHECK_EQ(count, kOps);
    for (uint32_t i = 0; i < count; ++i) {
      ++seen[results[i].cookie];
      const auto result = static_cast<int64_t>(results[i].return_code);
      if (result == -ECANCELED || result == -EINTR) {
        ++given_up;
      } else {
        ++natural;
        if (entries[results[i].cookie - 1].nr == SYS_openat && result >= 0) close(static_cast<int>(result));
        CHECK(result >= 0);
      }
    }
    uint32_t wrong = 0;
    for (uint32_t i = 1; i <= kOps; ++i) wrong += seen[i] != 1;
    CHECK_EQ(wrong, 0u);
    until([] { return counters().running == 0 && counters().queued == 0; });
    // Descriptors that nobody wants are closed after the completion.
    for (const uint64_t patience = now_ns() + 20'000'000'000;
         open_descriptors() != descriptors && now_ns() < patience;) {
      sched_yield();
    }
    CHECK_EQ(open_descriptors(), descriptors);
  }
  CHECK(given_up > 0);
  CHECK(natural > 0);
}

TEST("no call of an op begins after it was given up, however many there are") {
  constexpr uint32_t kOps = 200;
  House house(8 << 20);
  Pipe pipe;
  WithSeams seams;
  acall::seams.syscall = held_before_the_stub;
  auto* ids = house.make<acall_id>(kOps);
  TestRing ring(house, kOps);
  for (uint32_t i = 0; i < kOps; ++i) {
    auto entry = call(kOwn, SYS_write, {static_cast<uint64_t>(pipe.write_end), address_of(house.text("x")), 1});
    if (house.submit(with_id(into_ring(entry, ring.memory, i + 1), &ids[i])) != 1) abort();
  }
  until([] { return gate.inside() == kOps; });
  acall::cancel_unwanted(ids, kOps);
  gate.open(kOps);
  ring.wait(kOps);
  std::vector<acall_completion> results(kOps);
  CHECK_EQ(ring.drain(results.data(), kOps), kOps);
  for (const auto& one : results) CHECK_EQ(static_cast<int64_t>(one.return_code), -ECANCELED);
  fcntl(pipe.read_end, F_SETFL, O_NONBLOCK);
  char byte;
  CHECK_EQ(read(pipe.read_end, &byte, 1), -1);
  until([] { return counters().running == 0; });
}

TEST("what is queued when it is given up never starts, and is complete soon although its queue does not move") {
  constexpr uint32_t kOps = 5000;
  House house(16 << 20);
  Pipe pipe;
  WithSeams seams;
  acall::seams.start_thread = [](size_t stack, void* (*entry)(void*), void* argument) {
    return stack > 100'000 ? real_seams.start_thread(stack, entry, argument) : EAGAIN;  // the supervisor, the pool
  };
  auto* ids = house.make<acall_id>(kOps);
  TestRing ring(house, kOps);
  // No own thread can be had, but the supervisor lives: the ops wait in order.
  acall_id* first = house.make<acall_id>();
  house.submit(with_id(read_of(house, pipe), first));
  for (uint32_t i = 0; i < kOps; ++i) {
    auto entry = call(kOwn, SYS_write, {static_cast<uint64_t>(pipe.write_end), address_of(house.text("x")), 1});
    if (house.submit(with_id(into_ring(entry, ring.memory, i + 1), &ids[i])) != 1) abort();
  }
  acall::cancel_unwanted(ids, kOps);
  ring.wait(kOps);
  CHECK_EQ(ring.head(), kOps);
  CHECK(!is_complete(*first));
  pipe.write_bytes();
  wait_for(*first);
}

TEST("what an op costs does not depend on how many others are stuck or being given up") {
  if (kSanitized) return SKIP("times mean nothing under a sanitizer");
  House house(64 << 20);
  Pipe pipe;
  auto* id = house.make<acall_id>();
  auto entry = with_id(read_of(house, pipe), id);
  // The least time of many: submit and cancel of one op in a queue that does not move.
  auto cost_ns = [&] {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 3000; ++i) {
      const uint64_t begun = now_ns();
      house.submit(entry);
      acall::cancel_unwanted(id, 1);
      const uint64_t took = now_ns() - begun;
      if (took < least) least = took;
    }
    return least;
  };
  std::vector<acall_id*> neighbours;
  auto add = [&](uint32_t count) {
    while (neighbours.size() < count) {
      neighbours.push_back(house.make<acall_id>());
      if (house.submit(with_id(read_of(house, pipe), neighbours.back())) != 1) abort();
    }
  };
  add(1100);  // more ops than the pool has threads: further ones wait in the queue
  until([] { return counters().pool_threads >= 1024 && counters().queued >= 76; });
  const uint64_t few = cost_ns();
  add(60'000);
  const uint64_t many = cost_ns();
  // A cancel that read all other ops would cost fifty times as much.
  if (!CHECK(many < few * 8)) fprintf(stderr, "%lu ns beside 1,100, %lu ns beside 60,000\n", few, many);
  std::vector<acall_id> all;
  for (acall_id* one : neighbours) all.push_back(*one);
  acall::cancel_unwanted(all.data(), static_cast<uint32_t>(all.size()));
  for (acall_id* one : neighbours) wait_for(*one);
  until([] { return counters().running == 0; });
}
