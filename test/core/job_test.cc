// Jobs when a call blocks, when other ops use the pool too, when memory or descriptors are short. The syscall seam
// blocks calls on paths that end in "stuck": they read from a pipe until the test writes to it.
#include "jobs/job.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>

#include "check.h"
#include "jobs/batch_stat.h"
#include "tree_support.h"

using acall::Du;
using acall::StatBatch;
using acall::Walk;
using support::Folder;
using support::Found;
using support::PromiseHouse;

namespace {

int gate[2];
std::atomic<uint32_t> stuck{0};      // calls that wait at the gate
std::atomic<uint64_t> looked_up{0};  // statx calls that have returned
int64_t (*real_syscall)(acall::CancelWord&, uint32_t, const uint64_t[6]);

bool ends_in_stuck(uint64_t path) {
  const char* text = reinterpret_cast<const char*>(path);
  size_t length = strlen(text);
  return length >= 5 && strcmp(text + length - 5, "stuck") == 0;
}

int64_t syscall_with_gate(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  if ((nr == SYS_statx || nr == SYS_openat) && ends_in_stuck(args[1])) {
    stuck.fetch_add(1);
    char byte;
    const uint64_t read_args[6] = {static_cast<uint64_t>(gate[0]), reinterpret_cast<uint64_t>(&byte), 1};
    int64_t rc = real_syscall(word, SYS_read, read_args);
    stuck.fetch_sub(1);
    if (rc < 0) return rc;
  }
  int64_t result = real_syscall(word, nr, args);
  if (nr == SYS_statx) looked_up.fetch_add(1);
  return result;
}

std::atomic<int64_t> allocations_left{INT64_MAX};
void* (*real_allocate)(size_t);
void* failing_allocate(size_t bytes) { return allocations_left.fetch_sub(1) == 1 ? nullptr : real_allocate(bytes); }

// Before the first thread starts.
const bool seams_set = [] {
  if (pipe2(gate, O_CLOEXEC) != 0) abort();
  real_syscall = acall::seams.syscall;
  acall::seams.syscall = syscall_with_gate;
  real_allocate = acall::seams.allocate;
  acall::seams.allocate = failing_allocate;
  return true;
}();

void open_gate(uint32_t times) {
  for (uint32_t i = 0; i < times; ++i) {
    if (write(gate[1], "x", 1) != 1) abort();
  }
}

void wait_until_quiet() {
  while (acall::engine_counters().completed != acall::engine_counters().submitted) sched_yield();
}

// `count` times "/", but "/stuck" at every place that `is_stuck` names.
template <typename Predicate>
acall::Block* paths_of(uint32_t count, Predicate is_stuck) {
  acall::Block* block = acall::block_make(size_t{7} * count);
  if (block == nullptr) return nullptr;
  auto* to = reinterpret_cast<char*>(block->data());
  for (uint32_t i = 0; i < count; ++i) {
    const char* path = is_stuck(i) ? "/stuck" : "/";
    size_t length = strlen(path) + 1;
    memcpy(to, path, length);
    to += length;
  }
  return block;
}

}  // namespace

TEST("stuck entries hold up their own chunks and the job's end, and no other entry") {
  PromiseHouse house;
  constexpr uint32_t kCount = 100'000, kStuck = 20;
  StatBatch* batch = StatBatch::make(*house.environment, kCount, AT_FDCWD, 0);
  batch->begin(*house.ring, 1, true, nullptr);
  looked_up = 0;
  CHECK_EQ(batch->add(paths_of(kCount, [](uint32_t i) { return i % 2000 == 77 && i < 2000 * kStuck; }), kCount), 0);
  // Only a pool that grows beyond the blocked threads gets here.
  while (looked_up < kCount - kStuck * 64) sched_yield();
  CHECK_EQ(stuck.load(), kStuck);
  open_gate(kStuck);
  CHECK_EQ(house.wait(1), 0);
  CHECK_EQ(looked_up.load(), kCount);
  acall::Block* block = batch->take();
  acall::Columns columns{block->data(), kCount};
  int wrong = 0;
  for (uint32_t i = 0; i < kCount; ++i) {
    int32_t wanted = i % 2000 == 77 && i < 2000 * kStuck ? -ENOENT : 0;
    wrong += static_cast<int32_t>(columns.u32(acall::NarrowColumn::kError)[i]) != wanted;
  }
  CHECK_EQ(wrong, 0);
  acall::block_release(block);
  batch->release();
}

TEST("a cancel ends a job whose threads are all stuck") {
  PromiseHouse house;
  for (int round = 0; round < 20; ++round) {
    StatBatch* batch = StatBatch::make(*house.environment, 1000, AT_FDCWD, 0);
    acall_id id;
    batch->begin(*house.ring, 1, true, &id);
    CHECK_EQ(batch->add(paths_of(1000, [](uint32_t i) { return i % 64 == 0; }), 1000), 0);
    while (stuck < 8) sched_yield();
    if (round & 1) {
      batch->cancel();
    } else {
      CHECK_EQ(acall::engine_cancel(id), 0);
    }
    CHECK_EQ(house.wait(1), -ECANCELED);
    batch->release();
    wait_until_quiet();
    CHECK_EQ(stuck.load(), 0);
  }
}

TEST("a job gives way: an op behind it in the queue runs long before it ends") {
  PromiseHouse house;
  constexpr uint32_t kCount = 2'000'000;
  StatBatch* batch = StatBatch::make(*house.environment, kCount, AT_FDCWD, 0);
  looked_up = 0;
  batch->begin(*house.ring, 1, true, nullptr);
  CHECK_EQ(batch->add(paths_of(kCount, [](uint32_t) { return false; }), kCount), 0);
  while (looked_up < 10'000) sched_yield();
  acall::PromiseCall call;
  call.nr = SYS_getppid;
  call.flags = ACALL_SUBMIT_THREAD_POOL;
  call.cookie = 2;
  CHECK_EQ(acall::engine_submit_call(*house.environment, *house.ring, call, nullptr), 0);
  CHECK_EQ(house.wait(2), getppid());
  CHECK(looked_up < kCount / 2);
  CHECK_EQ(house.wait(1), 0);
  batch->release();
}

TEST("what a walk has found can be fetched while a directory is stuck") {
  PromiseHouse house;
  Folder folder;
  folder.directory("stuck");
  folder.file("stuck/inside");
  for (int i = 0; i < 50; ++i) {
    folder.directory("d" + std::to_string(i));
    folder.file("d" + std::to_string(i) + "/file");
  }
  Walk* walk = Walk::make(*house.environment, folder.path.data(), folder.path.size(), {});
  walk->start();
  Found found;
  uint64_t cookie = 0;
  auto fetch = [&] {
    Walk::Output output = walk->take();
    bool some = output.pages != nullptr, ended = output.ended;
    add_output(found, output);
    if (!some && !ended) {
      walk->begin(*house.ring, ++cookie, true, nullptr);
      house.wait(cookie);
    }
    return ended;
  };
  while (found.count < 101) CHECK(!fetch());
  CHECK_EQ(stuck.load(), 1);
  open_gate(1);
  while (!fetch()) {
  }
  CHECK_EQ(found.count, 102);
  walk->release();
}

TEST("a stuck directory does not keep a cancelled walk") {
  PromiseHouse house;
  Folder folder;
  folder.directory("stuck");
  int before = support::open_descriptors();
  Walk* walk = Walk::make(*house.environment, folder.path.data(), folder.path.size(), {});
  walk->start();
  while (stuck == 0) sched_yield();
  walk->cancel();
  walk->release();
  wait_until_quiet();
  CHECK_EQ(stuck.load(), 0);
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("without a descriptor left a traversal says so, and goes on where it can") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  int before = support::open_descriptors();
  rlimit old{}, small{};
  getrlimit(RLIMIT_NOFILE, &old);
  small = old;
  small.rlim_cur = 200;
  setrlimit(RLIMIT_NOFILE, &small);
  int taken[200] = {}, count = 0;
  while ((taken[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) ++count;
  if (!CHECK(count > 0)) return;
  close(taken[--count]);  // room for the root alone
  Found found = walk_all(house, folder.path);
  support::DuResult du = du_all(house, folder.path);
  while (count > 0) close(taken[--count]);
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK_EQ(found.result, 0);
  CHECK(found.entries.count(folder.at("plain")) == 1);
  CHECK_EQ(found.errors[folder.at("plain")], EMFILE);
  CHECK_EQ(du.result, 0);
  CHECK_EQ(du.totals.directories, 5);
  CHECK_EQ(du.errors[folder.at("nested")], EMFILE);
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("an allocation that fails anywhere ends the job with an error and leaves nothing") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  const uint64_t entries = walk_all(house, folder.path).count;
  int before = support::open_descriptors();
  int failed = 0;
  for (int kind = 0; kind < 4; ++kind) {
    for (int64_t nth = 1; nth < 60; ++nth) {
      wait_until_quiet();
      allocations_left = nth;
      int64_t result = -EAGAIN;
      if (kind == 0) {
        StatBatch* batch = StatBatch::make(*house.environment, 100, AT_FDCWD, 0);
        acall::Block* paths = batch ? paths_of(100, [](uint32_t) { return false; }) : nullptr;
        bool begun = paths != nullptr && batch->begin(*house.ring, 1, true, nullptr) == 0;
        if (begun) {
          if (batch->add(paths, 100) != 0) batch->cancel();
          result = house.wait(1);
        } else {
          acall::block_release(paths);
        }
        if (batch != nullptr) batch->release();
      } else if (kind == 3) {
        Du* du = Du::make(*house.environment, folder.path.data(), folder.path.size(), {});
        if (du != nullptr && du->begin(*house.ring, 1, true, nullptr) == 0) {
          du->start();
          result = house.wait(1);
        }
        if (du != nullptr) du->release();
      } else {
        acall::WalkOptions options;
        options.stats = kind == 2;
        Walk* walk = Walk::make(*house.environment, folder.path.data(), folder.path.size(), options);
        if (walk != nullptr) {
          walk->start();
          Found found;
          for (;;) {
            Walk::Output output = walk->take();
            add_output(found, output);
            result = output.result;
            if (output.ended) break;
            if (walk->begin(*house.ring, 1, true, nullptr) != 0) continue;
            house.wait(1);
          }
          if (result == 0) CHECK_EQ(found.count, entries);
          walk->release();
        }
      }
      allocations_left = INT64_MAX;
      CHECK(result == 0 || result == -ENOMEM || result == -EAGAIN || result == -ECANCELED);
      failed += result != 0;
    }
  }
  CHECK(failed > 20);
  wait_until_quiet();
  CHECK_EQ(support::open_descriptors(), before);
}
