// Ops that the event loop does not wait for any more.
#include <sys/syscall.h>

#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

TEST("an op that is let go keeps its loop no longer, and is counted once whenever it completes") {
  House house;
  constexpr int kOps = 200;
  std::vector<std::unique_ptr<Pipe>> pipes;
  auto* ids = house.make<acall_id>(kOps);
  for (int i = 0; i < kOps; ++i) {
    pipes.push_back(std::make_unique<Pipe>());
    acall_submission entry =
        call(kPool, SYS_read, {static_cast<uint64_t>(pipes.back()->read_end), address_of(house.alloc(16)), 1});
    house.submit(with_id(entry, &ids[i]));
  }
  auto kept = [&] { return house.environment->keeping_alive.load(); };
  CHECK_EQ(kept(), uint32_t{kOps});
  // While they complete, each is let go twice.
  std::thread writer([&] {
    for (auto& pipe : pipes) pipe->write_bytes();
  });
  for (int i = 2 * kOps - 1; i >= 0; --i) acall::engine_let_go(ids[i / 2]);
  CHECK_EQ(kept(), 0u);
  writer.join();
  for (int i = 0; i < kOps; ++i) wait_for(ids[i]);
  until([&] { return acall::engine_counters().running == 0; });
  CHECK_EQ(kept(), 0u);
  // The last one that is let go rings: the loop looks whether it may end.
  Pipe pipe;
  house.submit(
      with_id(call(kPool, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(house.alloc(16)), 1}), ids));
  acall::environment_turn(*house.environment);
  const int bells = house.bells;
  acall::engine_let_go(*ids);
  CHECK_EQ(house.bells.load(), bells + 1);
  pipe.write_bytes();
  wait_for(*ids);
}
