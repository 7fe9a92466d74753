// A hundred thousand cancels of calls that end by themselves at the same time: each is completed or cancelled, never
// both, never neither; no byte and no descriptor is lost; no op sees the cancel of another.
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "descriptors.h"
#include "support.h"

using namespace support;

namespace {

constexpr uint32_t kRounds = kThreadSanitizer ? 300 : kAddressSanitizer ? 800 : 2500;
constexpr uint32_t kBatch = 40;  // 100,000 ops

enum Kind { kRead, kOpen, kSleep, kFutex, kEvent, kPipe2, kQuick, kKinds };

struct One {
  Kind kind;
  bool feed;  // the test lets the call succeed
  bool cancel;
  int cancel_answer = 1;
  acall_id* id;
  uint32_t* word;  // futex
  int* pair;       // pipe2
};

void spin(uint32_t turns) {
  for (uint32_t i = 0; i < turns; ++i) asm volatile("");
}

bool is_natural(const One& one, int64_t result) {
  switch (one.kind) {
    case kRead:
      return result == 1;
    case kOpen:
      return result >= 0;
    case kSleep:
    case kPipe2:
      return result == 0;
    case kFutex:
      return result == 0 || result == -EAGAIN;
    case kEvent:
      return result == 8;
    default:
      return result == getppid();
  }
}

}  // namespace

TEST("completed or cancelled, never both, never neither, in the pool and on own threads") {
  House house(8 << 20);
  TestRing ring(house, 2 * kBatch);
  std::vector<std::unique_ptr<Pipe>> pipes;
  std::vector<int> events;
  for (uint32_t i = 0; i < kBatch; ++i) {
    pipes.push_back(std::make_unique<Pipe>());
    events.push_back(eventfd(0, EFD_CLOEXEC));
  }
  auto* ids = house.make<acall_id>(kBatch);
  auto* words = house.make<uint32_t>(kBatch);
  auto* pairs = house.make<int>(2 * kBatch);
  auto* buffer = static_cast<char*>(house.alloc(64 * kBatch));
  auto* nap = house.make<timespec>();
  *nap = {0, 60'000};
  char* path = house.text("/proc/self/stat");
  Random random(2026);
  uint64_t wrong = 0, missing = 0, twice = 0, interrupted = 0, refused = 0, natural = 0;
  for (uint32_t round = 0; round < kRounds; ++round) {
    const bool counted = round % 100 == 50;  // all threads that wait have their eventfds by then
    const uint32_t descriptors = counted ? open_descriptors() : 0;
    std::vector<One> ones(kBatch);
    std::vector<acall_submission> entries;
    for (uint32_t i = 0; i < kBatch; ++i) {
      One& one = ones[i];
      one.kind = static_cast<Kind>(random.below(kKinds));
      one.cancel = random.below(3) != 0;
      one.feed = !one.cancel || random.below(3) != 0;
      one.id = &ids[i];
      one.word = &words[i];
      one.pair = &pairs[2 * i];
      *one.word = 0;
      one.pair[0] = one.pair[1] = -1;
      acall_submission entry;
      switch (one.kind) {
        case kRead:
          entry = call(kPool, SYS_read, {static_cast<uint64_t>(pipes[i]->read_end), address_of(buffer + 64 * i), 1});
          break;
        case kOpen:
          entry = call(kPool, SYS_openat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), O_RDONLY | O_CLOEXEC});
          break;
        case kSleep:
          entry = call(kPool, SYS_nanosleep, {address_of(nap), 0});
          break;
        case kFutex:
          entry = call(kPool, SYS_futex, {address_of(one.word), FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, 0});
          break;
        case kEvent:
          entry = call(kPool, SYS_read, {static_cast<uint64_t>(events[i]), address_of(buffer + 64 * i), 8});
          break;
        case kPipe2:
          entry = call(kPool, SYS_pipe2, {address_of(one.pair), O_CLOEXEC});
          break;
        default:
          entry = call(kPool, SYS_getppid);
          break;
      }
      if (random.below(16) == 0) entry.flags = kOwn;
      entries.push_back(with_id(into_ring(entry, ring.memory, i + 1), one.id));
    }
    if (house.submit(entries.data(), kBatch) != kBatch) abort();
    const uint64_t seed = random.next();
    std::thread canceller([&] {
      Random own(seed);
      if (own.below(4)) spin(own.below(own.below(2) ? 300'000 : 6'000'000));
      for (One& one : ones) {
        if (!one.cancel) continue;
        spin(own.below(own.below(8) ? 400 : 20000));
        one.cancel_answer = acall::engine_cancel(*one.id);
      }
    });
    for (uint32_t i = 0; i < kBatch; ++i) {
      One& one = ones[i];
      if (!one.feed) continue;
      spin(random.below(random.below(8) ? 400 : 20000));
      const uint64_t eight = 1;
      if (one.kind == kRead) pipes[i]->write_bytes();
      if (one.kind == kEvent && write(events[i], &eight, 8) != 8) abort();
      if (one.kind == kFutex) {
        std::atomic_ref<uint32_t>(*one.word).store(1);
        syscall(SYS_futex, one.word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
      }
    }
    canceller.join();
    acall_completion all[2 * kBatch];
    uint32_t got = 0;
    while (got < kBatch) {
      if (ring.wait(1, ring.head() - static_cast<uint32_t>(acall::ring_available(*ring.record))) == 0) continue;
      got += ring.drain(all + got, 2 * kBatch - got);
    }
    std::vector<int64_t> results(kBatch, INT64_MIN);
    for (uint32_t i = 0; i < got; ++i) {
      int64_t& result = results[all[i].cookie - 1];
      if (result != INT64_MIN) ++twice;
      result = static_cast<int64_t>(all[i].return_code);
    }
    for (uint32_t i = 0; i < kBatch; ++i) {
      One& one = ones[i];
      const int64_t result = results[i];
      if (result == INT64_MIN) ++missing;
      const bool happened = is_natural(one, result);
      natural += happened;
      interrupted += result == -EINTR;
      refused += result == -ECANCELED;
      const bool allowed = happened || (one.cancel_answer == 0 && (result == -EINTR || result == -ECANCELED));
      if (!allowed && ++wrong < 10)
        std::fprintf(stderr, "kind %d, answer %d, result %ld\n", one.kind, one.cancel_answer, result);
      // The result must say what has happened.
      if (one.kind == kRead) {
        int left = 0;
        ioctl(pipes[i]->read_end, FIONREAD, &left);
        if (left != (one.feed ? 1 : 0) - (happened ? 1 : 0)) ++wrong;
        char byte;
        if (left == 1 && read(pipes[i]->read_end, &byte, 1) != 1) abort();
      }
      if (one.kind == kEvent && one.feed && !happened) {
        uint64_t value;
        if (read(events[i], &value, 8) != 8) abort();
      }
      if (one.kind == kOpen && happened) close(static_cast<int>(result));
      if (one.kind == kPipe2) {
        if (happened != (one.pair[0] >= 0)) ++wrong;
        if (happened) {
          close(one.pair[0]);
          close(one.pair[1]);
        }
      }
    }
    if (!counted) continue;
    uint32_t now = open_descriptors();
    for (int i = 0; i < 10000 && now != descriptors; ++i) now = open_descriptors();  // the supervisor may read /proc
    CHECK_EQ(now, descriptors);
  }
  for (int fd : events) close(fd);
  CHECK_EQ(wrong, 0u);
  CHECK_EQ(missing, 0u);
  CHECK_EQ(twice, 0u);
  std::printf("(%lu natural, %lu interrupted, %lu not begun) ", natural, interrupted, refused);
  CHECK(natural > 0 && interrupted > 0 && refused > 0);
}

TEST("the op after a cancelled one on the same thread never sees its signal") {
  House house(256 << 20);
  std::atomic<uint64_t> strangers{0};
  // Other ops block in calls that any signal would end, one after the other, on threads whose ops were cancelled just
  // before.
  auto* nap = house.make<timespec>();
  *nap = {0, 20'000};
  for (uint32_t round = 0; round < kRounds * 4; ++round) {
    Pipe pipe;
    acall_id* ids = house.make<acall_id>(8);
    acall_completion* slots = house.make<acall_completion>(8);
    for (int i = 0; i < 8; ++i) {
      acall_submission entry =
          i % 2 ? call(kPool, SYS_nanosleep, {address_of(nap), 0})
                : call(kPool, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(house.alloc(16)), 1});
      house.submit(with_id(into_slot(entry, &slots[i], 1), &ids[i]));
    }
    for (int i = 0; i < 8; i += 2) acall::engine_cancel(ids[i]);
    for (int i = 0; i < 8; ++i) {
      wait_for(ids[i]);
      if (i % 2 && result_of(slots[i]) != 0) strangers++;
    }
  }
  CHECK_EQ(strangers.load(), 0u);
}

TEST("everybody cancels everything, also what is long over, and ids never reach a stranger") {
  House house(16 << 20);
  constexpr uint32_t kIds = 256;
  auto* shared = house.make<acall_id>(kIds);
  auto* real = house.make<acall_id>(kIds);
  std::atomic<bool> stop{false};
  std::vector<std::thread> cancellers;
  for (int t = 0; t < 2; ++t) {
    cancellers.emplace_back([&, t] {
      Random random(static_cast<uint64_t>(t) + 1);
      while (!stop) {
        acall_id& from = shared[random.below(kIds / 2)];  // the first half may be cancelled
        acall_id id;
        id.opaque[0] = std::atomic_ref<uint64_t>(from.opaque[0]).load(std::memory_order_relaxed);
        id.opaque[1] = std::atomic_ref<uint64_t>(from.opaque[1]).load(std::memory_order_relaxed);
        int answer = acall::engine_cancel(id);
        if (answer != 0 && answer != -EALREADY && answer != -ENOENT) CHECK_EQ(answer, 0);
      }
    });
  }
  auto* slots = house.make<acall_completion>(kIds);
  uint64_t disturbed = 0;
  for (uint32_t round = 0; round < kRounds / 4; ++round) {
    for (uint32_t i = 0; i < kIds; ++i) {
      std::atomic_ref<uint64_t>(slots[i].cookie).store(0);
      house.submit(with_id(into_slot(call(kPool, SYS_getppid), &slots[i], 1), &real[i]));
      std::atomic_ref<uint64_t>(shared[i].opaque[0]).store(real[i].opaque[0], std::memory_order_relaxed);
      std::atomic_ref<uint64_t>(shared[i].opaque[1]).store(real[i].opaque[1], std::memory_order_relaxed);
    }
    for (uint32_t i = 0; i < kIds; ++i) {
      wait_for(real[i]);
      int64_t result = result_of(slots[i]);
      if (i >= kIds / 2 && result != getppid()) ++disturbed;
      if (result != getppid() && result != -ECANCELED && result != -EINTR) ++disturbed;
    }
  }
  stop = true;
  for (auto& canceller : cancellers) canceller.join();
  CHECK_EQ(disturbed, 0u);
}
