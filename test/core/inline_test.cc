// ACALL_SUBMIT_INLINE: what is done during acall_submit, what is left to a thread, and that nobody can tell from the
// result. Stats and transfers have files of their own.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <vector>

#include "check.h"
#include "inline_support.h"
#include "support.h"

using namespace support;

TEST("a call that never blocks is complete when acall_submit returns, and needs no thread") {
  House house;
  CHECK_EQ(counters().threads, 0u);
  const Tried tried = try_call(house, SYS_getpid, {});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, getpid());
  CHECK_EQ(counters().threads, 0u);
}

TEST("without the flag it goes to a thread") {
  House house;
  CHECK(!try_call(house, SYS_getpid, {}, kPool).at_once);
}

TEST("a number that no call has is -ENOSYS at once") {
  House house;
  const Tried tried = try_call(house, 0x40000123, {});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, -ENOSYS);
}

TEST("slot, ring and id are there, in the order of submission") {
  House house;
  TestRing ring(house, 16);
  auto* entries = house.make<acall_submission>(8);
  auto* ids = house.make<acall_id>(8);
  auto* slots = house.make<acall_completion>(8);
  for (uint64_t i = 0; i < 8; ++i) {
    entries[i] =
        with_id(into_ring(into_slot(call(kInline, SYS_getppid), &slots[i], i + 1), ring.memory, i + 1), &ids[i]);
  }
  CHECK_EQ(house.submit(entries, 8), 8);
  CHECK_EQ(ring.head(), 8u);
  acall_completion got[8];
  CHECK_EQ(ring.drain(got, 8), 8u);
  for (uint64_t i = 0; i < 8; ++i) {
    CHECK_EQ(got[i].cookie, i + 1);
    CHECK_EQ(static_cast<int64_t>(got[i].return_code), getppid());
    CHECK_EQ(result_of(slots[i]), getppid());
    CHECK(is_complete(ids[i]));
    CHECK_EQ(acall::engine_cancel(ids[i]), -ENOENT);
  }
}

TEST("entries with and without the flag go together") {
  House house;
  TestRing ring(house, 256);
  auto* entries = house.make<acall_submission>(200);
  for (uint64_t i = 0; i < 200; ++i)
    entries[i] = into_ring(call(i % 3 ? kInline : i % 2 ? kPool : kOwn, SYS_getppid), ring.memory, i + 1);
  const uint64_t hits = counters().inline_hits;
  CHECK_EQ(house.submit(entries, 200), 200);
  CHECK_EQ(ring.wait(200), 200u);
  CHECK_EQ(counters().inline_hits - hits, 133u);
  acall_completion got[200];
  CHECK_EQ(ring.drain(got, 200), 200u);
  uint64_t sum = 0;
  for (const auto& completion : got) sum += completion.cookie;
  CHECK_EQ(sum, 200u * 201 / 2);
}

TEST("calls of the calling thread's own state are refused or get their thread, never ours") {
  House house;
  CHECK_EQ(house.submit(call(kInline, SYS_setpriority, {PRIO_PROCESS, 0, 5})), -EPERM);
  const int before = getpriority(PRIO_PROCESS, 0);
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(ACALL_SUBMIT_INLINE, SYS_setpriority, {PRIO_PROCESS, 0, 5})), 1);
  CHECK_EQ(ticket.wait(), 0);
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), before);
}

TEST("what restrict() has taken away is refused with the flag as without it") {
  House house;
  know_mounts(house);
  const int file = open_file("/etc/passwd", O_RDONLY);
  std::vector<uint32_t> left;
  for (uint32_t nr = 0; nr < 1024; ++nr) {
    if (nr != SYS_getpid && nr != SYS_openat2) left.push_back(nr);
  }
  acall::policy_restrict(left);
  CHECK_EQ(house.submit(call(kInline, SYS_getpid)), -EPERM);
  // An inline stat needs openat2, which is not allowed any more: a thread makes the call.
  char* path = house.text("/etc/passwd");
  auto* found = house.make<struct stat>();
  const Tried tried =
      try_call(house, SYS_newfstatat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), address_of(found), 0});
  CHECK(!tried.at_once);
  CHECK_EQ(tried.result, 0);
  CHECK(try_call(house, SYS_fstat, {static_cast<uint64_t>(file), address_of(found)}).at_once);
  close(file);
}

namespace {

// Whether the op's id was complete when its slot was stored. The slot lies in a page that is protected until then.
struct Window {
  static inline const acall_id* id;
  static inline void* page;
  static inline int found;
  static void on_fault(int) {
    acall::Operation* op;
    uint64_t sequence;
    found = static_cast<int>(acall::operation_table().find(*id, &op, &sequence));
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
  }
};

}  // namespace

TEST("whoever sees the id of a call that is done inline does not find it complete before its slot is stored") {
  House house;
  auto* id = house.make<acall_id>();
  void* page = house.alloc(4096, 4096);
  house.alloc(4096, 4096);
  Window::id = id;
  Window::page = page;
  Window::found = -1;
  struct sigaction action {
  }, before;
  action.sa_handler = Window::on_fault;
  sigaction(SIGSEGV, &action, &before);
  mprotect(page, 4096, PROT_READ);
  CHECK_EQ(house.submit(with_id(into_slot(call(kInline, SYS_getppid), static_cast<acall_completion*>(page), 1), id)),
           1);
  sigaction(SIGSEGV, &before, nullptr);
  CHECK_EQ(Window::found, static_cast<int>(acall::OperationTable::Found::kLive));
  CHECK_EQ(wait_for(*id), 1);
}

TEST("completions that wait behind a full ring are stored although no thread of ours lived when they were made") {
  House house;
  auto* memory = house.ring(1);
  until([] { return counters().threads == 0; });  // the supervisor ends when there is nothing to do
  acall_submission batch[5];
  for (uint64_t i = 0; i < 5; ++i) batch[i] = into_ring(call(kInline, SYS_getppid), memory, i + 1);
  CHECK_EQ(house.submit(batch, 5), 5);
  for (uint64_t i = 0; i < 5; ++i) {
    std::atomic_ref<uint64_t> cookie(memory->comps[0].cookie);
    until([&] { return cookie.load(std::memory_order_acquire) != 0; });  // reads memory only
    CHECK_EQ(cookie.load(std::memory_order_relaxed), i + 1);
    cookie.store(0, std::memory_order_release);
  }
}
