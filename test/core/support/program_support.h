// Support for tests of programs: atoms in the memory of a house, and the number of open descriptors of a file.
#ifndef ACALL_TEST_CORE_PROGRAM_SUPPORT_H_
#define ACALL_TEST_CORE_PROGRAM_SUPPORT_H_

#include "check.h"
#include "programs/program.h"
#include "support.h"

namespace support {

// Descriptors of files whose path ends like this; those of the engine's own and of waits do not count.
inline int open_files(const char* end) {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (dirent* entry = readdir(folder)) {
    char target[512];
    const ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target);
    const auto wanted = static_cast<ssize_t>(strlen(end));
    count += length >= wanted && memcmp(target + length - wanted, end, static_cast<size_t>(wanted)) == 0;
  }
  closedir(folder);
  return count;
}

// Programs atom by atom. Arguments are words of their own.
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

// The results of async_exec.
inline constexpr int kEnded = 0, kPending = 1;

inline int exec(House& house, const syslet_uatom* atom, const TestRing& ring, uint64_t* last, acall_id* id = nullptr) {
  return acall::engine_exec_program(*house.environment, address_of(atom), address_of(ring.memory), address_of(id), {},
                                    last);
}

// Runs a program to its end, inline or in the pool. Returns its last atom, and its result when it ended in the pool.
inline acall_completion finish(House& house, const syslet_uatom* atom, TestRing& ring) {
  uint64_t last = 0;
  const int started = exec(house, atom, ring, &last);
  if (started == kEnded) return {0, last};
  CHECK_EQ(started, kPending);
  acall_completion completion{};
  const uint32_t seen = ring.head();
  if (acall::ring_available(*ring.record) == 0) acall::wait_for_ring(*ring.record, seen, 1, for_ever(), true);
  CHECK_EQ(ring.drain(&completion, 1), 1u);
  return completion;
}

inline int64_t code(const acall_completion& completion) { return static_cast<int64_t>(completion.return_code); }

}  // namespace support

#endif  // ACALL_TEST_CORE_PROGRAM_SUPPORT_H_
