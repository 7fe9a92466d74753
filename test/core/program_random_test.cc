// Random programs of async_exec compared with the same calls made one by one: results, stops, last atoms.
#include <sys/stat.h>

#include "program_support.h"
#include "temporary.h"

using namespace support;

TEST("random programs do what the same calls do one by one") {
  House house(4 << 20);
  TestRing ring(house, 16);
  Random random(7);
  const std::string made = make_temporary();
  const char* folder = made.c_str();
  for (int round = 0; round < 300; ++round) {
    Builder build{house};
    constexpr uint32_t kAtoms = 12;
    auto* atoms = build.atoms(kAtoms);
    uint64_t* results[kAtoms];
    struct Plain {
      long nr;
      uint64_t* args[4];
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
          one = {SYS_readlinkat, {build.word(static_cast<uint64_t>(AT_FDCWD)), path, buffer, earlier}, 0, 0};
          break;
        default:
          one = {SYS_getpriority, {earlier, build.word(0)}, 0, 0};
          break;
      }
      one.flags =
          random.below(4) ? 0 : (1u << (3 + random.below(4))) | (random.below(2) ? SYSLET_SKIP_TO_NEXT_ON_STOP : 0);
      one.next = i + 1 + (random.below(4) == 0 ? random.below(3) : 0);  // forward only
      build.fill(atoms[i], one.nr, {}, one.flags, results[i]);
      for (int a = 0; a < 4; ++a) atoms[i].arg_ptr[a] = address_of(one.args[a]);
      if (one.nr == SYSLET_NR_UMEM_ADD) *one.args[0] = address_of(counter);
      atoms[i].next = one.next < kAtoms ? address_of(&atoms[one.next]) : 0;
      if (i == kAtoms - 1) atoms[i].flags &= ~SYSLET_SKIP_TO_NEXT_ON_STOP;
    }
    uint32_t at = 0, last = 0;
    uint64_t model[kAtoms];
    // First the model on the same tree, with results of its own; then the tree is restored.
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
        result =
            syscall(one.nr, value_of(one.args[0]), value_of(one.args[1]), value_of(one.args[2]), value_of(one.args[3]));
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
    if (existed) {
      mkdir(name, 0700);
    } else {
      rmdir(name);
    }
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
