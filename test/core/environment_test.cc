// Environments and their memory: which arenas are held and for how long, how an environment ends while its ops are
// queued, running or blocked, and which arenas become heirs.
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

Gate gate;
std::atomic<uint64_t> returned{0};
std::atomic<int64_t> last_result{0};

// Waits at the gate, ignores cancels, and then makes the call, as the kernel does in a state that no signal ends.
int64_t stubborn(acall::CancelWord&, uint32_t nr, const uint64_t args[6]) {
  gate.pass();
  long result = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
  last_result = result < 0 ? -errno : result;
  returned.fetch_add(1);
  return last_result;
}

class Stubborn {
 public:
  Stubborn() { acall::seams.syscall = stubborn; }

 private:
  WithSeams seams_;
};

uint64_t fd_arg(int fd) { return static_cast<uint64_t>(fd); }

// An environment over memory that the test owns, with hooks that count their calls.
struct Room {
  acall::Environment* environment;
  std::atomic<int> bells{0}, holds{0};
  std::set<uintptr_t> freed;
  std::set<uintptr_t> collected;  // holders whose bytes the collector has taken
  acall::Ring* promises = nullptr;

  Room() {
    acall::engine_start();
    acall::EnvironmentHooks hooks;
    hooks.context = this;
    hooks.ring_bell = [](void* self) { static_cast<Room*>(self)->bells.fetch_add(1); };
    hooks.hold_arena = [](void* self, void* holder, bool hold) {
      Room& room = *static_cast<Room*>(self);
      if (hold && room.collected.count(reinterpret_cast<uintptr_t>(holder))) return false;
      room.holds.fetch_add(hold ? 1 : -1);
      return true;
    };
    hooks.free_holder = [](void* self, void* holder) {
      static_cast<Room*>(self)->freed.insert(reinterpret_cast<uintptr_t>(holder));
    };
    promises = acall::ring_make_core_owned(64);
    environment = acall::environment_attach(hooks, promises);
  }
  ~Room() {
    if (environment != nullptr) detach();
  }
  void detach(bool process_end = false) {
    acall::environment_detach(environment, process_end);
    environment = nullptr;
  }
  acall::Arena* add(void* memory, size_t bytes, uintptr_t holder) {
    return acall::arena_add(*environment, reinterpret_cast<uintptr_t>(memory), bytes, reinterpret_cast<void*>(holder));
  }
  int64_t submit(const acall_submission& submission) {
    acall::SubmitError error;
    return acall::engine_submit(*environment, &submission, 1, &error);
  }
  void wait_until_over() {
    until([&] { return environment->references.load(std::memory_order_acquire) == 1; });
  }
  void turn() { acall::environment_turn(*environment); }
};

struct Pages {
  unsigned char* bytes;
  size_t size;
  explicit Pages(size_t count = 4096) : size(count) {
    bytes = static_cast<unsigned char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  }
  ~Pages() { munmap(bytes, size); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  template <typename T>
  T* at(size_t offset) {
    return reinterpret_cast<T*>(bytes + offset);
  }
  acall_submission slot_call(acall_submission submission, size_t offset) {
    return into_slot(submission, at<acall_completion>(offset), 1);
  }
};

// The clock of the core: real time and what a test adds to it; or stopped. It never runs back.
std::atomic<uint64_t> added_ns{0}, stopped_at_ns{0};
thread_local bool is_ending = false;
std::atomic<uint32_t> looks{0};  // at the clock, by threads that end an environment in detach_elsewhere()
std::atomic<bool> has_ended{false};

uint64_t test_clock() {
  const uint64_t stopped = stopped_at_ns;
  const uint64_t now = stopped != 0 ? stopped : now_ns() + added_ns;
  if (is_ending) looks.fetch_add(1);
  return now;
}

[[maybe_unused]] const auto installed = (acall::seams.now_ns = test_clock, 0);

// Detaches a room on a thread of its own, and returns when that thread goes on waiting with all of its patience spent,
// or has ended.
template <typename Ended>
std::thread detach_elsewhere(Room& room, Ended ended) {
  looks = 0;
  has_ended = false;
  std::thread ending([&room, ended] {
    acall::environment_begin_end(*room.environment);
    const uint64_t deadline_ns = acall::environment_end_deadline_ns(false);
    is_ending = true;
    acall::environment_end(std::exchange(room.environment, nullptr), false, deadline_ns);
    is_ending = false;
    ended();
    has_ended = true;
  });
  until([&] { return looks > 0 || has_ended; });
  added_ns += 100'000'000;  // twice as long as an end waits for what it may leave behind
  // One look may be under way, two find the deadline over, the next one is in the loop behind.
  const uint32_t seen = looks;
  until([&] { return looks >= seen + 4 || has_ended; });
  return ending;
}

// Whether the descriptor is still the one that a test has opened: the supervisor may use the number for a moment to
// read /proc.
bool is_open(int fd) {
  struct stat what;
  return fstat(fd, &what) == 0 && (S_ISCHR(what.st_mode) || S_ISFIFO(what.st_mode));
}

}  // namespace

TEST("memory is held while an op is in flight, and let go in the turn after") {
  Room room;
  Pages pages;
  Pipe pipe;
  acall::Arena* arena = room.add(pages.bytes, pages.size, 5);
  CHECK_EQ(room.holds.load(), 0);
  for (int round = 1; round <= 3; ++round) {
    CHECK_EQ(room.submit(call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1})), 1);
    CHECK_EQ(room.holds.load(), 1);
    room.turn();
    CHECK_EQ(room.holds.load(), 1);
    pipe.write_bytes();
    room.wait_until_over();
    CHECK_EQ(room.holds.load(), 1);
    CHECK(room.bells > 0);
    room.turn();
    CHECK_EQ(room.holds.load(), 0);
  }
  CHECK_EQ(reinterpret_cast<uintptr_t>(acall::arena_drop(arena)), 5u);
  CHECK_EQ(room.submit(call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1})), -EFAULT);
  CHECK(room.freed.empty());
}

TEST("memory that JavaScript drops while the kernel has it stays until the op is complete") {
  Room room;
  Pages pages;
  Pipe pipe;
  acall::Arena* arena = room.add(pages.bytes, pages.size, 7);
  CHECK_EQ(room.submit(pages.slot_call(call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1}), 64)),
           1);
  CHECK(acall::arena_drop(arena) == nullptr);
  room.turn();
  CHECK_EQ(room.holds.load(), 1);
  CHECK(room.freed.empty());
  pipe.write_bytes();
  room.wait_until_over();
  CHECK_EQ(result_of(*pages.at<acall_completion>(64)), 1);
  room.turn();
  CHECK_EQ(room.holds.load(), 0);
  CHECK_EQ(room.freed.count(7), 1u);
  CHECK_EQ(room.submit(call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1})), -EFAULT);
}

TEST("memory registered twice stays registered until both have dropped it") {
  Room room;
  Pages pages;
  acall::Arena* first = room.add(pages.bytes, pages.size, 1);
  acall::Arena* second = room.add(pages.bytes, pages.size, 2);
  const acall_submission entry = pages.slot_call(call(kPool, SYS_getppid), 0);
  auto run = [&] {
    int64_t accepted = room.submit(entry);
    room.wait_until_over();
    room.turn();
    return accepted;
  };
  CHECK_EQ(run(), 1);
  CHECK_EQ(reinterpret_cast<uintptr_t>(acall::arena_drop(second)), 2u);
  CHECK_EQ(run(), 1);
  CHECK_EQ(reinterpret_cast<uintptr_t>(acall::arena_drop(first)), 1u);
  CHECK_EQ(run(), -EFAULT);
  CHECK_EQ(room.holds.load(), 0);
}

TEST("memory that the collector has taken already is not registered any more") {
  Room room;
  Pages pages;
  acall::Arena* first = room.add(pages.bytes, pages.size, 1);
  acall::Arena* second = room.add(pages.bytes, pages.size, 2);
  room.collected = {2};
  const acall_submission entry = pages.slot_call(call(kPool, SYS_getppid), 0);
  CHECK_EQ(room.submit(entry), 1);  // by the other registration
  room.wait_until_over();
  room.turn();
  room.collected = {1, 2};
  CHECK_EQ(room.submit(entry), -EFAULT);
  CHECK_EQ(room.holds.load(), 0);
  acall::arena_drop(first);
  acall::arena_drop(second);
}

TEST("an arena is found where others were whose memory the collector has taken and given away again") {
  Room room;
  Pages pages(16 * 4096);
  acall::Arena* gone[] = {room.add(pages.bytes + 4096, 4096, 1), room.add(pages.bytes + 8192, 8192, 2)};
  acall::Arena* live = room.add(pages.bytes, pages.size, 3);
  room.collected = {1, 2};  // no hook has been called yet
  for (size_t offset : {0, 4096, 5000 & ~7, 8192, 12288, 16384, 65000 & ~7}) {
    CHECK_EQ(room.submit(pages.slot_call(call(kPool, SYS_getppid), offset)), 1);
    room.wait_until_over();
    room.turn();
  }
  for (acall::Arena* arena : gone) acall::arena_drop(arena);
  acall::arena_drop(live);
  CHECK_EQ(room.holds.load(), 0);
}

TEST("arenas next to each other are told apart, and nothing may span two") {
  Room room;
  Pages pages(3 * 4096);
  acall::Arena* first = room.add(pages.bytes, 4096, 1);
  acall::Arena* third = room.add(pages.bytes + 8192, 4096, 3);
  acall::Arena* second = room.add(pages.bytes + 4096, 4096, 2);
  Pipe pipe;
  auto read_at = [&](size_t offset, size_t bytes) {
    return call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes + offset), bytes});
  };
  CHECK_EQ(room.submit(read_at(4095, 2)), -EFAULT);
  CHECK_EQ(room.submit(read_at(0, 4097)), -EFAULT);
  CHECK_EQ(room.submit(read_at(8191, 2)), -EFAULT);
  CHECK_EQ(room.submit(read_at(4096, 4096)), 1);
  CHECK_EQ(second->pins.load(), 1u);
  CHECK_EQ(first->pins.load() + third->pins.load(), 0u);
  pipe.write_bytes();
  room.wait_until_over();
  room.turn();
  acall::arena_drop(second);
  CHECK_EQ(room.submit(read_at(4096, 1)), -EFAULT);
  CHECK_EQ(room.submit(read_at(8192, 1)), 1);
  CHECK_EQ(room.submit(read_at(0, 1)), 1);
  pipe.write_bytes(2);
  room.wait_until_over();
  room.turn();
  acall::arena_drop(third);
  acall::arena_drop(first);
}

TEST("the memory of one environment is nothing to another") {
  Room mine, other;
  Pages pages;
  acall::Arena* arena = mine.add(pages.bytes, pages.size, 1);
  CHECK_EQ(other.submit(pages.slot_call(call(kPool, SYS_getppid), 0)), -EFAULT);
  acall::arena_drop(arena);
}

TEST("an environment that ends interrupts what runs and completes what is queued") {
  for (int round = 0; round < 20; ++round) {
    Room room;
    Pages pages(1 << 16);
    acall::Arena* arena = room.add(pages.bytes, pages.size, 1);
    Pipe pipe;
    const int count = 200;
    for (int i = 0; i < count; ++i) {
      acall_submission entry =
          call(i % 5 ? kPool : kOwn, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1});
      CHECK_EQ(room.submit(pages.slot_call(entry, 64 + static_cast<size_t>(i) * 16)), 1);
    }
    room.detach();
    for (int i = 0; i < count; ++i) {
      int64_t result = result_of(*pages.at<acall_completion>(64 + static_cast<size_t>(i) * 16));
      if (!CHECK(result == -EINTR || result == -ECANCELED)) std::fprintf(stderr, "op %d: %ld\n", i, result);
    }
    acall::arena_drop(arena);
  }
}

TEST("an ending environment waits as long as the kernel holds memory that dies with it") {
  Stubborn stubborn;
  for (uint32_t flags : {kPool, kOwn}) {
    Room room;
    auto pages = std::make_unique<Pages>();
    acall::Arena* arena = room.add(pages->bytes, pages->size, 1);
    Pipe pipe;
    pipe.write_bytes();
    returned = 0;
    CHECK_EQ(room.submit(call(flags, SYS_read, {fd_arg(pipe.read_end), address_of(pages->bytes), 1})), 1);
    until([] { return gate.inside() == 1; });
    std::atomic<uint64_t> returned_at_the_end{99};
    std::thread ending = detach_elsewhere(room, [&] { returned_at_the_end = returned.load(); });
    gate.open();
    // A main thread that waits in join() would look like the end of the process, which waits for nothing.
    until([&] { return returned_at_the_end != 99; });
    ending.join();
    CHECK_EQ(returned_at_the_end.load(), 1u);
    acall::arena_drop(arena);
  }
}

TEST("an op without memory that dies is left behind after 50 ms, and its descriptor is closed") {
  Stubborn stubborn;
  for (int round = 0; round < 2; ++round) {
    Room room;
    acall::Block* block = acall::block_make(64);
    strcpy(reinterpret_cast<char*>(block->data()), "/dev/null");
    acall::block_reference(*block);
    acall::Segment segment{block->address(), block->address() + 64};
    acall::PromiseCall open_call;
    open_call.nr = round ? SYS_pipe2 : SYS_openat;
    open_call.flags = kPool;
    open_call.cookie = 1;
    open_call.args[0] = round ? block->address() + 16 : fd_arg(AT_FDCWD);
    open_call.args[1] = round ? uint64_t{O_CLOEXEC} : block->address();
    open_call.args[2] = O_RDONLY | O_CLOEXEC;
    open_call.segments = &segment;
    open_call.segment_count = 1;
    open_call.block = block;
    acall_id id{};
    CHECK_EQ(acall::engine_submit_call(*room.environment, *room.promises, open_call, &id), 0);
    until([] { return gate.inside() == 1; });
    uint64_t before = now_ns();
    room.detach();
    uint64_t waited = now_ns() - before;
    CHECK(waited >= 50'000'000);
    CHECK(!is_complete(id));
    returned = 0;
    gate.open();
    wait_for(id);
    CHECK_EQ(returned.load(), 1u);
    if (round == 0) {
      CHECK(last_result >= 0);
      until([] { return !is_open(static_cast<int>(last_result)); });  // after the op is complete
    } else {
      int pair[2];
      memcpy(pair, block->data() + 16, sizeof pair);
      CHECK(pair[0] > 0 && pair[1] > 0);
      until([&] { return !is_open(pair[0]) && !is_open(pair[1]); });
    }
    until([&] { return block->references.load(std::memory_order_acquire) == 1; });
    acall::block_release(block);
  }
}

TEST("the end of the process waits for nothing") {
  Stubborn stubborn;
  Room room;
  Pages pages;
  acall::Arena* arena = room.add(pages.bytes, pages.size, 1);
  Pipe pipe;
  pipe.write_bytes();
  auto* id = pages.at<acall_id>(512);
  CHECK_EQ(room.submit(with_id(
               pages.slot_call(call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1}), 64), id)),
           1);
  acall_id copy = *id;
  until([] { return gate.inside() == 1; });
  uint64_t before = now_ns();
  room.detach(true);
  CHECK(now_ns() - before < 1'000'000'000);
  CHECK_EQ(gate.inside(), 1u);
  gate.open();
  wait_for(copy);
  CHECK_EQ(result_of(*pages.at<acall_completion>(64)), INT64_MIN);  // not written to any more
  acall::arena_drop(arena);
}

TEST("ops of an environment that ends complete into memory that another holds") {
  Stubborn stubborn;
  for (bool other_holds_already : {true, false}) {
    Room room, other;
    Pages pages(1 << 14);
    acall::Arena* arena = room.add(pages.bytes, pages.size, 1);
    acall::Arena* same = other.add(pages.bytes, pages.size, 2);
    Pipe pipe, other_pipe;
    pipe.write_bytes();
    auto* ring = pages.at<acall_completion_ring>(1024);
    ring->nr = 4;
    auto* id = pages.at<acall_id>(512);
    acall_submission entry = call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1});
    CHECK_EQ(room.submit(with_id(into_ring(pages.slot_call(entry, 64), ring, 9), id)), 1);
    acall_id copy = *id;
    until([] { return gate.inside() == 1; });
    if (other_holds_already) {
      acall::Hold hold(acall::arenas_lock);
      CHECK(acall::arena_pin(*same));
    }
    std::atomic<bool> over{false};
    std::thread loop([&] {  // the other environment's event loop
      while (!over) {
        if (other.bells.exchange(0) > 0) other.turn();
        sched_yield();
      }
    });
    room.detach();  // does not wait for the gate: another environment has the bytes
    CHECK_EQ(gate.inside(), 1u);
    over = true;
    loop.join();
    CHECK_EQ(other.holds.load(), 1);
    acall::arena_drop(arena);
    gate.open();
    wait_for(copy);
    CHECK_EQ(result_of(*pages.at<acall_completion>(64)), 1);
    CHECK_EQ(ring->head, 1u);
    CHECK_EQ(ring->comps[0].cookie, 9u);
    if (other_holds_already) acall::arena_unpin(*same);
    until([&] { return same->pins.load() == 0; });
    other.turn();
    CHECK_EQ(other.holds.load(), 0);
    CHECK_EQ(reinterpret_cast<uintptr_t>(acall::arena_drop(same)), 2u);
  }
}

TEST("the heir waits in its turn, unless there is one more") {
  Stubborn stubborn;
  Room first, second, third;
  Pages pages;
  acall::Arena* arenas[3] = {first.add(pages.bytes, pages.size, 1), second.add(pages.bytes, pages.size, 2),
                             third.add(pages.bytes, pages.size, 3)};
  Pipe pipe;
  pipe.write_bytes();
  auto* id = pages.at<acall_id>(512);
  CHECK_EQ(first.submit(with_id(
               pages.slot_call(call(kOwn, SYS_read, {fd_arg(pipe.read_end), address_of(pages.bytes), 1}), 64), id)),
           1);
  acall_id copy = *id;
  until([] { return gate.inside() == 1; });
  {
    acall::Hold hold(acall::arenas_lock);
    CHECK(acall::arena_pin(*arenas[1]));
    CHECK(acall::arena_pin(*arenas[2]));
  }
  acall::arena_unpin(*arenas[1]);
  acall::arena_unpin(*arenas[2]);  // still held: no turn has come
  first.detach();
  acall::arena_drop(arenas[0]);
  second.detach();
  acall::arena_drop(arenas[1]);
  CHECK_EQ(gate.inside(), 1u);
  returned = 0;
  std::atomic<uint64_t> returned_at_the_end{99};
  // No other environment has the bytes.
  std::thread ending = detach_elsewhere(third, [&] { returned_at_the_end = returned.load(); });
  CHECK_EQ(gate.inside(), 1u);
  gate.open();
  until([&] { return returned_at_the_end != 99; });  // without join(), see above
  ending.join();
  CHECK_EQ(returned_at_the_end.load(), 1u);
  wait_for(copy);
  acall::arena_drop(arenas[2]);
}

TEST("a backlog goes on to an heir, and dies with the last environment") {
  for (bool with_heir : {true, false}) {
    Room room, other;
    Pages pages;
    acall::Arena* arena = room.add(pages.bytes, pages.size, 1);
    acall::Arena* same = with_heir ? other.add(pages.bytes, pages.size, 2) : nullptr;
    auto* ring = pages.at<acall_completion_ring>(0);
    ring->nr = 2;
    for (uint64_t i = 1; i <= 10; ++i) {
      CHECK_EQ(room.submit(into_ring(call(kPool, SYS_getppid), ring, i)), 1);
      room.wait_until_over();
    }
    CHECK_EQ(arena->pins.load(), 1u);  // the backlog's
    std::atomic<bool> over{false};
    std::thread loop([&] {
      while (!over) {
        if (other.bells.exchange(0) > 0) other.turn();
        sched_yield();
      }
    });
    stopped_at_ns = test_clock();  // the heir's turn comes when it comes
    room.detach();
    stopped_at_ns = 0;
    over = true;
    loop.join();
    acall::arena_drop(arena);
    if (!with_heir) {
      ring->comps[0].cookie = ring->comps[1].cookie = 0;
      acall::Ring* record;
      CHECK_EQ(acall::ring_acquire(address_of(ring), 2, 0, acall::RingUse::kObject, &record), 0);
      CHECK_EQ(acall::ring_available(*record), 0u);
      acall::ring_release_object(*record);
      CHECK_EQ(ring->head, 2u);
      CHECK(!acall::rings_have_backlog());
      continue;
    }
    acall::Ring* record;
    CHECK_EQ(acall::ring_acquire(address_of(ring), 2, 0, acall::RingUse::kObject, &record), 0);
    acall_completion some[16];
    CHECK_EQ(acall::ring_drain(*record, some, 16), 10u);
    for (uint64_t i = 0; i < 10; ++i) CHECK_EQ(some[i].cookie, i + 1);
    acall::ring_release_object(*record);
    CHECK_EQ(same->pins.load(), 0u);
    other.turn();
    acall::arena_drop(same);
  }
}

TEST("environments come and go while others work, and nobody is disturbed") {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> disturbed{0}, steady_rounds{0};
  std::thread steady([&] {
    House house(256 << 20);
    while (!stop) {
      Pipe pipe;
      Ticket ticket(house), quick(house);
      ticket.submit(house, call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(house.alloc(16)), 1}));
      quick.submit(house, call(steady_rounds % 8 ? kPool : kOwn, SYS_getppid));
      if (quick.wait() != getppid()) disturbed++;
      pipe.write_bytes();
      if (ticket.wait() != 1) disturbed++;
      steady_rounds++;
    }
  });
  std::vector<std::thread> passing;
  const int rounds = kThreadSanitizer ? 60 : 250;
  for (int t = 0; t < 2; ++t) {
    passing.emplace_back([&, t] {
      Random random(static_cast<uint64_t>(t) + 40);
      for (int round = 0; round < rounds; ++round) {
        Room room;
        Pages pages(1 << 16);
        Pipe pipe;
        acall::Arena* arena = room.add(pages.bytes, pages.size, 1);
        auto* ring = pages.at<acall_completion_ring>(0);
        ring->nr = 1 + random.below(8);
        const uint32_t count = 1 + random.below(60);
        for (uint32_t i = 0; i < count; ++i) {
          acall_submission entry = random.below(2) ? call(kPool, SYS_getppid)
                                                   : call(random.below(4) ? kPool : kOwn, SYS_read,
                                                          {fd_arg(pipe.read_end), address_of(pages.bytes + 8192), 1});
          CHECK_EQ(room.submit(into_ring(entry, ring, i + 1)), 1);
        }
        for (uint32_t i = random.below(4); i > 0; --i) pipe.write_bytes();
        if (random.below(2)) room.turn();
        const bool dropped_before = random.below(4) == 0;
        if (dropped_before) acall::arena_drop(arena);
        room.detach();
        memset(pages.bytes, 0, pages.size);  // no op may write here any more
        if (!dropped_before) acall::arena_drop(arena);
        for (size_t i = 0; i < pages.size; ++i) {
          if (pages.bytes[i] != 0) {
            disturbed++;
            break;
          }
        }
      }
    });
  }
  for (auto& thread : passing) thread.join();
  stop = true;
  steady.join();
  CHECK_EQ(disturbed.load(), 0u);
  CHECK(steady_rounds > 0);
}

TEST("with unsafe an address in any argument, of any call, is waited for when its environment ends") {
  constexpr long kNewer = 5000;  // a number above the table
  const struct {
    long nr;
    uint32_t flags;
    int at;
  } cases[] = {{SYS_ioctl, kPool, 2}, {SYS_fcntl, kOwn, 2}, {kNewer, kPool, 0}, {kNewer, kOwn, 5}, {SYS_bpf, kPool, 1}};
  for (const auto& one : cases) {
    Gate door;
    static Gate* at_door;
    at_door = &door;
    WithSeams seams;
    acall::seams.syscall = [](acall::CancelWord&, uint32_t, const uint64_t*) -> int64_t {
      at_door->pass();
      return 0;
    };
    auto room = std::make_unique<Room>();
    Pages pages;
    acall::Arena* arena = room->add(pages.bytes, pages.size, 1);
    acall_submission entry = call(one.flags | ACALL_SUBMIT_UNSAFE, one.nr, {0, 0x40000000});
    entry.args[one.at] = address_of(pages.bytes + 100);
    CHECK_EQ(room->submit(entry), 1);
    CHECK_EQ(arena->pins.load(), 1u);
    until([&] { return door.inside() == 1; });
    std::atomic<bool> ended{false};
    std::thread end = detach_elsewhere(*room, [&] { ended = true; });
    CHECK(!ended);
    door.open();
    until(
        [&] { return door.inside() == 0; });  // before join(), with which the environment's end would wait for nothing
    end.join();
    until([&] { return door.inside() == 0; });  // the door is destroyed after this round
    acall::arena_drop(arena);
  }
}

TEST("memory that the kernel keeps stays as long as its environment, and its end waits for nobody") {
  WithSeams seams;
  acall::seams.syscall = [](acall::CancelWord&, uint32_t, const uint64_t*) -> int64_t { return 4096; };
  constexpr uint64_t kZeroCopy = 0x4000000;
  Room room;
  Pages pages;
  acall::Arena* arena = room.add(pages.bytes, pages.size, 1);
  const acall_submission entry =
      call(kPool | ACALL_SUBMIT_UNSAFE, SYS_sendto, {0, address_of(pages.bytes), 4096, kZeroCopy});
  for (int i = 0; i < 3; ++i) CHECK_EQ(room.submit(entry), 1);
  room.wait_until_over();
  room.turn();
  CHECK_EQ(room.holds.load(), 1);
  CHECK_EQ(arena->pins.load(), 1u);
  CHECK_EQ(room.submit(call(kPool, SYS_sendto, {0, address_of(pages.bytes), 4096, kZeroCopy})), -EPERM);
  CHECK(acall::arena_drop(arena) == nullptr);
  room.turn();
  CHECK_EQ(room.holds.load(), 1);
  room.detach();
  CHECK_EQ(room.freed.count(1), 1u);
}
