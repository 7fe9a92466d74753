// One way into the kernel: all kinds of ops treat -EINTR, restrict() and the kernel's results alike. A fake kernel
// answers some calls of one number.
#include "syscalls/kernel_entry.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "files/file_tasks.h"
#include "files/stat_columns.h"
#include "jobs/batch_stat.h"
#include "support.h"
#include "tree_support.h"

using support::House;
using support::PromiseHouse;
using support::Ticket;

namespace {

acall::Seams real = acall::seams;
std::atomic<uint32_t> disturbed{0};  // the number of the calls that the fake kernel answers
std::atomic<int> disturbances{0};    // how many times
std::atomic<int64_t> answer{0};
std::atomic<int> entered{0};  // how many calls with that number have been made

int64_t disturbing(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  if (nr != disturbed.load()) return real.syscall(word, nr, args);
  entered.fetch_add(1);
  return disturbances.fetch_sub(1) > 0 ? answer.load() : real.syscall(word, nr, args);
}

class Disturbed {
 public:
  Disturbed(long nr, int64_t result, int times) {
    real = seams_.real();
    disturbed = static_cast<uint32_t>(nr);
    answer = result;
    disturbances = times;
    entered = 0;
    acall::seams.syscall = disturbing;
  }

 private:
  support::WithSeams seams_;
};

// A call of the promise layer on "/", whose path is at the beginning of its block.
struct PathCall {
  acall::PromiseCall call;
  acall::Segment segment{};
  explicit PathCall(long nr) {
    call.block = acall::block_make(128);
    call.block->data()[0] = '/';
    call.block->data()[1] = '\0';
    segment = {call.block->address(), call.block->address() + 64};
    call.nr = static_cast<uint32_t>(nr);
    call.flags = ACALL_SUBMIT_THREAD_POOL;
    call.cookie = 1;
    call.args[0] = static_cast<uint64_t>(AT_FDCWD);
    call.args[1] = call.block->address();
    call.segments = &segment;
    call.segment_count = 1;
  }
  int submit(PromiseHouse& house) { return acall::engine_submit_call(*house.environment, *house.ring, call, nullptr); }
};

int64_t plain_call(PromiseHouse& house) {
  PathCall path(SYS_faccessat);
  const int error = path.submit(house);
  return error != 0 ? error : house.wait(1);
}

int64_t opening(PromiseHouse& house) {
  PathCall path(SYS_openat);
  path.call.args[2] = O_RDONLY | O_CLOEXEC;
  path.call.opens = new (path.call.block->data() + 64) acall::HandleIdentity();
  if (const int error = path.submit(house); error != 0) return error;
  const int64_t fd = house.wait(1);
  if (fd >= 0) close(static_cast<int>(fd));
  return fd;
}

int64_t one_stat(PromiseHouse& house) {
  acall::StatNumbers found{};
  acall::PromiseWork work;
  work.back_end = &acall::kStat;
  work.extra = &found;
  work.cookie = 1;
  work.args[0] = static_cast<uint64_t>(AT_FDCWD);
  work.args[1] = support::address_of("/");
  CHECK_EQ(acall::engine_submit_work(*house.environment, *house.ring, &work, 1, nullptr), 1u);
  return house.wait(1);
}

int64_t job(PromiseHouse& house) {
  acall::StatBatch* batch = acall::StatBatch::make(*house.environment, 1, AT_FDCWD, 0);
  batch->begin(*house.ring, 1, true, nullptr);
  batch->start();
  acall::Block* paths = acall::block_make(2);
  memcpy(paths->data(), "/", 2);
  CHECK_EQ(batch->add(paths, 1), 0);
  CHECK_EQ(house.wait(1), 0);
  acall::Block* block = batch->take();
  const acall::Columns columns{block->data(), 1};
  const auto error = static_cast<int32_t>(columns.u32(acall::NarrowColumn::kError)[0]);
  acall::block_release(block);
  batch->release();
  return error;
}

bool was_refused = false;  // FileTask::refused of the last file task

int64_t perform(PromiseHouse& house, const acall::BackEnd& kind, acall::Block* block) {
  acall::FileTask& task = acall::file_task_of(*block);
  acall::PromiseWork work;
  work.back_end = &kind;
  work.extra = &task;
  work.cookie = 1;
  work.block = block;
  acall::block_reference(*block);
  CHECK_EQ(acall::engine_submit_work(*house.environment, *house.ring, &work, 1, nullptr), 1u);
  const int64_t result = house.wait(1);
  was_refused = task.refused;
  acall::block_release(block);
  return result;
}

int64_t file_task(PromiseHouse& house) {
  return perform(house, acall::kReadFile, acall::file_task_make("/proc/self/stat", 15, nullptr, 0, 0));
}

// A program of one atom, which makes a call on "/".
int64_t program(PromiseHouse& house) {
  constexpr uint32_t kWords = 32, kAtom = 64;
  alignas(8) unsigned char bytes[kAtom + sizeof(syslet_uatom)] = {};
  auto put = [&](uint32_t at, uint64_t value) { memcpy(bytes + at, &value, sizeof value); };
  put(kWords, static_cast<uint64_t>(AT_FDCWD));
  put(kWords + 8, kWords + 24);  // relocated
  put(kWords + 16, F_OK);
  put(kWords + 24, '/');
  syslet_uatom atom{};
  atom.flags = SYSLET_STOP_ON_NEGATIVE;
  atom.nr = SYS_faccessat;
  for (uint32_t i = 0; i < 3; ++i) atom.arg_ptr[i] = kWords + i * 8;  // relocated
  memcpy(bytes + kAtom, &atom, sizeof atom);
  const uint32_t relocations[] = {kWords + 8, kAtom + 24, kAtom + 32, kAtom + 40};
  const acall::ProgramArea area{kWords, 32};
  acall::ProgramImage image;
  image.bytes = bytes;
  image.copied = image.size = sizeof bytes;
  image.code = {kAtom, sizeof atom};
  image.entry = kAtom;
  image.max_steps = 10;
  image.relocations = relocations;
  image.relocation_count = 4;
  image.areas = &area;
  image.area_count = 1;
  if (!CHECK(acall::program_image_is_valid(image))) return INT64_MIN;
  acall::ProgramInputs inputs;
  inputs.cookie = 1;
  acall::Block* kept = nullptr;
  acall_id id;
  CHECK_EQ(acall::engine_submit_program(*house.environment, *house.ring, image, inputs, &id, &kept), 0);
  CHECK_EQ(house.wait(1), 0);
  syslet_report report;
  memcpy(&report, kept->data() + acall::kProgramMemory, sizeof report);
  acall::block_release(kept);
  return report.result;
}

struct Way {
  const char* name;
  long nr;
  int64_t (*perform)(PromiseHouse& house);
};

constexpr Way kWays[] = {
    {"plain call", SYS_faccessat, plain_call}, {"call that opens", SYS_openat, opening},
    {"one stat", SYS_statx, one_stat},         {"job", SYS_statx, job},
    {"file task", SYS_openat, file_task},      {"program", SYS_faccessat, program},
};

}  // namespace

TEST("an -EINTR that nobody asked for is seen by nobody who did not submit the call himself") {
  PromiseHouse house;
  for (const Way& way : kWays) {
    const Disturbed disturbance(way.nr, -EINTR, 3);
    const int64_t result = way.perform(house);
    if (!CHECK(result >= 0) || !CHECK_EQ(entered.load(), 4)) fprintf(stderr, "%s: %ld\n", way.name, result);
  }
}

TEST("any other answer is the kernel's, also -ECANCELED: the call is made once, and the answer is its result") {
  PromiseHouse house;
  for (const Way& way : kWays) {
    for (const int error : {-ECANCELED, -EIO, -EAGAIN}) {
      const Disturbed disturbance(way.nr, error, 1000);
      const int64_t result = way.perform(house);
      if (!CHECK_EQ(result, error) || !CHECK_EQ(entered.load(), 1)) fprintf(stderr, "%s: %ld\n", way.name, result);
    }
  }
}

TEST("a raw call gets its -EINTR") {
  House house;
  for (const uint32_t flags : {0u, ACALL_SUBMIT_THREAD_POOL}) {
    const Disturbed disturbance(SYS_faccessat, -EINTR, 3);
    Ticket ticket(house);
    const uint64_t path = support::address_of(house.text("/"));
    const auto entry = support::call(flags, SYS_faccessat, {static_cast<uint64_t>(AT_FDCWD), path});
    CHECK_EQ(ticket.submit(house, entry), 1);
    CHECK_EQ(ticket.wait(), -EINTR);
    CHECK_EQ(entered.load(), 1);
  }
}

TEST("a file that is opened for a handle is known also when the look at it was interrupted") {
  PromiseHouse house;
  const Disturbed disturbance(SYS_statx, -EINTR, 2);
  PathCall path(SYS_openat);
  path.call.args[2] = O_RDONLY | O_CLOEXEC;
  path.call.opens = new (path.call.block->data() + 64) acall::HandleIdentity();
  acall::ResultCarrier carrier;
  path.call.carrier = &carrier;
  CHECK_EQ(path.submit(house), 0);
  const int64_t fd = house.wait(1 | acall::kCarriesDescriptors);
  CHECK(fd >= 0);
  CHECK_EQ(entered.load(), 3);
  if (CHECK(carrier.opened != nullptr)) CHECK_EQ(carrier.opened->is_known, 1u);
  carrier.forget();
  close(static_cast<int>(fd));
}

// The last test, since nothing undoes restrict().
TEST("what restrict() has taken away nobody gets, and nothing else is blamed on it") {
  PromiseHouse house;
  support::Folder folder;
  const std::string from = folder.at("from"), to = folder.at("to");
  folder.file("from", 100);
  std::vector<uint32_t> left;
  for (uint32_t nr = 0; nr < 1024; ++nr) {
    if (nr != SYS_copy_file_range) left.push_back(nr);
  }
  acall::policy_restrict(left);
  {
    // The copy goes on without the call that restrict() has taken away, and then the kernel refuses.
    const Disturbed disturbance(SYS_pwrite64, -EPERM, 1);
    acall::Block* block = acall::file_task_make(from.data(), from.size(), to.data(), to.size(), 0);
    CHECK_EQ(perform(house, acall::kCopyFile, block), -EPERM);
    CHECK_EQ(entered.load(), 1);
    CHECK(!was_refused);
  }
  acall::policy_restrict({});
  for (const Way& way : kWays) {
    const Disturbed disturbance(way.nr, 0, 1000);
    const int64_t result = way.perform(house);
    if (!CHECK_EQ(result, -EPERM) || !CHECK_EQ(entered.load(), 0)) fprintf(stderr, "%s: %ld\n", way.name, result);
    if (way.perform == file_task) CHECK(was_refused);
  }
}
