// acall_submit: which entries are accepted, which errors others get and in which order, and how ops complete.
#include <sys/resource.h>
#include <sys/syscall.h>

#include <thread>

#include "check.h"
#include "support.h"

using namespace support;

namespace {

int64_t submit_one(House& house, const acall_submission& submission) { return house.submit(&submission, 1); }

std::atomic<uint64_t> entered{0};
int64_t count_entries(acall::CancelWord&, uint32_t, const uint64_t[6]) {
  entered.fetch_add(1);
  return 7;
}

}  // namespace

TEST("no submission at all returns 0 and touches nothing") {
  House house;
  acall::SubmitError error;
  CHECK_EQ(house.submit(nullptr, 0, &error), 0);
  CHECK_EQ(error.error, 0);
}

TEST("entries before a bad one are accepted, and the rest returns its error") {
  House house;
  TestRing ring(house, 16);
  auto* entries = house.make<acall_submission>(6);
  for (int i = 0; i < 6; ++i)
    entries[i] = into_ring(call(kPool, SYS_getppid), ring.memory, static_cast<uint64_t>(i) + 1);
  entries[3].flags |= 1u << 5;
  acall::SubmitError error;
  CHECK_EQ(house.submit(entries, 6, &error), 3);
  CHECK_EQ(error.index, 3u);
  CHECK_EQ(error.error, -EINVAL);
  CHECK_EQ(ring.wait(3), 3u);
  CHECK_EQ(house.submit(entries + 3, 3, &error), -EINVAL);
  CHECK_EQ(error.index, 0u);
  CHECK_EQ(house.submit(entries + 4, 2, &error), 2);
  CHECK_EQ(error.error, 0);
  CHECK_EQ(ring.wait(5), 5u);
  CHECK_EQ(ring.head(), 5u);
}

TEST("a bad entry far behind stops a long submission exactly there") {
  House house(16 << 20);
  const uint32_t count = 5000;
  TestRing ring(house, count);
  auto* entries = house.make<acall_submission>(count);
  auto* ids = house.make<acall_id>(count);
  for (uint32_t i = 0; i < count; ++i) {
    entries[i] = with_id(into_ring(call(kPool, SYS_getppid), ring.memory, i + 1), &ids[i]);
  }
  entries[4321].nr = SYS_exit_group;
  acall::SubmitError error;
  CHECK_EQ(house.submit(entries, count, &error), 4321);
  CHECK_EQ(error.index, 4321u);
  CHECK_EQ(error.error, -EPERM);
  CHECK_EQ(ring.wait(4321), 4321u);
  CHECK(ids[4320].opaque[0] != 0);
  CHECK_EQ(ids[4321].opaque[0], 0u);
  CHECK_EQ(ids[4322].opaque[0], 0u);
}

TEST("of several errors in one entry the first of the list is told") {
  House house;
  acall_completion_ring* empty = house.ring(0);
  acall_submission entry = call(1u << 30, SYS_exit_group, {0, 0x1000, 16});
  entry.completion_ring_pointer = 0x2001;
  entry.completion_pointer = address_of(house.make<uint64_t>(8)) + 4;
  entry.id_pointer = address_of(house.make<uint64_t>(8)) + 1;
  CHECK_EQ(submit_one(house, entry), -EINVAL);  // the flags
  entry.flags = kPool;
  CHECK_EQ(submit_one(house, entry), -EPERM);
  entry.nr = SYS_read;
  CHECK_EQ(submit_one(house, entry), -EFAULT);  // the ring
  entry.completion_ring_pointer = address_of(empty) + 4;
  CHECK_EQ(submit_one(house, entry), -EFAULT);  // the buffer, before the misaligned sinks
  entry.args[1] = address_of(house.alloc(16));
  CHECK_EQ(submit_one(house, entry), -EINVAL);  // the ring's alignment
  entry.completion_ring_pointer = address_of(empty);
  CHECK_EQ(submit_one(house, entry), -EINVAL);  // the slot's
  entry.completion_pointer -= 4;
  CHECK_EQ(submit_one(house, entry), -EINVAL);  // the id's
  entry.id_pointer -= 1;
  CHECK_EQ(submit_one(house, entry), -EINVAL);  // the cookie
  entry.cookie = 1;
  CHECK_EQ(submit_one(house, entry), -EINVAL);  // the ring's nr
  empty->nr = 1;
  entry.nr = SYS_getppid;
  CHECK_EQ(submit_one(house, entry), 1);
}

TEST("sinks must lie whole inside registered memory") {
  House house(1 << 16);
  const uint64_t end = house.begin() + house.size();
  acall_submission plain = call(kPool, SYS_getppid);
  plain.cookie = 1;
  const uint64_t outside[] = {8, end, end + 8, house.begin() - 8, UINT64_MAX - 7, 1ull << 63};
  for (uint64_t address : outside) {
    acall_submission entry = plain;
    entry.completion_ring_pointer = address;
    CHECK_EQ(submit_one(house, entry), -EFAULT);
    entry = plain;
    entry.completion_pointer = address;
    CHECK_EQ(submit_one(house, entry), -EFAULT);
    entry = plain;
    entry.id_pointer = address;
    CHECK_EQ(submit_one(house, entry), -EFAULT);
  }
  acall_submission entry = plain;
  entry.completion_pointer = end - 8;  // half of it
  CHECK_EQ(submit_one(house, entry), -EFAULT);
  entry = plain;
  entry.id_pointer = end - 8;
  CHECK_EQ(submit_one(house, entry), -EFAULT);
  entry = plain;
  entry.completion_ring_pointer = end - 24;
  auto* ring = reinterpret_cast<acall_completion_ring*>(end - 24);
  for (uint32_t nr : {2u, 3u, 0x10000000u, 0xffffffffu}) {
    ring->nr = nr;
    CHECK_EQ(submit_one(house, entry), -EFAULT);
  }
  ring->nr = 1;
  CHECK_EQ(submit_one(house, entry), 1);
  until([&] { return std::atomic_ref<uint64_t>(ring->comps[0].cookie).load(std::memory_order_acquire) != 0; });
  entry = plain;
  entry.completion_pointer = end - 16;
  entry.id_pointer = end - 48;
  CHECK_EQ(submit_one(house, entry), 1);
  wait_for(*reinterpret_cast<acall_id*>(end - 48));
  CHECK_EQ(result_of(*reinterpret_cast<acall_completion*>(end - 16)), getppid());
}

TEST("sinks that are not aligned to 8 are refused") {
  House house;
  TestRing ring(house, 4);
  auto* words = house.make<uint64_t>(16);
  for (uint64_t off = 1; off < 8; ++off) {
    acall_submission entry = call(kPool, SYS_getppid);
    entry.cookie = 1;
    entry.completion_pointer = address_of(words) + off;
    CHECK_EQ(submit_one(house, entry), -EINVAL);
    entry.completion_pointer = 0;
    entry.id_pointer = address_of(words) + off;
    CHECK_EQ(submit_one(house, entry), -EINVAL);
    entry.id_pointer = 0;
    entry.completion_ring_pointer = address_of(ring.memory) + off;
    int64_t refused = submit_one(house, entry);
    CHECK(refused == -EINVAL || refused == -EFAULT);  // nr is read from memory of any content
  }
  CHECK_EQ(words[0], 0u);
}

TEST("a cookie of 0 is refused where somebody would look for it, and nowhere else") {
  House house;
  TestRing ring(house, 4);
  auto* slot = house.make<acall_completion>();
  auto* id = house.make<acall_id>();
  CHECK_EQ(submit_one(house, into_ring(call(kPool, SYS_getppid), ring.memory, 0)), -EINVAL);
  CHECK_EQ(submit_one(house, into_slot(call(kPool, SYS_getppid), slot, 0)), -EINVAL);
  CHECK_EQ(submit_one(house, with_id(call(kPool, SYS_getppid), id)), 1);
  wait_for(*id);
  CHECK_EQ(submit_one(house, call(kPool, SYS_getppid)), 1);
}

TEST("a ring has one nr while anything is in flight for it") {
  House house;
  Pipe pipe;
  acall_completion_ring* ring = house.ring(4);
  auto* id = house.make<acall_id>();
  void* buffer = house.alloc(16);
  CHECK_EQ(
      submit_one(house,
                 with_id(into_ring(call(kPool, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(buffer), 1}),
                                   ring, 1),
                         id)),
      1);
  ring->nr = 3;
  CHECK_EQ(submit_one(house, into_ring(call(kPool, SYS_getppid), ring, 2)), -EINVAL);
  ring->nr = 4;
  pipe.write_bytes();
  wait_for(*id);
  CHECK_EQ(ring->comps[0].cookie, 1u);
  ring->comps[0].cookie = 0;
  ring->head = 0;
  ring->nr = 3;  // no op names the ring any more
  until([&] { return submit_one(house, with_id(into_ring(call(kPool, SYS_getppid), ring, 3), id)) == 1; });
  wait_for(*id);
  CHECK_EQ(ring->comps[0].cookie, 3u);
  CHECK_EQ(ring->head, 1u);
}

TEST("a number the kernel does not have completes with -ENOSYS and never enters it") {
  House house;
  WithSeams seams;
  acall::seams.syscall = count_entries;
  for (uint32_t flags : {kPool, kOwn, kPool | ACALL_SUBMIT_UNSAFE}) {
    for (long nr : {0x40000000l + SYS_getpid, 0x40000000l + 512, 0x7fffffffl, 0xffffffffl}) {
      Ticket ticket(house);
      CHECK_EQ(ticket.submit(house, call(flags, nr)), 1);
      CHECK_EQ(ticket.wait(), -ENOSYS);
    }
  }
  for (long nr : {470l, 1000l,
                  100000l}) {  // above the table: with `unsafe` such calls may run, since newer kernels may have them
    Ticket refused(house), tried(house);
    CHECK_EQ(refused.submit(house, call(kPool, nr)), 1);
    CHECK_EQ(refused.wait(), -ENOSYS);
    CHECK_EQ(entered.load(), 0u);
    CHECK_EQ(tried.submit(house, call(kPool | ACALL_SUBMIT_UNSAFE, nr)), 1);
    CHECK_EQ(tried.wait(), 7);
    CHECK_EQ(entered.exchange(0), 1u);
  }
}

TEST("calls that would break the process are refused everywhere") {
  House house;
  for (long nr : {
         SYS_exit, SYS_exit_group, SYS_clone, SYS_clone3, SYS_execve, SYS_execveat, SYS_rt_sigreturn, SYS_rt_sigaction,
             SYS_rt_sigprocmask, SYS_sigaltstack, SYS_set_tid_address, SYS_set_robust_list, SYS_rseq, SYS_brk,
             SYS_restart_syscall, SYS_seccomp, SYS_ptrace
#if defined(__x86_64__)
             ,
             SYS_fork, SYS_vfork, SYS_arch_prctl, SYS_modify_ldt, SYS_set_thread_area
#endif
       }) {
    for (uint32_t flags : {kPool, kOwn, kPool | ACALL_SUBMIT_UNSAFE, ACALL_SUBMIT_UNSAFE}) {
      if (!CHECK_EQ(submit_one(house, call(flags, nr)), -EPERM))
        std::fprintf(stderr, "number %ld, flags %x\n", nr, flags);
    }
  }
}

TEST("calls about the thread itself run on a thread of their own only") {
  House house;
  for (long nr : {SYS_setuid, SYS_setresgid, SYS_capset, SYS_setns, SYS_unshare, SYS_sched_setaffinity, SYS_setpriority,
                  SYS_ioprio_set, SYS_personality, SYS_set_mempolicy, SYS_keyctl}) {
    if (!CHECK_EQ(submit_one(house, call(kPool, nr)), -EPERM)) std::fprintf(stderr, "number %ld\n", nr);
  }
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(kOwn, SYS_personality, {0xffffffff})), 1);
  CHECK(ticket.wait() >= 0);
}

TEST("what cannot be checked needs the unsafe flag") {
  House house;
  void* page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_EQ(submit_one(house, call(kPool, SYS_munmap, {address_of(page), 4096})), -EPERM);
  CHECK_EQ(msync(page, 4096, MS_ASYNC), 0);
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(kPool | ACALL_SUBMIT_UNSAFE, SYS_munmap, {address_of(page), 4096})), 1);
  CHECK_EQ(ticket.wait(), 0);
  CHECK_EQ(msync(page, 4096, MS_ASYNC), -1);
}

TEST("a submission's memory may be used again as soon as the call returns") {
  House house;
  TestRing ring(house, 4096);
  auto* entries = house.make<acall_submission>(64);
  for (uint32_t round = 0; round < 64; ++round) {
    for (uint32_t i = 0; i < 64; ++i) entries[i] = into_ring(call(kPool, SYS_getppid), ring.memory, round * 64 + i + 1);
    CHECK_EQ(house.submit(entries, 64), 64);
    memset(entries, 0xff, sizeof *entries * 64);
  }
  CHECK_EQ(ring.wait(4096), 4096u);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < 4096; ++i) sum += ring.memory->comps[i].cookie;
  CHECK_EQ(sum, 4096ull * 4097 / 2);
}

namespace order {

struct Scene {
  House* house;
  acall_completion* slot;
  TestRing* ring;
  acall_id* id;
  std::atomic<int> bells{0}, wrong{0};
};
Scene* scene;

// Called by the completing thread: slot, ring and id must be stored before the bell rings.
void ring_bell(void*) {
  scene->wrong += result_of(*scene->slot) != getppid();
  scene->wrong += scene->ring->cookie(0).load() == 0;
  scene->wrong += !is_complete(*scene->id);
  scene->bells++;
}

}  // namespace order

TEST("completion goes slot, ring, id, event loop") {
  House house;
  order::Scene scene{};
  order::scene = &scene;
  scene.house = &house;
  house.environment->hooks.ring_bell = order::ring_bell;
  {
    acall::Hold hold(acall::arenas_lock);
    CHECK(acall::arena_pin(*house.arena));  // else the last unpin of the op rings the bell too
  }
  for (int round = 0; round < 500; ++round) {
    TestRing ring(house, 1);
    scene.ring = &ring;
    scene.slot = house.make<acall_completion>();
    scene.id = house.make<acall_id>();
    acall::ring_set_referenced(*ring.record, *house.environment,
                               false);  // else the last op that keeps the loop alive rings too
    CHECK(acall::ring_watch(*ring.record, *house.environment, 1));
    const int bells = scene.bells;
    std::atomic<bool> saw_ring_without_slot{false};
    std::thread reader([&] {
      until([&] { return ring.cookie(0).load(std::memory_order_acquire) != 0; });
      saw_ring_without_slot =
          result_of(*scene.slot) != getppid() || ring.memory->comps[0].return_code != static_cast<uint64_t>(getppid());
    });
    acall_submission entry = with_id(into_ring(call(round % 2 ? kPool : kOwn, SYS_getppid), ring.memory, 5), scene.id);
    entry.completion_pointer = address_of(scene.slot);
    CHECK_EQ(submit_one(house, entry), 1);
    CHECK_EQ(wait_for(*scene.id), 1);
    CHECK_EQ(ring.memory->comps[0].cookie, 5u);
    CHECK_EQ(result_of(*scene.slot), getppid());
    reader.join();
    CHECK(!saw_ring_without_slot);
    until([&] { return scene.bells > bells; });
    acall::environment_turn(*house.environment);
    acall::ring_unwatch(*ring.record, *house.environment);
  }
  house.environment->hooks.ring_bell = nullptr;  // the last unpin rings the bell, and the test's ring is gone
  acall::arena_unpin(*house.arena);
  CHECK_EQ(scene.wrong.load(), 0);
}

TEST("results of every kind arrive as the kernel gave them") {
  House house;
  Pipe pipe;
  char* buffer = static_cast<char*>(house.alloc(64));
  char* nowhere = house.text("/no/such/file");
  struct {
    acall_submission submission;
    int64_t expected;
  } const cases[] = {
      {call(kPool, SYS_getppid), getppid()},
      {call(kPool, SYS_openat, {static_cast<uint64_t>(AT_FDCWD), address_of(nowhere), O_RDONLY}), -ENOENT},
      {call(kPool, SYS_read, {static_cast<uint64_t>(-1), address_of(buffer), 1}), -EBADF},
      {call(kPool, SYS_write, {static_cast<uint64_t>(pipe.write_end), address_of(buffer), 33}), 33},
      {call(kPool, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(buffer), 64}), 33},
      {call(kPool, SYS_lseek, {static_cast<uint64_t>(pipe.read_end), 0, SEEK_CUR}), -ESPIPE},
  };
  for (uint32_t own : {0u, 1u}) {
    for (const auto& c : cases) {
      acall_submission submission = c.submission;
      if (own) submission.flags = kOwn;
      Ticket ticket(house);
      CHECK_EQ(ticket.submit(house, submission), 1);
      CHECK_EQ(ticket.wait(), c.expected);
    }
  }
}
