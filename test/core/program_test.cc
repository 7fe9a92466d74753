// Programs of async_exec: what runs on the calling thread, stop masks and skips, late-bound arguments, refusals at run
// time, the bound on steps, cancels between and inside atoms, async_wait; and random programs against the same calls
// made one by one.
#include "program.h"

#include <sys/stat.h>

#include <thread>

#include "check.h"
#include "descriptors.h"
#include "support.h"

using namespace support;

namespace {

// Programs in the memory of a house, atom by atom. Arguments are words of their own.
struct Builder {
  House& house;

  uint64_t* word(uint64_t value) {
    auto* result = house.make<uint64_t>();
    *result = value;
    return result;
  }

  // `count` atoms back to back, each followed by the next.
  syslet_uatom* atoms(uint32_t count) {
    auto* first = house.make<syslet_uatom>(count);
    memset(first, 0, sizeof(syslet_uatom) * count);
    for (uint32_t i = 0; i + 1 < count; ++i) first[i].next = address_of(&first[i + 1]);
    return first;
  }

  void fill(syslet_uatom& atom, long nr, std::initializer_list<uint64_t*> args, uint32_t flags = 0,
            uint64_t* result = nullptr) {
    atom.nr = static_cast<uint32_t>(nr);
    atom.flags = flags;
    atom.ret_ptr = address_of(result);
    int i = 0;
    for (uint64_t* arg : args) atom.arg_ptr[i++] = address_of(arg);
  }
};

constexpr int kEnded = 0, kPending = 1;

int exec(House& house, const syslet_uatom* atom, const TestRing& ring, uint64_t* last, acall_id* id = nullptr) {
  return acall::engine_exec_program(*house.environment, address_of(atom), address_of(ring.memory), address_of(id), {},
                                    last);
}

// Runs a program to its end wherever that is: the atom it ended at and its result.
acall_completion finish(House& house, const syslet_uatom* atom, TestRing& ring) {
  uint64_t last = 0;
  const int started = exec(house, atom, ring, &last);
  if (started == kEnded) return {0, last};
  CHECK_EQ(started, kPending);
  acall_completion completion{};
  acall::wait_for_ring(*ring.record, ring.head(), 1, for_ever(), true);
  CHECK_EQ(ring.drain(&completion, 1), 1u);
  return completion;
}

int64_t code(const acall_completion& completion) { return static_cast<int64_t>(completion.return_code); }

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
  char path[] = "/tmp/acall-program-XXXXXX";
  const int made = mkstemp(path);
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
  int descriptors[2];
  for (uint32_t i = 0; i < 2; ++i) {  // the first wait of a thread keeps a descriptor
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
    descriptors[i] = open_descriptors();
  }
  CHECK_EQ(descriptors[0], descriptors[1]);
  unlink(path);
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
  CHECK_EQ(code(finish(house, atoms, ring)), -EFAULT);
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
  // What may not run at all, and numbers that are none.
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
  // A thread that writes as soon as the read sleeps in the pool.
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
  // The second one has no SYNC: the caller comes back before it.
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
      if (i % 3 == 0) {  // holds arena memory in the kernel
        build.fill(
            atoms[0], SYS_read,
            {build.word(static_cast<uint64_t>(pipe.read_end)), build.word(address_of(house.alloc(16))), build.word(1)});
      } else if (i % 3 == 1) {  // blocks without
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
    house.detach();  // the memory is unmapped behind it
  }
}

TEST("random programs do what the same calls do one by one") {
  House house(4 << 20);
  TestRing ring(house, 16);
  Random random(7);
  char folder[] = "/tmp/acall-programs-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  for (int round = 0; round < 300; ++round) {
    Builder build{house};
    constexpr uint32_t kAtoms = 12;
    auto* atoms = build.atoms(kAtoms);
    uint64_t* results[kAtoms];
    struct Plain {
      long nr;
      uint64_t* args[3];
      uint32_t flags;
      uint32_t next;
    } plain[kAtoms];
    uint64_t* counter = build.word(0);
    uint64_t* model_counter = build.word(0);
    char name[64];
    snprintf(name, sizeof name, "%s/f%u", folder, random.below(4));
    uint64_t* path = build.word(address_of(house.text(name)));
    uint64_t* buffer = build.word(address_of(house.alloc(64)));
    for (uint32_t i = 0; i < kAtoms; ++i) {
      results[i] = build.word(99);
      Plain& one = plain[i];
      one = {};
      uint64_t* earlier = i > 0 && random.below(2) ? results[random.below(i)] : build.word(random.below(5));
      switch (random.below(6)) {
        case 0:
          one = {SYS_faccessat, {build.word(static_cast<uint64_t>(AT_FDCWD)), path, build.word(0)}, 0, 0};
          break;
        case 1:
          one = {SYS_mkdirat, {build.word(static_cast<uint64_t>(AT_FDCWD)), path, build.word(0700)}, 0, 0};
          break;
        case 2:
          one = {SYS_unlinkat, {build.word(static_cast<uint64_t>(AT_FDCWD)), path, build.word(AT_REMOVEDIR)}, 0, 0};
          break;
        case 3:
          one = {SYSLET_NR_UMEM_ADD, {build.word(0), earlier}, 0, 0};
          break;
        case 4:
          one = {SYS_readlink, {path, buffer, earlier}, 0, 0};
          break;
        default:
          one = {SYS_getpriority, {earlier, build.word(0)}, 0, 0};
          break;
      }
      one.flags =
          random.below(4) ? 0 : (1u << (3 + random.below(4))) | (random.below(2) ? SYSLET_SKIP_TO_NEXT_ON_STOP : 0);
      one.next = i + 1 + (random.below(4) == 0 ? random.below(3) : 0);  // forward only
      build.fill(atoms[i], one.nr, {}, one.flags, results[i]);
      for (int a = 0; a < 3; ++a) atoms[i].arg_ptr[a] = address_of(one.args[a]);
      if (one.nr == SYSLET_NR_UMEM_ADD) *one.args[0] = address_of(counter);
      atoms[i].next = one.next < kAtoms ? address_of(&atoms[one.next]) : 0;
      if (i == kAtoms - 1) atoms[i].flags &= ~SYSLET_SKIP_TO_NEXT_ON_STOP;
    }
    uint32_t at = 0, last = 0;
    uint64_t model[kAtoms];
    // First the model, with results of its own, on the same tree; then the tree is put back.
    for (uint64_t& value : model) value = 99;
    auto value_of = [&](uint64_t* arg) {
      for (uint32_t i = 0; i < kAtoms; ++i) {
        if (arg == results[i]) return model[i];
      }
      return arg == nullptr ? uint64_t{0} : *arg;
    };
    const bool existed = access(name, F_OK) == 0;
    while (at < kAtoms) {
      const Plain& one = plain[at];
      int64_t result;
      if (one.nr == SYSLET_NR_UMEM_ADD) {
        result = static_cast<int64_t>(*model_counter += value_of(one.args[1]));
      } else {
        result = syscall(one.nr, value_of(one.args[0]), value_of(one.args[1]), value_of(one.args[2]));
        if (result == -1) result = -errno;
      }
      model[at] = static_cast<uint64_t>(result);
      last = at;
      const uint32_t flags = atoms[at].flags;
      const bool stops =
          ((flags & SYSLET_STOP_ON_NONZERO) && result != 0) || ((flags & SYSLET_STOP_ON_ZERO) && result == 0) ||
          ((flags & SYSLET_STOP_ON_NEGATIVE) && result < 0) || ((flags & SYSLET_STOP_ON_NON_POSITIVE) && result <= 0);
      if (stops && !(flags & SYSLET_SKIP_TO_NEXT_ON_STOP)) break;
      at = stops ? at + 1 : one.next;
    }
    if (existed)
      mkdir(name, 0700);
    else
      rmdir(name);
    const acall_completion completion = finish(house, atoms, ring);
    CHECK_EQ(completion.cookie, address_of(&atoms[last]));
    for (uint32_t i = 0; i < kAtoms; ++i) CHECK_EQ(*results[i], model[i]);
    CHECK_EQ(*counter, *model_counter);
  }
  for (int i = 0; i < 4; ++i) {
    char name[64];
    snprintf(name, sizeof name, "%s/f%d", folder, i);
    rmdir(name);
  }
  CHECK_EQ(rmdir(folder), 0);
}
