// Each allocation fails once: the answer is -EAGAIN or a delay, never a lost op, a leak or an abort.
#include <sys/syscall.h>
#include <sys/uio.h>

#include <map>
#include <memory>
#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

// Negative: every allocation succeeds. Else so many succeed and the next one fails; with `and_all_after` all later ones
// too.
std::atomic<int64_t> left{-1};
std::atomic<bool> and_all_after{false};
std::atomic<uint64_t> failures{0};

void* scarce(size_t bytes) {
  int64_t now = left.load();
  while (now >= 0 && !left.compare_exchange_weak(now, now == 0 && and_all_after ? 0 : now - 1)) {
  }
  if (now == 0) {
    failures.fetch_add(1);
    return nullptr;
  }
  return malloc(bytes);
}

void allow(int64_t count, bool then_none) {
  and_all_after = then_none;
  left = count;
}
void allow_all() { left = -1; }

void wait_until_over(House& house) {
  until([&] { return house.environment->references.load(std::memory_order_acquire) == 1; });
}

// Submissions with everything that allocates: new rings, vectors over many arenas, copies, ids; in the pool and on own
// threads.
struct Scene {
  House house{1 << 20};
  std::vector<acall::Arena*> arenas;
  Pipe pipe;
  iovec* vector;
  char* bytes;

  Scene() {
    bytes = static_cast<char*>(house.alloc(4096));
    vector = house.make<iovec>(32);
    for (int i = 0; i < 32; ++i) {
      // Arenas inside the arena would be found before it, so the tests' other memory lies below them.
      char* piece = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      mprotect(piece + 4096, 4096, PROT_NONE);
      arenas.push_back(acall::arena_add(*house.environment, reinterpret_cast<uintptr_t>(piece), 4096, nullptr));
      vector[i] = {piece, 1};
    }
  }
  ~Scene() {
    wait_until_over(house);
    acall::environment_turn(*house.environment);
    for (size_t i = 0; i < arenas.size(); ++i) {
      void* piece = reinterpret_cast<void*>(arenas[i]->begin);
      acall::arena_drop(arenas[i]);
      munmap(piece, 8192);
    }
  }

  // Submits all of them, one by one where memory is short, and checks that each accepted op completes exactly once.
  void run() {
    const uint32_t count = 24;
    std::vector<acall_completion_ring*> rings;
    std::vector<acall_submission> entries;
    auto* ids = house.make<acall_id>(count);
    for (uint32_t i = 0; i < count; ++i) {
      acall_submission entry;
      switch (i % 4) {
        case 0:
          entry = call(kPool, SYS_getppid);
          break;
        case 1:
          entry = call(kPool, SYS_writev, {static_cast<uint64_t>(pipe.write_end), address_of(vector), 32});
          break;
        case 2:
          entry = call(kOwn, SYS_getppid);
          break;
        default:
          entry = call(kPool, SYS_writev, {static_cast<uint64_t>(pipe.write_end), address_of(vector), 2});
          break;
      }
      rings.push_back(house.ring(2));
      entries.push_back(with_id(into_ring(entry, rings.back(), i + 1), &ids[i]));
    }
    acall::SubmitError error;
    int64_t accepted = house.submit(entries.data(), count, &error);
    if (accepted < static_cast<int64_t>(count)) CHECK_EQ(error.error, -EAGAIN);
    if (accepted < 0) CHECK_EQ(accepted, -EAGAIN);
    const uint32_t sure = accepted < 0 ? 0 : static_cast<uint32_t>(accepted);
    for (uint32_t i = sure; i < count; ++i) CHECK_EQ(rings[i]->head, 0u);
    allow_all();  // from here on threads can be had
    for (uint32_t i = 0; i < sure; ++i) {
      wait_for(ids[i]);
      CHECK_EQ(rings[i]->head, 1u);
      CHECK_EQ(rings[i]->comps[0].cookie, i + 1);
      const int64_t expected = i % 4 == 1 ? 32 : i % 4 == 3 ? 2 : getppid();
      CHECK_EQ(static_cast<int64_t>(rings[i]->comps[0].return_code), expected);
    }
    // Refused ops have left nothing behind.
    wait_until_over(house);
    CHECK_EQ(house.arena->pins.load(), 0u);
    for (acall::Arena* arena : arenas) CHECK_EQ(arena->pins.load(), 0u);
    CHECK_EQ(house.environment->keeping_alive.load(), 0u);
    acall::environment_turn(*house.environment);
    CHECK_EQ(house.holds.load(), 0);
    char drained[4096];
    fcntl(pipe.read_end, F_SETFL, O_NONBLOCK);
    while (read(pipe.read_end, drained, sizeof drained) > 0) {
    }
  }
};

}  // namespace

TEST("the n-th allocation fails on the way of a submission") {
  WithSeams seams;
  acall::seams.allocate = scarce;
  for (bool then_none : {false, true}) {
    failures = 0;
    for (int64_t n = 0; n < 120; ++n) {
      auto scene = std::make_unique<Scene>();
      allow(n, then_none);
      scene->run();
      allow_all();
    }
    CHECK(failures > 10);
  }
}

TEST("environments, arenas, objects and watches that cannot be had say so") {
  WithSeams seams;
  acall::seams.allocate = scarce;
  House house;
  acall_completion_ring* ring = house.ring(4);
  allow(0, true);
  CHECK(acall::environment_attach({}) == nullptr);
  CHECK(acall::arena_add(*house.environment, 4096, 4096, nullptr) == nullptr);
  for (int64_t n = 0; n < 4; ++n) {
    allow(n, true);
    acall::Arena* arena = acall::arena_register(*house.environment, 4096, 4096, true, &house);
    if (arena != nullptr) CHECK(acall::arena_drop(arena) == &house);
    CHECK_EQ(house.environment->arena_count, 1u);  // the house's own
    allow(0, true);
    CHECK(acall::ring_make_core_owned(8) == nullptr);
  }
  acall::Ring* record = nullptr;
  CHECK_EQ(acall::ring_acquire(address_of(ring), 4, 100000, acall::RingUse::kOps, &record), -EAGAIN);
  allow_all();
  CHECK_EQ(acall::ring_acquire(address_of(ring), 4, 0, acall::RingUse::kObject, &record), 0);
  allow(0, true);
  CHECK(!acall::ring_watch(*record, *house.environment, 1));
  CHECK(!acall::ring_expect(*record, 100000));
  acall_completion some[3] = {{1, 1}, {2, 2}, {3, 3}};
  CHECK(!acall::ring_return(*record, some, 3));
  allow_all();
  acall::ring_release_object(*record);
}

TEST("a wait without memory returns -EAGAIN and a completed id 1") {
  WithSeams seams;
  acall::seams.allocate = scarce;
  House house;
  Pipe pipe;
  Ticket blocked(house), done(house);
  blocked.submit(house, call(kPool, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(house.alloc(16)), 1}));
  done.submit(house, call(kPool, SYS_getppid));
  done.wait();
  allow(0, true);
  CHECK_EQ(wait_for(*blocked.id), -EAGAIN);
  CHECK_EQ(wait_for(*done.id), 1);
  allow_all();
  pipe.write_bytes();
  CHECK_EQ(blocked.wait(), 1);
}

TEST("promise calls and work without memory are refused and release their blocks") {
  WithSeams seams;
  acall::seams.allocate = scarce;
  acall::Ring* ring = acall::ring_make_core_owned(8);
  acall::EnvironmentHooks hooks;
  acall::Environment* environment = acall::environment_attach(hooks, ring);
  for (int64_t n = 0; n < 8; ++n) {
    acall::Block* block = acall::block_make(64);
    memset(block->data(), 0, 64);
    acall::block_reference(*block);  // ours
    acall::Segment segment{block->address(), block->address() + 64};
    acall::PromiseCall call;
    call.nr = SYS_clock_gettime;
    call.flags = kPool;
    call.cookie = 1;
    call.args[0] = CLOCK_MONOTONIC;
    call.args[1] = block->address();
    call.segments = &segment;
    call.segment_count = 1;
    call.block = block;
    acall_id id{};
    allow(n, true);
    int error = acall::engine_submit_call(*environment, *ring, call, &id);
    allow_all();
    CHECK(error == 0 || error == -EAGAIN);
    if (error == 0) wait_for(id);
    until([&] { return environment->references.load(std::memory_order_acquire) == 1; });
    CHECK_EQ(block->references.load(), 1u);
    acall::block_release(block);
    acall_completion some[8];
    CHECK_EQ(acall::ring_drain(*ring, some, 8), error == 0 ? 1u : 0u);
  }
  acall::environment_detach(environment, false);
}

TEST("a heap hands out no byte twice, honours alignment, and joins what is given back") {
  constexpr uint64_t kBegin = 0x7f0000000950;
  constexpr uint64_t kBytes = 1 << 16;
  acall::ArenaHeap* heap = acall::arena_heap_open(kBegin, kBytes, true);
  CHECK(acall::arena_heap_open(kBegin, kBytes, false) == heap);
  Random random(7);
  std::map<uint64_t, uint64_t> taken;  // offset to length
  for (int round = 0; round < 20'000; ++round) {
    if (random.below(5) < 3) {
      const uint64_t length = 1 + random.below(400);
      const uint64_t align = uint64_t{1} << random.below(13);
      const int64_t at = heap->take(length, align, kBytes);
      if (at < 0) {
        CHECK_EQ(at, -ENOSPC);
        continue;
      }
      const auto offset = static_cast<uint64_t>(at);
      CHECK_EQ((kBegin + offset) % align, 0u);
      CHECK(offset + length <= kBytes);
      auto after = taken.lower_bound(offset);
      CHECK(after == taken.end() || offset + length <= after->first);
      if (after != taken.begin()) {
        --after;
        CHECK(after->first + after->second <= offset);
      }
      taken[offset] = length;
    } else if (!taken.empty()) {
      auto it = taken.lower_bound(random.below(kBytes));
      if (it == taken.end()) it = taken.begin();
      CHECK(heap->give_back(it->first));
      CHECK(!heap->give_back(it->first));
      taken.erase(it);
    }
  }
  for (const auto& [offset, length] : taken) CHECK(heap->give_back(offset));
  CHECK_EQ(heap->take(kBytes, 1, kBytes), 0);
  CHECK_EQ(heap->take(1, 1, kBytes), -ENOSPC);
  // The memory has grown: only an arena over the longer one gets the new bytes.
  CHECK(acall::arena_heap_open(kBegin, 2 * kBytes, false) == heap);
  CHECK_EQ(heap->take(1, 1, kBytes), -ENOSPC);
  CHECK_EQ(heap->take(kBytes, 1, 2 * kBytes), static_cast<int64_t>(kBytes));
  // In new memory at the same address nothing is taken.
  acall::ArenaHeap* fresh = acall::arena_heap_open(kBegin, kBytes, true);
  CHECK(fresh != heap);
  CHECK_EQ(fresh->take(kBytes, 1, kBytes), 0);
  for (int i = 0; i < 3; ++i) acall::arena_heap_close(heap);
  CHECK(acall::arena_heap_open(kBegin, kBytes, false) == fresh);
  acall::arena_heap_close(fresh);
  acall::arena_heap_close(fresh);
}

TEST("a heap without memory for its books says so and stays whole") {
  WithSeams seams;
  acall::ArenaHeap* heap = acall::arena_heap_open(0x1000, 1 << 20, true);
  static std::atomic<int> more;
  more = 0;
  acall::seams.allocate = [](size_t bytes) -> void* { return more-- > 0 ? malloc(bytes) : nullptr; };
  uint64_t got = 0;
  int64_t at;
  while ((at = heap->take(16, 16, 1 << 20)) >= 0) ++got;
  CHECK_EQ(at, -EAGAIN);
  CHECK(acall::arena_heap_open(0x2000, 4096, true) == nullptr);
  more = 1000;
  while (heap->take(16, 16, 1 << 20) >= 0) ++got;
  CHECK_EQ(got, uint64_t{(1 << 20) / 16});
  acall::arena_heap_close(heap);
}
