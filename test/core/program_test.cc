// Programs of async_exec: which atoms run on the calling thread, stop masks and skips, late-bound arguments, refusals
// at run time, the bound on steps, cancels between and inside atoms, async_wait, inline calls.
#include <sys/stat.h>
#include <sys/uio.h>

#include <thread>

#include "program_support.h"
#include "temporary.h"

using namespace support;

namespace {

const timespec kPoll{0, 0};
acall::WaitLimits poll_only() {
  acall::WaitLimits limits;
  limits.timeout = &kPoll;
  return limits;
}

}  // namespace

TEST("calls that never block run on the calling thread and leave no completion") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  auto* atoms = build.atoms(2);
  uint64_t *pid = build.word(0), *counter = build.word(40);
  build.fill(atoms[0], SYS_getpid, {}, 0, pid);
  build.fill(atoms[1], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(2)});
  uint64_t last = 0;
  CHECK_EQ(exec(house, atoms, ring, &last), kEnded);
  CHECK_EQ(last, address_of(&atoms[1]));
  CHECK_EQ(*pid, getpid());
  CHECK_EQ(*counter, 42u);
  CHECK_EQ(ring.head(), 0u);
  CHECK_EQ(acall::ring_available(*ring.record), 0u);
  CHECK_EQ(acall::wait_for_ring(*ring.record, 0, 1, for_ever(), true), 0);  // nothing is pending
}

TEST("the result of one atom is the argument of a later one: open, fstat, read, close") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  const std::string folder = make_temporary(), file = folder + "/file";
  const char* path = file.c_str();
  const int made = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  CHECK_EQ(write(made, "hello", 5), 5);
  close(made);
  auto* atoms = build.atoms(4);
  uint64_t *fd = build.word(0), *length = build.word(0);
  auto* content = static_cast<char*>(house.alloc(64));
  auto* stats = house.make<struct stat>();
  build.fill(atoms[0], SYS_openat,
             {build.word(AT_FDCWD), build.word(address_of(house.text(path))), build.word(O_RDONLY)},
             SYSLET_STOP_ON_NEGATIVE, fd);
  build.fill(atoms[1], SYS_fstat, {fd, build.word(address_of(stats))}, SYSLET_STOP_ON_NEGATIVE);
  build.fill(atoms[2], SYS_read, {fd, build.word(address_of(content)), build.word(64)}, SYSLET_STOP_ON_NEGATIVE,
             length);
  build.fill(atoms[3], SYS_close, {fd}, SYSLET_STOP_ON_NEGATIVE);
  for (uint32_t i = 0; i < 2; ++i) {
    uint64_t last = 0;
    CHECK_EQ(exec(house, atoms, ring, &last), kPending);
    CHECK_EQ(ring.wait(1, i), 1u);
    acall_completion completion;
    CHECK_EQ(ring.drain(&completion, 1), 1u);
    CHECK_EQ(completion.cookie, address_of(&atoms[3]));
    CHECK_EQ(code(completion), 0);
    CHECK_EQ(*length, 5u);
    CHECK_EQ(memcmp(content, "hello", 5), 0);
    CHECK_EQ(stats->st_size, 5);
    CHECK_EQ(open_files(path), 0);
  }
  unlink(path);
  rmdir(folder.c_str());
}

TEST("each stop mask stops on its results and on no other") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  const struct {
    uint32_t flag;
    bool negative, zero, positive;
  } masks[] = {{SYSLET_STOP_ON_NONZERO, true, false, true},
               {SYSLET_STOP_ON_ZERO, false, true, false},
               {SYSLET_STOP_ON_NEGATIVE, true, false, false},
               {SYSLET_STOP_ON_NON_POSITIVE, true, true, false},
               {SYSLET_STOP_ON_ZERO | SYSLET_STOP_ON_NEGATIVE, true, true, false},
               {0, false, false, false}};
  for (const auto& mask : masks) {
    for (int64_t value : {-5, 0, 5}) {
      const bool stops = value < 0 ? mask.negative : value == 0 ? mask.zero : mask.positive;
      for (uint32_t skip : {0u, SYSLET_SKIP_TO_NEXT_ON_STOP}) {
        auto* atoms = build.atoms(3);
        uint64_t *tested = build.word(static_cast<uint64_t>(value)), *marks = build.word(0);
        build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(tested))}, mask.flag | skip);
        atoms[0].next = address_of(&atoms[2]);
        build.fill(atoms[1], SYSLET_NR_UMEM_ADD, {build.word(address_of(marks)), build.word(1)});
        build.fill(atoms[2], SYSLET_NR_UMEM_ADD, {build.word(address_of(marks)), build.word(10)});
        uint64_t last = 0;
        CHECK_EQ(exec(house, atoms, ring, &last), kEnded);
        CHECK_EQ(*marks, !stops ? 10u : skip ? 11u : 0u);
        CHECK_EQ(last, address_of(&atoms[stops && !skip ? 0 : 2]));
      }
    }
  }
}

TEST("a loop counts down with umem_add and ends by its stop mask") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  auto* atoms = build.atoms(2);
  uint64_t *left = build.word(100), *sum = build.word(0);
  build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(sum)), left});
  build.fill(atoms[1], SYSLET_NR_UMEM_ADD, {build.word(address_of(left)), build.word(UINT64_MAX)}, SYSLET_STOP_ON_ZERO);
  atoms[1].next = address_of(&atoms[0]);
  uint64_t last = 0;
  CHECK_EQ(exec(house, atoms, ring, &last), kEnded);
  CHECK_EQ(*sum, 5050u);
}

TEST("an endless loop ends with -ELOOP, after some steps here and the rest in the pool") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  auto* atoms = build.atoms(1);
  uint64_t* counter = build.word(0);
  build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(1)});
  atoms[0].next = address_of(atoms);
  uint64_t last = 0;
  CHECK_EQ(exec(house, atoms, ring, &last), kPending);
  ring.wait(1);
  acall_completion completion;
  CHECK_EQ(ring.drain(&completion, 1), 1u);
  CHECK_EQ(code(completion), -ELOOP);
  CHECK_EQ(completion.cookie, address_of(atoms));
  CHECK_EQ(*counter, acall::kMaxProgramSteps);
}

TEST("what is refused before anything runs is told at once") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  auto* atoms = build.atoms(1);
  uint64_t* counter = build.word(0);
  build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(1)});
  uint64_t last = 0;
  auto start = [&](uint64_t atom, uint64_t to) {
    return acall::engine_exec_program(*house.environment, atom, to, 0, {}, &last);
  };
  const uint64_t good = address_of(atoms), sink = address_of(ring.memory);
  CHECK_EQ(start(0, sink), -EFAULT);
  CHECK_EQ(start(good, 0), -EFAULT);
  CHECK_EQ(start(house.begin() + house.size() - 72, sink), -EFAULT);
  CHECK_EQ(start(good + 4, sink), -EINVAL);
  syslet_uatom outside{};
  CHECK_EQ(start(address_of(&outside), sink), -EFAULT);
  for (uint32_t bit = 8; bit < 32; ++bit) {
    atoms[0].flags = 1u << bit;
    CHECK_EQ(start(good, sink), -EINVAL);
  }
  atoms[0].flags = 0;
  auto* empty = house.ring(4);
  empty->nr = 0;
  CHECK_EQ(start(good, address_of(empty)), -EINVAL);
  CHECK_EQ(*counter, 0u);
  acall::environment_turn(*house.environment);
  CHECK_EQ(house.holds.load(), 0);
  CHECK_EQ(start(good, sink), kEnded);
  CHECK_EQ(*counter, 1u);
}

TEST("an atom that cannot be run ends its program through the ring") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  auto* atoms = build.atoms(2);
  uint64_t* counter = build.word(0);
  build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(1)});
  syslet_uatom outside{};
  for (const auto& [next, error] :
       {std::pair<uint64_t, int>{address_of(&outside), -EFAULT}, {8, -EFAULT}, {address_of(&atoms[1]) + 1, -EINVAL}}) {
    atoms[0].next = next;
    const acall_completion completion = finish(house, atoms, ring);
    CHECK_EQ(completion.cookie, next);
    CHECK_EQ(code(completion), error);
  }
  atoms[0].next = address_of(&atoms[1]);
  atoms[1].flags = 0x100;
  const acall_completion completion = finish(house, atoms, ring);
  CHECK_EQ(completion.cookie, address_of(&atoms[1]));
  CHECK_EQ(code(completion), -EINVAL);
  CHECK_EQ(*counter, 4u);
}

TEST("pointers that lead out of the arenas are the atom's -EFAULT, also when they were computed") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  Pipe pipe;
  pipe.write_bytes(16);
  char outside[16] = {};
  uint64_t* result = build.word(0);
  auto* buffer = static_cast<char*>(house.alloc(16));
  // The pointer starts inside and is moved outside by the program itself.
  uint64_t* pointer = build.word(address_of(buffer));
  auto* atoms = build.atoms(2);
  build.fill(atoms[0], SYSLET_NR_UMEM_ADD,
             {build.word(address_of(pointer)), build.word(address_of(outside) - address_of(buffer))});
  build.fill(atoms[1], SYS_read, {build.word(static_cast<uint64_t>(pipe.read_end)), pointer, build.word(16)}, 0,
             result);
  finish(house, atoms, ring);
  CHECK_EQ(*result, static_cast<uint64_t>(-EFAULT));
  // An argument, a result or a counter outside.
  uint64_t word = 7;
  auto* one = build.atoms(1);
  build.fill(one[0], SYS_getpid, {}, SYSLET_STOP_ON_NEGATIVE);
  one[0].arg_ptr[0] = address_of(&word);
  CHECK_EQ(finish(house, one, ring).cookie, address_of(one));
  build.fill(one[0], SYS_getpid, {}, 0, &word);
  one[0].arg_ptr[0] = 0;
  finish(house, one, ring);
  CHECK_EQ(word, 7u);
  build.fill(one[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(&word)), build.word(1)}, 0, result);
  finish(house, one, ring);
  CHECK_EQ(static_cast<int64_t>(*result), -EFAULT);
  CHECK_EQ(word, 7u);
  // Calls that may never run, and numbers without a call.
  for (const auto& [nr, error] : {std::pair<long, int>{SYS_exit_group, -EPERM},
                                  {SYS_setuid, -EPERM},
                                  {SYS_munmap, -EPERM},
                                  {100000, -ENOSYS},
                                  {SYSLET_NR_CLOSE, -ENOSYS},
                                  {SYSLET_NR_SET, -ENOSYS},
                                  {0xffffffff, -ENOSYS}}) {
    build.fill(one[0], nr, {build.word(0), build.word(0)}, 0, result);
    finish(house, one, ring);
    CHECK_EQ(static_cast<int64_t>(*result), error);
  }
}

TEST("ASYNC goes to the pool at once, NO_COMPLETE leaves no entry, and async_wait ends all the same") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  auto* atoms = build.atoms(1);
  uint64_t* counter = build.word(0);
  build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(1)}, SYSLET_ASYNC);
  uint64_t last = 0;
  CHECK_EQ(exec(house, atoms, ring, &last), kPending);
  CHECK_EQ(acall::wait_for_ring(*ring.record, 0, 1, for_ever(), true), 1);
  atoms[0].flags = SYSLET_ASYNC | SYSLET_NO_COMPLETE;
  for (int i = 0; i < 100; ++i) {
    CHECK_EQ(exec(house, atoms, ring, &last), kPending);
    CHECK_EQ(acall::wait_for_ring(*ring.record, 1, 1, for_ever(), true), 0);
  }
  CHECK_EQ(*counter, 101u);
  CHECK_EQ(ring.head(), 1u);
}

TEST("SYNC waits for its atom, and what follows it may still go on alone") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  Pipe first, second;
  auto* buffer = static_cast<char*>(house.alloc(16));
  auto read_of = [&](syslet_uatom& atom, const Pipe& pipe, uint32_t flags) {
    build.fill(atom, SYS_read,
               {build.word(static_cast<uint64_t>(pipe.read_end)), build.word(address_of(buffer)), build.word(1)},
               flags);
  };
  auto* atoms = build.atoms(2);
  read_of(atoms[0], first, SYSLET_SYNC);
  build.fill(atoms[1], SYS_getpid, {});
  uint64_t last = 0;
  // A thread writes as soon as the read sleeps in the pool.
  auto later = [](Pipe& pipe) {
    return std::thread([&pipe] {
      until([] { return counters().running > 0; });
      pipe.write_bytes();
    });
  };
  std::thread writer = later(first);
  CHECK_EQ(exec(house, atoms, ring, &last), kEnded);
  writer.join();
  CHECK_EQ(last, address_of(&atoms[1]));
  CHECK_EQ(ring.head(), 0u);
  // The second atom has no SYNC: async_exec returns before it.
  read_of(atoms[1], second, 0);
  writer = later(first);
  CHECK_EQ(exec(house, atoms, ring, &last), kPending);
  writer.join();
  CHECK_EQ(acall::wait_for_ring(*ring.record, 0, 1, poll_only(), true), 0);
  second.write_bytes();
  CHECK_EQ(ring.wait(1), 1u);
}

TEST("a caller whose environment is ending leaves its SYNC program to the ring") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  Pipe pipe;
  auto* atoms = build.atoms(1);
  build.fill(atoms[0], SYS_read,
             {build.word(static_cast<uint64_t>(pipe.read_end)), build.word(address_of(house.alloc(16))), build.word(1)},
             SYSLET_SYNC);
  acall::Liveness dead{[](void*) { return false; }, nullptr};
  uint64_t last = 0;
  CHECK_EQ(acall::engine_exec_program(*house.environment, address_of(atoms), address_of(ring.memory), 0, dead, &last),
           kPending);
  pipe.write_bytes();
  CHECK_EQ(ring.wait(1), 1u);
}

TEST("a cancel inside an atom ends the program there") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  Pipe pipe;
  auto* id = house.make<acall_id>();
  auto* atoms = build.atoms(2);
  uint64_t* marks = build.word(0);
  build.fill(
      atoms[0], SYS_read,
      {build.word(static_cast<uint64_t>(pipe.read_end)), build.word(address_of(house.alloc(16))), build.word(1)});
  build.fill(atoms[1], SYSLET_NR_UMEM_ADD, {build.word(address_of(marks)), build.word(1)});
  for (int i = 0; i < 200; ++i) {
    uint64_t last = 0;
    CHECK_EQ(exec(house, atoms, ring, &last, id), kPending);
    CHECK_EQ(acall::engine_cancel(*id), 0);
    wait_for(*id);
    acall_completion completion;
    CHECK_EQ(ring.drain(&completion, 1), 1u);
    CHECK_EQ(completion.cookie, address_of(&atoms[0]));
    CHECK(code(completion) == -EINTR || code(completion) == -ECANCELED);
  }
  CHECK_EQ(*marks, 0u);
}

TEST("a cancel between atoms ends an endless program") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  auto* id = house.make<acall_id>();
  auto* atoms = build.atoms(1);
  auto* counter = build.word(0);
  build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(1)}, SYSLET_ASYNC);
  atoms[0].next = address_of(atoms);
  uint64_t last = 0;
  CHECK_EQ(exec(house, atoms, ring, &last, id), kPending);
  until([&] { return std::atomic_ref<uint64_t>(*counter).load() > 10; });
  const int answer = acall::engine_cancel(*id);
  wait_for(*id);
  acall_completion completion;
  CHECK_EQ(ring.drain(&completion, 1), 1u);
  CHECK_EQ(code(completion), answer == 0 && *counter < acall::kMaxProgramSteps ? -ECANCELED : -ELOOP);
}

TEST("an environment ends while its program is in the kernel or between atoms") {
  for (int i = 0; i < 60; ++i) {
    House house;
    Builder build{house};
    Pipe pipe;
    {
      TestRing ring(house, 4);
      auto* atoms = build.atoms(2);
      uint64_t* counter = build.word(0);
      if (i % 3 == 0) {  // the kernel has an address in the arena
        build.fill(
            atoms[0], SYS_read,
            {build.word(static_cast<uint64_t>(pipe.read_end)), build.word(address_of(house.alloc(16))), build.word(1)});
      } else if (i % 3 == 1) {  // blocks without one
        build.fill(atoms[0], SYS_flock,
                   {build.word(static_cast<uint64_t>(pipe.read_end)), build.word(2 /* LOCK_EX */)});
        atoms[0].next = address_of(&atoms[0]);
      } else {
        build.fill(atoms[0], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(1)}, SYSLET_ASYNC);
        atoms[0].next = address_of(&atoms[0]);
      }
      build.fill(atoms[1], SYSLET_NR_UMEM_ADD, {build.word(address_of(counter)), build.word(1)});
      uint64_t last = 0;
      CHECK_EQ(exec(house, atoms, ring, &last), kPending);
    }
    house.detach();  // afterwards the memory is unmapped
  }
}

namespace {

struct Stream {
  Stream() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) abort();
  }
  ~Stream() {
    for (int fd : ends) close(fd);
  }
  void write_bytes(size_t count) {
    const char bytes[16] = {};
    CHECK_EQ(write(ends[1], bytes, count), static_cast<ssize_t>(count));
  }
  int ends[2];
};

}  // namespace

TEST("what can be done without waiting is done on the calling thread: stats, and reads of what is there") {
  House house;
  Builder build{house};
  TestRing ring(house, 4);
  Stream stream;
  stream.write_bytes(5);
  auto* atoms = build.atoms(2);
  auto* stats = static_cast<char*>(house.alloc(256));
  uint64_t* length = build.word(0);
  build.fill(atoms[0], SYS_fstat, {build.word(static_cast<uint64_t>(stream.ends[0])), build.word(address_of(stats))});
  build.fill(
      atoms[1], SYS_read,
      {build.word(static_cast<uint64_t>(stream.ends[0])), build.word(address_of(house.alloc(16))), build.word(16)}, 0,
      length);
  const acall_completion completion = finish(house, &atoms[1], ring);
  CHECK_EQ(completion.cookie, address_of(&atoms[1]));
  CHECK_EQ(*length, 5u);
  CHECK_EQ(ring.head(), 0u);
  // The socket is empty now, and the same atom waits in the pool.
  uint64_t last = 0;
  CHECK_EQ(exec(house, &atoms[1], ring, &last), kPending);
  stream.write_bytes(3);
  CHECK_EQ(ring.wait(1), 1u);
  CHECK_EQ(*length, 3u);
}

TEST("a write that is begun at once and ended in the pool has written each byte once") {
  House house(8 << 20);
  Builder build{house};
  TestRing ring(house, 4);
  Stream stream;
  constexpr size_t kBytes = 2'000'000;  // more than the socket has room for
  auto* bytes = static_cast<unsigned char*>(house.alloc(kBytes));
  for (size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<unsigned char>(i * 31 >> 3);
  auto* atoms = build.atoms(2);
  uint64_t *written = build.word(0), *marks = build.word(0);
  build.fill(atoms[0], SYS_write,
             {build.word(static_cast<uint64_t>(stream.ends[1])), build.word(address_of(bytes)), build.word(kBytes)}, 0,
             written);
  build.fill(atoms[1], SYSLET_NR_UMEM_ADD, {build.word(address_of(marks)), build.word(1)});
  auto* id = house.make<acall_id>();
  for (bool cancels : {false, true}) {
    *written = 0;
    uint64_t last = 0;
    CHECK_EQ(exec(house, atoms, ring, &last, id), kPending);
    static unsigned char got[kBytes];
    size_t read_so_far = 0;
    if (cancels) {
      acall::engine_cancel(*id);
    } else {
      while (read_so_far < kBytes) {
        const ssize_t count = read(stream.ends[0], got + read_so_far, kBytes - read_so_far);
        if (count <= 0) break;
        read_so_far += static_cast<size_t>(count);
      }
    }
    wait_for(*id);
    acall_completion completion{};
    CHECK_EQ(ring.drain(&completion, 1), 1u);
    if (cancels) {
      // Cancelled in the queue: the bytes in the socket are the op's result. Cancelled in the kernel: they are the
      // atom's, and the next atom does not run.
      const bool queued = completion.cookie == address_of(&atoms[0]);
      const int64_t begun = queued ? code(completion) : static_cast<int64_t>(*written);
      CHECK(begun > 0 && begun < static_cast<int64_t>(kBytes));
      if (!queued) CHECK_EQ(code(completion), -ECANCELED);
      CHECK_EQ(*marks, 1u);
    } else {
      CHECK_EQ(memcmp(bytes, got, kBytes), 0);
      CHECK_EQ(*written, kBytes);
      CHECK_EQ(completion.cookie, address_of(&atoms[1]));
      CHECK_EQ(*marks, 1u);
    }
  }
}
