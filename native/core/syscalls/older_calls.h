// Older calls in the place of newer ones that the system refuses (an old kernel, a seccomp filter). Only calls of the
// core come here, steps of stats, file tasks and jobs; acall_submit and syscall() make exactly the call that was asked
// for. Entered by every thread that runs such an op; no lock.
#ifndef ACALL_CORE_SYSCALLS_OLDER_CALLS_H_
#define ACALL_CORE_SYSCALLS_OLDER_CALLS_H_

#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace acall {

// Set once statx was refused and newfstatat was not. From then on statx is not called again.
extern std::atomic<bool> statx_is_missing;

// Turns the arguments of a statx into those of a newfstatat into `result` (a struct stat).
void statx_to_fstatat(const uint64_t args[6], void* result, uint64_t older[6]);
// Turns the `result` of a newfstatat into that of a statx. The birth time is unknown and becomes the change time, as in
// node:fs.
void fstatat_to_statx(const void* result, uint64_t into);
inline constexpr int kStatBytes = 144;

template <typename Enter>
[[gnu::noinline]] int64_t enter_older_statx(const uint64_t args[6], int64_t refused, Enter enter) {
  alignas(8) unsigned char stat_bytes[kStatBytes];
  uint64_t older[6];
  statx_to_fstatat(args, stat_bytes, older);
  const int64_t result = enter(SYS_newfstatat, older);
  if (result == -ENOSYS || result == -EPERM) return refused;
  if (result == 0) {
    statx_is_missing.store(true, std::memory_order_relaxed);
    fstatat_to_statx(stat_bytes, args[4]);
  }
  return result;
}

// `enter(nr, args)` makes a call. Some filters return EPERM where they should return ENOSYS (Docker's did). When EPERM
// comes from a file system, newfstatat gets it too.
template <typename Enter>
int64_t enter_or_older(uint32_t nr, const uint64_t args[6], Enter enter) {
  if (nr != SYS_statx) return enter(nr, args);
  int64_t result = -ENOSYS;
  // relaxed: a thread that does not see the flag yet calls statx once more.
  if (!statx_is_missing.load(std::memory_order_relaxed)) result = enter(nr, args);
  return result == -ENOSYS || result == -EPERM ? enter_older_statx(args, result, enter) : result;
}

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_OLDER_CALLS_H_
