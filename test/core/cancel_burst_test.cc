// How many signals a canceller sends itself. The libc function that sends them is replaced by one that counts.
#include <dlfcn.h>
#include <sys/syscall.h>

#include <cstdarg>
#include <vector>

#include "check.h"
#include "support.h"
#include "threads/cancel.h"

using namespace support;

namespace {

thread_local bool counts_signals = false;
thread_local uint32_t signals = 0;

}  // namespace

extern "C" long syscall(long number, ...) noexcept {
  using Syscall = long(long, ...);
  static auto* const real = reinterpret_cast<Syscall*>(dlsym(RTLD_NEXT, "syscall"));
  va_list list;
  va_start(list, number);
  long args[6];
  for (long& arg : args) arg = va_arg(list, long);
  va_end(list);
  if (number == SYS_tgkill && counts_signals) ++signals;
  return real(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

TEST("a canceller sends few signals itself, however many ops it cancels") {
  constexpr uint32_t kOps = 1000;
  House house(8 << 20);
  Pipe pipe;
  TestRing ring(house, kOps);
  auto* ids = house.make<acall_id>(kOps);
  std::vector<acall_submission> entries(kOps);
  void* into = house.alloc(16);
  for (uint32_t i = 0; i < kOps; ++i) {
    entries[i] = call(kPool, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(into), 1});
    entries[i] = into_ring(entries[i], ring.memory, i + 1);
    entries[i].id_pointer = address_of(&ids[i]);
  }
  CHECK_EQ(house.submit(entries.data(), kOps), kOps);
  until([] { return counters().running == kOps; });
  counts_signals = true;
  const uint64_t began_ns = acall::seams.now_ns();
  for (uint32_t i = 0; i < kOps; ++i) CHECK_EQ(acall::cancel_by_id(ids[i]), 0);
  const uint64_t took_ms = (acall::seams.now_ns() - began_ns) / 1'000'000;
  counts_signals = false;
  CHECK(signals >= 1);
  CHECK(signals <= 8 * (took_ms + 2));  // eight in each millisecond, of which the first has begun before
  CHECK_EQ(ring.wait(kOps), kOps);
}
