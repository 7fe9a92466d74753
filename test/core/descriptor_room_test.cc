// Ops that wait for a descriptor of the process. Tokens stand for descriptors: an op that finds none waits.
#include "threads/descriptor_room.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"
#include "threads/pool_thread.h"

using namespace support;

namespace {

bool take(std::atomic<int>& tokens) {
  int left = tokens;
  while (left > 0) {
    if (tokens.compare_exchange_weak(left, left - 1)) return true;
  }
  return false;
}

}  // namespace

TEST("an op waits for its turn as long as others close descriptors, and gives up when nobody does") {
  constexpr int kWaiters = 14;
  acall::DescriptorRoom& room = acall::descriptor_room();
  std::atomic<int> tokens{0}, served{0}, refused{0}, waiting{0};
  std::atomic<bool> over{false};
  room.enter();  // an op that has all descriptors, closes one now and then, and goes on
  std::vector<std::thread> threads;
  threads.reserve(kWaiters + 1);
  const auto wait_for_one = [&] {
    acall::PoolThread self;
    room.enter();
    waiting.fetch_add(1);
    for (;;) {
      const uint64_t seen = room.releases();
      if (take(tokens)) {
        served.fetch_add(1);
        break;
      }
      if (!room.wait(self, seen)) {
        refused.fetch_add(1);
        break;
      }
    }
    until([&] { return over.load(); });
    room.leave();
  };
  for (int i = 0; i < kWaiters; ++i) threads.emplace_back(wait_for_one);
  until([&] { return waiting == kWaiters; });
  // The last one waits for two seconds, which is twice what an op waits while nothing happens.
  for (int i = 0; i < kWaiters; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    tokens.fetch_add(1);
    until([&] {
      room.released();
      return tokens == 0 || refused > 0;
    });
  }
  CHECK_EQ(refused.load(), 0);
  CHECK_EQ(served.load(), kWaiters);
  threads.emplace_back(wait_for_one);
  until([&] { return refused >= 1; });
  over = true;
  for (std::thread& thread : threads) thread.join();
  room.leave();
}
