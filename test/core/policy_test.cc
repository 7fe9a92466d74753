// The policy over the whole table: whatever values a program passes, no pointer that reaches the kernel lies outside of
// registered memory or the op's copies. The kernel is a fake that checks its arguments with arithmetic of its own.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <map>
#include <vector>

#include "check.h"
#include "support.h"
#include "syscalls/policy_table.h"

using namespace support;
using acall::ArgKind;
using acall::ArgRule;
using acall::kSyscallTable;
using acall::Place;
using acall::SyscallRule;

namespace {

using Wide = unsigned __int128;

uint64_t arena_begin, arena_end;

// Memory that the core has allocated while a submission was checked, the op's copies among it.
struct Extent {
  uint64_t begin, end;
};
acall::Lock extents_lock;
std::vector<Extent> extents;

void* recording_allocate(size_t bytes) {
  void* memory = malloc(bytes);
  acall::Hold hold(extents_lock);
  extents.push_back({address_of(memory), address_of(memory) + bytes});
  return memory;
}

bool inside_copies(uint64_t address, Wide length) {
  for (const Extent& extent : extents) {
    if (address >= extent.begin && address < extent.end && length <= extent.end - address) return true;
  }
  return false;
}

bool inside(uint64_t address, Wide length) {
  if (length == 0) return true;
  if (address >= arena_begin && address < arena_end && length <= arena_end - address) return true;
  return inside_copies(address, length);
}

std::atomic<uint64_t> reached{0}, violations{0};
std::map<uint32_t, uint64_t> reached_by_number;  // guarded by extents_lock

void violation(uint32_t nr, int arg, uint64_t value, const char* what) {
  if (violations.fetch_add(1) < 20) {
    std::fprintf(stderr, "%s: argument %d = %#lx %s\n", kSyscallTable.names + kSyscallTable.rules[nr].name, arg, value,
                 what);
  }
}

Wide count_for(const SyscallRule& rule, const uint64_t args[6], uint8_t arg) {
  switch (rule.args[arg].kind) {
    case ArgKind::kInt:
      return static_cast<int32_t>(args[arg]) > 0 ? static_cast<uint32_t>(args[arg]) : 0;
    case ArgKind::kUint:
      return static_cast<uint32_t>(args[arg]);
    default:
      return args[arg];
  }
}

void look_at_vector(uint32_t nr, int i, uint64_t vector, Wide count) {
  if (count > 1024) return;  // the kernel refuses before it reads
  if (!inside_copies(vector, count * 16) && count > 0)
    return violation(nr, i, vector, "is a vector outside the copies");
  const auto* entries = reinterpret_cast<const iovec*>(vector);
  for (uint64_t k = 0; k < static_cast<uint64_t>(count); ++k) {
    if (static_cast<int64_t>(entries[k].iov_len) < 0 || entries[k].iov_base == nullptr) continue;
    if (!inside(address_of(entries[k].iov_base), entries[k].iov_len))
      violation(nr, i, address_of(entries[k].iov_base), "in a vector");
  }
}

void look_at(uint32_t nr, const SyscallRule& rule, const uint64_t args[6], int i) {
  const ArgRule& arg = rule.args[i];
  const uint64_t value = args[i];
  if (value == 0) return;
  auto need = [&](Wide length) {
    if (!inside(value, length)) violation(nr, i, value, "reaches outside");
    if ((arg.flags & acall::kArgCopied) && length > 0 && length <= (1 << 20) && !inside_copies(value, length)) {
      violation(nr, i, value, "is no copy");
    }
  };
  switch (arg.kind) {
    case ArgKind::kPath:
    case ArgKind::kString: {
      Wide length = 0;
      while (length < arg.size && inside(value, length + 1) &&
             reinterpret_cast<const char*>(value)[static_cast<size_t>(length)] != 0)
        ++length;
      if (length < arg.size && !inside(value, length + 1)) violation(nr, i, value, "is a text without end");
      break;
    }
    case ArgKind::kFixed:
    case ArgKind::kLenWord:
      need(arg.size);
      break;
    case ArgKind::kBytes:
      need(arg.extra + count_for(rule, args, arg.len_arg) * arg.size);
      break;
    case ArgKind::kBits:
      need((count_for(rule, args, arg.len_arg) + 63) / 64 * 8);
      break;
    case ArgKind::kPages:
      need((count_for(rule, args, arg.len_arg) + 4095) / 4096);
      break;
    case ArgKind::kLenBytes: {
      if (args[arg.len_arg] == 0) break;
      uint32_t word;
      memcpy(&word, reinterpret_cast<const void*>(args[arg.len_arg]), sizeof word);
      if (arg.extra != 0 || static_cast<int32_t>(word) >= 0) need(word);
      break;
    }
    case ArgKind::kIovec:
      look_at_vector(nr, i, value, count_for(rule, args, arg.len_arg));
      break;
    case ArgKind::kMsghdr: {
      if (!inside_copies(value, sizeof(msghdr))) return violation(nr, i, value, "is a message outside the copies");
      const auto* message = reinterpret_cast<const msghdr*>(value);
      if (message->msg_name && static_cast<int32_t>(message->msg_namelen) > 0 &&
          !inside(address_of(message->msg_name), message->msg_namelen)) {
        violation(nr, i, address_of(message->msg_name), "is a name outside");
      }
      if (message->msg_control && !inside(address_of(message->msg_control), message->msg_controllen)) {
        violation(nr, i, address_of(message->msg_control), "is control data outside");
      }
      if (message->msg_iov) look_at_vector(nr, i, address_of(message->msg_iov), message->msg_iovlen);
      break;
    }
    case ArgKind::kSigset: {
      if (count_for(rule, args, arg.len_arg) != 8) break;
      if (!inside_copies(value, 8)) return violation(nr, i, value, "is a signal set outside the copies");
      if (*reinterpret_cast<const uint64_t*>(value) >> 60 & 1) violation(nr, i, value, "holds the cancel signal");
      break;
    }
    case ArgKind::kSigsetPack: {
      if (!inside_copies(value, 16)) return violation(nr, i, value, "is a pack outside the copies");
      const auto* pack = reinterpret_cast<const uint64_t*>(value);
      if (pack[0] == 0 || pack[1] != 8) break;
      if (!inside_copies(pack[0], 8)) return violation(nr, i, pack[0], "is a signal set outside the copies");
      if (*reinterpret_cast<const uint64_t*>(pack[0]) >> 60 & 1) violation(nr, i, value, "holds the cancel signal");
      break;
    }
    case ArgKind::kSized: {
      if (!inside_copies(value, 4)) return violation(nr, i, value, "is a struct outside the copies");
      Wide bytes = Wide{arg.extra} + *reinterpret_cast<const uint32_t*>(value);
      if (bytes > arg.size) bytes = arg.size;
      if (bytes < arg.len_arg) bytes = arg.len_arg;
      if (!inside_copies(value, bytes)) violation(nr, i, value, "says it is larger than its copy");
      break;
    }
    case ArgKind::kNull:
      violation(nr, i, value, "should be null");
      break;
    case ArgKind::kUnchecked:
      violation(nr, i, value, "cannot be checked");
      break;
    default:
      break;
  }
}

int64_t suspicious_kernel(acall::CancelWord&, uint32_t nr, const uint64_t args[6]) {
  reached.fetch_add(1);
  acall::Hold hold(extents_lock);
  reached_by_number[nr]++;
  const SyscallRule* rule = acall::find_rule(kSyscallTable, nr, args);
  if (rule == nullptr || rule->place == Place::kNever || rule->place == Place::kUnsafe) {
    violation(nr < kSyscallTable.count ? nr : 0, -1, nr, "should not run at all");
    return 0;
  }
  for (int i = 0; i < rule->nargs; ++i) {
    if (acall::is_pointer(rule->args[i].kind)) look_at(nr, *rule, args, i);
  }
  return 0;
}

// A value of any sort that a faulty program could pass.
uint64_t wild(Random& random) {
  const uint64_t size = arena_end - arena_begin;
  switch (random.below(12)) {
    case 0:
      return random.next();
    case 1:
      return random.next() >> random.below(64);
    case 2:
      return arena_begin + random.below(static_cast<uint32_t>(size));
    case 3:
      return (arena_begin + random.below(static_cast<uint32_t>(size))) & ~uint64_t{7};
    case 4:
      return arena_end - random.below(64);
    case 5:
      return arena_begin + random.below(64) - 32;
    case 6:
      return random.below(64);
    case 7:
      return random.below(5000);
    case 8:
      return 0;
    case 9:
      return ~uint64_t{0} - random.below(64);
    case 10:
      return (uint64_t{random.below(4)} << 32) | random.below(20);
    default:
      return 8;
  }
}

// The words of the arena are random too, so that nested structures have false lengths.
void scribble(Random& random) {
  auto* words = reinterpret_cast<uint64_t*>(arena_begin);
  for (uint64_t i = 0; i < (arena_end - arena_begin) / 8; ++i) words[i] = wild(random);
}

}  // namespace

TEST("no wild value of any call reaches the kernel as a pointer outside") {
  if (kThreadSanitizer) {
    // It writes to registered memory to which ops copy back, as a faulty program would: a race on purpose.
    return SKIP("under ThreadSanitizer the caller's own memory races here on purpose");
  }
  House house(1 << 14);
  arena_begin = house.begin();
  arena_end = house.begin() + house.size();
  WithSeams seams;
  Random random(20090601);
  uint64_t submitted = 0, accepted = 0, odd_errors = 0;
  // Warm up, so that the table's chunks are not among the recorded extents.
  for (int i = 0; i < 100; ++i) house.submit(call(kPool, SYS_getppid));
  until([&] { return house.environment->references.load(std::memory_order_acquire) == 1; });
  acall::seams.syscall = suspicious_kernel;
  acall::seams.allocate = recording_allocate;
  const uint32_t rounds = 400;
  for (uint32_t nr = 0; nr < kSyscallTable.count; ++nr) {
    const SyscallRule& rule = kSyscallTable.rules[nr];
    for (uint32_t round = 0; round < rounds; ++round) {
      if (round % 8 == 0) {
        until([&] { return house.environment->references.load(std::memory_order_acquire) == 1; });
        {
          acall::Hold hold(extents_lock);
          extents.clear();
        }
        scribble(random);
      }
      acall_submission entry = call(kPool, nr);
      for (uint64_t& arg : entry.args) arg = wild(random);
      // Commands decide which rule holds: try those the table knows.
      const SyscallRule* now = &rule;
      for (int depth = 0; depth < 3 && now->selector != 0 && random.below(4) != 0; ++depth) {
        const acall::Selector& selector = kSyscallTable.selectors[now->selector];
        const acall::SelectorCase& one = kSyscallTable.cases[selector.first + random.below(selector.count)];
        entry.args[selector.arg] = one.low + (one.high > one.low ? random.below(one.high - one.low) : 0);
        now = &kSyscallTable.variants[one.rule];
      }
      int64_t result = house.submit(entry);
      if (result == -EPERM) {
        entry.flags = 0;
        if (round % 16 == 0) result = house.submit(entry);
      }
      ++submitted;
      accepted += result == 1;
      if (result != 1 && result != -EFAULT && result != -EPERM && ++odd_errors < 5) CHECK_EQ(result, 1);
    }
  }
  until([&] { return house.environment->references.load(std::memory_order_acquire) == 1; });
  CHECK_EQ(violations.load(), 0u);
  CHECK_EQ(odd_errors, 0u);
  std::printf("(%lu of %lu ran, %zu numbers) ", reached.load(), submitted, reached_by_number.size());
  CHECK(accepted > submitted / 20);
  CHECK(reached_by_number.size() > 200);
}

TEST("the smallest step over the end of an arena is seen, for every call with a buffer") {
  House house(1 << 14);
  arena_begin = house.begin();
  arena_end = house.begin() + house.size();
  WithSeams seams;
  acall::seams.syscall = suspicious_kernel;
  acall::seams.allocate = recording_allocate;
  uint32_t checked = 0;
  for (uint32_t nr = 0; nr < kSyscallTable.count; ++nr) {
    const SyscallRule& rule = kSyscallTable.rules[nr];
    if (rule.place != Place::kAnywhere || rule.selector != 0) continue;
    for (int i = 0; i < rule.nargs; ++i) {
      const ArgRule& arg = rule.args[i];
      if (arg.kind != ArgKind::kFixed && arg.kind != ArgKind::kBytes) continue;
      if (arg.kind == ArgKind::kBytes && arg.size == 0) continue;
      const uint64_t count = 3;
      const uint64_t bytes = arg.kind == ArgKind::kFixed ? arg.size : arg.extra + count * arg.size;
      if (bytes == 0 || bytes > 8192) continue;
      acall_submission entry = call(kPool, nr);
      if (arg.kind == ArgKind::kBytes) entry.args[arg.len_arg] = count;
      entry.args[i] = arena_end - bytes;
      bool good = CHECK_EQ(house.submit(entry), 1);
      entry.args[i] += 1;
      good &= CHECK_EQ(house.submit(entry), -EFAULT);
      entry.args[i] = arena_begin - 1;
      good &= CHECK_EQ(house.submit(entry), -EFAULT);
      if (!good) std::fprintf(stderr, "%s, argument %d\n", kSyscallTable.names + rule.name, i);
      ++checked;
    }
  }
  until([&] { return house.environment->references.load(std::memory_order_acquire) == 1; });
  CHECK_EQ(violations.load(), 0u);
  CHECK(checked > 100);
}

TEST("a text must end inside its arena") {
  House house(1 << 14);
  const uint64_t end = house.begin() + house.size();
  memset(reinterpret_cast<void*>(house.begin()), 'a', house.size());
  auto open_at = [&](uint64_t address) {
    return house.submit(call(kPool, SYS_openat, {static_cast<uint64_t>(AT_FDCWD), address, O_RDONLY}));
  };
  CHECK_EQ(open_at(end - 1), -EFAULT);
  CHECK_EQ(open_at(end - 4095), -EFAULT);
  CHECK_EQ(open_at(end - 4096),
           1);  // PATH_MAX bytes without a NUL: the kernel returns ENAMETOOLONG and reads no further
  *reinterpret_cast<char*>(end - 1) = 0;
  CHECK_EQ(open_at(end - 1), 1);
  CHECK_EQ(open_at(end - 100), 1);
  CHECK_EQ(open_at(end), -EFAULT);
  CHECK_EQ(open_at(house.begin() - 1), -EFAULT);
}
