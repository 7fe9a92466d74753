// Open files that JavaScript holds: a descriptor stays open while an op uses it, and is closed once.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"
#include "threads/cancel.h"
#include "tree_support.h"

using namespace support;

namespace {

// What a descriptor refers to; empty when it is closed.
std::string target_of(int fd) {
  char link[64], target[64] = {};
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  return readlink(link, target, sizeof target - 1) > 0 ? target : "";
}

acall::HandleIdentity identity_of(int fd) {
  struct stat found;
  if (fstat(fd, &found) != 0) abort();
  return {uint64_t{major(found.st_dev)} << 32 | minor(found.st_dev), found.st_ino, 1};
}

// A handle of its own pipe's read end; a read of it blocks until something is written.
struct OpenPipe {
  int fd, write_end;
  uint32_t handle;
  explicit OpenPipe(PromiseHouse& house) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    fd = ends[0];
    write_end = ends[1];
    handle = acall::handle_make(*house.environment, fd, identity_of(fd));
  }
  ~OpenPipe() { close(write_end); }
  // Both ends are the same file. Another one may have the number by now: those that the engine itself opens for a
  // moment.
  bool is_open() const { return target_of(fd) == target_of(write_end); }
  OpenPipe(const OpenPipe&) = delete;
  OpenPipe& operator=(const OpenPipe&) = delete;

  int read(PromiseHouse& house, uint64_t cookie, acall_id* id = nullptr, bool own = false) const {
    acall::Block* block = acall::block_make(16);
    acall::Segment segment{block->address(), block->address() + 16};
    acall::PromiseCall call;
    call.nr = SYS_read;
    call.flags = own ? kOwn : kPool;
    call.cookie = cookie;
    call.args[0] = static_cast<uint64_t>(fd);
    call.args[1] = block->address();
    call.args[2] = 1;
    call.segments = &segment;
    call.segment_count = 1;
    call.block = block;
    call.handle = acall::handle_find(*house.environment, handle);
    return acall::engine_submit_call(*house.environment, *house.ring, call, id);
  }
  int close_it(PromiseHouse& house, uint64_t cookie, acall_id* id = nullptr) const {
    acall_id ignored;
    return acall::handle_close(*house.environment, *house.ring, handle, cookie, true, id != nullptr ? id : &ignored);
  }
};

// A write to a pipe without readers fails with EPIPE.
[[maybe_unused]] const auto ignored = signal(SIGPIPE, SIG_IGN);

void until_quiet() {
  until([] { return counters().completed == counters().submitted; });
}

}  // namespace

TEST("a handle that nobody uses is closed at once, and once") {
  PromiseHouse house;
  OpenPipe pipe(house);
  CHECK_EQ(pipe.close_it(house, 1), 0);
  CHECK_EQ(pipe.close_it(house, 2), -EBADF);
  CHECK_EQ(house.wait(1), 0);
  CHECK(!pipe.is_open());
  CHECK(acall::handle_find(*house.environment, pipe.handle) == nullptr);
}

TEST("a number stays taken until the last op that has it is back, and that one has it closed") {
  PromiseHouse house;
  for (int round = 0; round < 50; ++round) {
    OpenPipe pipe(house);
    acall_id ids[3];
    for (uint64_t i = 0; i < 3; ++i) CHECK_EQ(pipe.read(house, i + 1, &ids[i], i == 2), 0);
    CHECK_EQ(pipe.close_it(house, 9), 1);
    CHECK(pipe.is_open());
    acall::OpenHandle* closing = acall::handle_find(*house.environment, pipe.handle);
    CHECK(closing == nullptr);  // no op enters any more
    // One op gets its byte, one is cancelled, one is abandoned, in whatever state they are.
    if (write(pipe.write_end, "x", 1) != 1) abort();
    acall::engine_cancel(ids[round % 3]);
    CHECK(pipe.is_open());
    acall::cancel_unwanted(&ids[(round + 1) % 3], 1);
    if (write(pipe.write_end, "xx", 2) != 2 && errno != EPIPE) abort();
    int64_t closed = INT64_MIN;
    for (int i = 0; i < 4; ++i) {
      acall_completion completion{};
      until([&] { return acall::ring_drain(*house.ring, &completion, 1) == 1; });
      if (completion.cookie == 9) closed = static_cast<int64_t>(completion.return_code);
    }
    CHECK_EQ(closed, 0);
    CHECK(!pipe.is_open());
  }
}

TEST("ops that come back from all sides while it is being closed: closed exactly once") {
  PromiseHouse house;
  for (int round = 0; round < 300; ++round) {
    OpenPipe pipe(house);
    acall_id ids[8];
    for (uint64_t i = 0; i < 8; ++i) CHECK_EQ(pipe.read(house, i + 1, &ids[i], i % 4 == 3), 0);
    std::thread writer([&] {
      if (write(pipe.write_end, "xxxxxxxx", 8) != 8 && errno != EPIPE) abort();
    });
    std::thread canceller([&] {
      for (int i = 0; i < 8; i += 2) acall::engine_cancel(ids[i]);
    });
    const int answer = pipe.close_it(house, 9);
    CHECK(answer == 0 || answer == 1);
    writer.join();
    canceller.join();
    int closes = 0;
    for (int i = 0; i < 9; ++i) {
      acall_completion completion{};
      until([&] { return acall::ring_drain(*house.ring, &completion, 1) == 1; });
      closes += completion.cookie == 9 && completion.return_code == 0;
    }
    CHECK_EQ(closes, 1);
    CHECK(!pipe.is_open());
  }
}

TEST("a close that is abandoned while it waits closes all the same, once") {
  PromiseHouse house;
  for (int round = 0; round < 200; ++round) {
    OpenPipe pipe(house);
    const bool has_user = round % 2 == 0;  // the close waits for the read; else in the queue of the pool, mostly
    acall_id reading, closing;
    if (has_user) CHECK_EQ(pipe.read(house, 1, &reading), 0);
    CHECK_EQ(pipe.close_it(house, 9, &closing), has_user ? 1 : 0);
    acall::cancel_unwanted(&closing, 1);
    if (has_user) {
      CHECK(pipe.is_open());
      acall::cancel_unwanted(&closing, 1);
      acall::engine_cancel(reading);
    }
    for (int i = 0; i <= has_user; ++i) {
      acall_completion completion{};
      until([&] { return acall::ring_drain(*house.ring, &completion, 1) == 1; });
      CHECK_EQ(completion.cookie, has_user && i == 0 ? 1u : 9u);
    }
    CHECK(!pipe.is_open());
  }
}

TEST("a handle that is detached is left open, and one that is in use cannot be") {
  PromiseHouse house;
  OpenPipe pipe(house);
  CHECK_EQ(pipe.read(house, 1), 0);
  CHECK_EQ(acall::handle_detach(*house.environment, pipe.handle), -EBUSY);
  if (write(pipe.write_end, "x", 1) != 1) abort();
  CHECK_EQ(house.wait(1), 1);
  CHECK_EQ(acall::handle_detach(*house.environment, pipe.handle), 0);
  CHECK_EQ(acall::handle_detach(*house.environment, pipe.handle), -EBADF);
  CHECK_EQ(pipe.close_it(house, 2), -EBADF);
  CHECK(pipe.is_open());
  close(pipe.fd);
}

TEST("who has an op's result finds the handle unused") {
  PromiseHouse house;
  for (uint64_t round = 0; round < 20'000; ++round) {
    OpenPipe pipe(house);
    if (write(pipe.write_end, "x", 1) != 1) abort();
    CHECK_EQ(pipe.read(house, round + 1), 0);
    acall_completion completion{};
    while (acall::ring_drain(*house.ring, &completion, 1) == 0) {
    }
    CHECK_EQ(acall::handle_detach(*house.environment, pipe.handle), 0);
    close(pipe.fd);
  }
}

TEST("the end of an environment closes what is open, also what an op has, and nothing of others") {
  for (int round = 0; round < 30; ++round) {
    const int before = open_descriptors();
    Pipe other;
    {
      PromiseHouse house;
      OpenPipe idle(house), used(house), waiting(house), reused(house), given(house);
      for (uint64_t i = 0; i < 4; ++i) CHECK_EQ(used.read(house, i + 1), 0);
      CHECK_EQ(waiting.read(house, 5), 0);
      CHECK_EQ(waiting.close_it(house, 6), 1);
      if (dup2(other.read_end, reused.fd) < 0) abort();  // the number belongs to another file now
      CHECK_EQ(acall::handle_detach(*house.environment, given.handle), 0);
      acall::environment_detach(house.environment, false);
      until_quiet();
      for (const OpenPipe* pipe : {&idle, &used, &waiting}) CHECK(!pipe->is_open());
      CHECK(target_of(reused.fd) == target_of(other.read_end));
      CHECK(given.is_open());
      close(reused.fd);
      close(given.fd);
      house.forget();
    }
    CHECK_EQ(open_descriptors(), before + 2);
  }
}

TEST("the end of the process closes nothing") {
  PromiseHouse house;
  OpenPipe pipe(house);
  acall::environment_detach(house.environment, true);
  house.forget();
  until_quiet();
  CHECK(pipe.is_open());
  close(pipe.fd);
}

TEST("a file that is opened for a handle is known again") {
  PromiseHouse house;
  acall::Block* block = acall::block_make(64);
  block->data()[0] = '/';
  block->data()[1] = '\0';
  acall::Segment segment{block->address(), block->address() + 2};
  acall::PromiseCall call;
  call.nr = SYS_openat;
  call.flags = kPool;
  call.cookie = 1;
  call.args[0] = static_cast<uint64_t>(AT_FDCWD);
  call.args[1] = block->address();
  call.args[2] = O_RDONLY | O_CLOEXEC;
  call.segments = &segment;
  call.segment_count = 1;
  call.block = block;
  call.opens = new (block->data() + 16) acall::HandleIdentity();
  acall::ResultCarrier carrier;
  call.carrier = &carrier;
  CHECK_EQ(acall::engine_submit_call(*house.environment, *house.ring, call, nullptr), 0);
  const int64_t fd = house.wait(1 | acall::kCarriesDescriptors);
  CHECK(fd >= 0);
  if (!CHECK(carrier.opened != nullptr)) return;
  const acall::HandleIdentity wanted = identity_of(static_cast<int>(fd));
  CHECK_EQ(carrier.opened->is_known, 1u);
  CHECK_EQ(carrier.opened->device, wanted.device);
  CHECK_EQ(carrier.opened->inode, wanted.inode);
  carrier.forget();
  close(static_cast<int>(fd));
}
