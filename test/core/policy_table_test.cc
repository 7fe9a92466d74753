// The compiled table is well formed, and find_rule() resolves commands.
#include "syscalls/policy_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstring>

#include "check.h"

using namespace acall;

namespace {

const SyscallRule* find(uint64_t nr, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0) {
  const uint64_t args[6] = {a0, a1, a2, a3, 0, 0};
  return find_rule(kSyscallTable, nr, args);
}

const char* name_of(const SyscallRule& rule) { return kSyscallTable.names + rule.name; }

void check_rule(const SyscallRule& rule) {
  CHECK(rule.nargs <= 6);
  bool has_pointers = false;
  for (int i = 0; i < 6; ++i) {
    const ArgRule& arg = rule.args[i];
    CHECK_EQ(arg.kind == ArgKind::kNone, i >= rule.nargs);
    has_pointers |= is_pointer(arg.kind);
    switch (arg.kind) {
      case ArgKind::kBytes:
      case ArgKind::kBits:
      case ArgKind::kPages:
      case ArgKind::kSigset:
        CHECK(arg.len_arg < rule.nargs && arg.len_arg != i);
        CHECK(!is_pointer(rule.args[arg.len_arg].kind));
        CHECK(arg.size != 0);
        break;
      case ArgKind::kIovec:
        CHECK(rule.args[arg.len_arg].kind == ArgKind::kUint);
        CHECK(arg.flags & kArgCopied);
        break;
      case ArgKind::kLenBytes:
        CHECK(rule.args[arg.len_arg].kind == ArgKind::kLenWord);
        break;
      case ArgKind::kLenWord:
        CHECK_EQ(arg.size, 4);
        CHECK(arg.flags & kArgCopied);
        break;
      case ArgKind::kFixed:
      case ArgKind::kPath:
      case ArgKind::kString:
        CHECK(arg.size != 0);
        break;
      case ArgKind::kUnchecked:
        CHECK(rule.place == Place::kUnsafe || rule.place == Place::kNever);
        break;
      default:
        break;
    }
    if (is_pointer(arg.kind) && arg.kind != ArgKind::kNull && arg.kind != ArgKind::kUnchecked) {
      CHECK(arg.flags & (kArgIn | kArgOut));
    }
  }
  CHECK_EQ((rule.flags & kCallHasPointers) != 0, has_pointers);
}

TEST("every rule of the table is well formed") {
  CHECK(kSyscallTable.count > 460);
  for (uint32_t nr = 0; nr < kSyscallTable.count; ++nr) {
    const SyscallRule& rule = kSyscallTable.rules[nr];
    if (rule.place == Place::kUnknown) continue;
    check_rule(rule);
    CHECK(std::strlen(name_of(rule)) >= 3);
  }
}

TEST("ranges of a selector ascend and lead to well formed rules of the same call") {
  for (uint32_t nr = 0; nr < kSyscallTable.count; ++nr) {
    const SyscallRule& rule = kSyscallTable.rules[nr];
    if (rule.place == Place::kUnknown || rule.selector == 0) continue;
    const Selector& selector = kSyscallTable.selectors[rule.selector];
    CHECK(selector.count > 0 && selector.arg < rule.nargs);
    for (uint32_t i = 0; i < selector.count; ++i) {
      const SelectorCase& entry = kSyscallTable.cases[selector.first + i];
      CHECK(entry.low <= entry.high);
      CHECK_EQ(entry.low & ~selector.mask, 0u);
      if (i > 0) CHECK(kSyscallTable.cases[selector.first + i - 1].high < entry.low);
      check_rule(kSyscallTable.variants[entry.rule]);
      CHECK_EQ(name_of(kSyscallTable.variants[entry.rule]), name_of(rule));
    }
  }
}

TEST("a number has the name that the headers give it") {
  CHECK(std::strcmp(name_of(*find(SYS_openat)), "openat") == 0);
  CHECK(std::strcmp(name_of(*find(SYS_futex)), "futex") == 0);
  CHECK(std::strcmp(name_of(*find(469)), "file_setattr") == 0);
}

TEST("a number above the table, a hole in it and an x32 number have no rule") {
  CHECK(find(kSyscallTable.count) == nullptr);
  CHECK(find(~uint64_t{0}) == nullptr);
  CHECK(find(0x40000000) == nullptr);
  CHECK(find(400) == nullptr);
}

TEST("a command chooses its rule, whatever stands above its 32 bits") {
  CHECK(find(SYS_fcntl, 0, 12345)->place == Place::kUnsafe);
  CHECK(find(SYS_fcntl, 0, F_SETLK)->args[2].kind == ArgKind::kFixed);
  CHECK_EQ(find(SYS_fcntl, 0, F_SETLK)->args[2].size, sizeof(struct flock));
  CHECK(find(SYS_fcntl, 0, F_SETLK | uint64_t{1} << 40)->args[2].kind == ArgKind::kFixed);
  CHECK(find(SYS_fcntl, 0, F_DUPFD_CLOEXEC)->flags & kCallReturnsFd);
  CHECK(!(find(SYS_fcntl, 0, F_GETFD)->flags & kCallReturnsFd));
}

TEST("a flag among others chooses its rule") {
  CHECK(find(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS)->place == Place::kAnywhere);
  CHECK(find(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)->place == Place::kUnsafe);
}

TEST("a level and then an option choose a rule") {
  constexpr uint64_t kSolSocket = 1, kSoError = 4, kSoGetFilter = 26;
  CHECK(find(SYS_getsockopt, 0, kSolSocket, kSoError)->place == Place::kAnywhere);
  CHECK(find(SYS_getsockopt, 0, kSolSocket, kSoGetFilter)->place == Place::kUnsafe);
  CHECK(find(SYS_getsockopt, 0, 9999, kSoError)->place == Place::kUnsafe);
}

}  // namespace
