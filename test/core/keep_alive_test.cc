// Ops that no longer keep the event loop alive.
#include <sys/syscall.h>

#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"
#include "threads/cancel.h"

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
  // engine_let_go() is called twice for each op while they complete.
  std::thread writer([&] {
    for (auto& pipe : pipes) pipe->write_bytes();
  });
  for (int i = 2 * kOps - 1; i >= 0; --i) acall::environment_let_go(ids[i / 2]);
  CHECK_EQ(kept(), 0u);
  writer.join();
  for (int i = 0; i < kOps; ++i) wait_for(ids[i]);
  until([&] { return acall::engine_counters().running == 0; });
  CHECK_EQ(kept(), 0u);
  // The last one rings the bell, so that the loop checks whether it may end.
  Pipe pipe;
  house.submit(
      with_id(call(kPool, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(house.alloc(16)), 1}), ids));
  acall::environment_turn(*house.environment);
  const int bells = house.bells;
  acall::environment_let_go(*ids);
  CHECK_EQ(house.bells.load(), bells + 1);
  pipe.write_bytes();
  wait_for(*ids);
}

TEST("a client is awaited from the submission of an op until its result has been drained") {
  acall::engine_start();
  acall::Environment* environment = acall::environment_attach({}, acall::ring_make_core_owned(8));
  CHECK(!acall::environment_may_be_awaited(*environment));
  CHECK(!acall::environment_is_awaited(*environment));
  Pipe pipe;
  acall::Block* block = acall::block_make(16);
  const acall::Segment segment{block->address(), block->address() + 16};
  acall::PromiseCall call;
  call.nr = SYS_read;
  call.flags = kPool;
  call.cookie = 1;
  call.args[0] = static_cast<uint64_t>(pipe.read_end);
  call.args[1] = block->address();
  call.args[2] = 1;
  call.segments = &segment;
  call.segment_count = 1;
  call.block = block;
  acall_id id{};
  CHECK_EQ(acall::engine_submit_call(*environment, *environment->promise_ring, call, &id), 0);
  CHECK(acall::environment_may_be_awaited(*environment));
  CHECK(acall::environment_is_awaited(*environment));
  CHECK(acall::environment_is_kept_anew(*environment));
  CHECK(!acall::environment_is_kept_anew(*environment));
  CHECK(acall::environment_keeps_loop(*environment));
  pipe.write_bytes();
  until([&] { return environment->references.load(std::memory_order_acquire) == 1; });
  CHECK(acall::environment_keeps_loop(*environment));  // its bell is pending
  acall::environment_turn(*environment);
  CHECK(!acall::environment_keeps_loop(*environment));
  CHECK(acall::environment_is_awaited(*environment));  // its result has not been drained
  acall_completion result;
  CHECK_EQ(acall::ring_drain(*environment->promise_ring, &result, 1), 1u);
  CHECK(!acall::environment_is_awaited(*environment));
  acall::environment_hold_loop(*environment, true);
  CHECK(acall::environment_is_kept_anew(*environment) && acall::environment_keeps_loop(*environment));
  acall::environment_hold_loop(*environment, false);
  CHECK(!acall::environment_keeps_loop(*environment));
  acall::environment_detach(environment, false);
}
