// How many threads the process may have, asked of the environment variables, rlimits, cgroups and memory. Half of what
// is free: of each limit less what others use of it. No thread, no lock.
#ifndef ACALL_CORE_THREADS_THREAD_LIMITS_H_
#define ACALL_CORE_THREADS_THREAD_LIMITS_H_

#include <cstdint>

namespace acall {

struct ThreadLimits {
  uint32_t pool_max;      // ACALL_POOL_MAX, 1,024
  bool pool_is_set;       // the former: never more
  uint32_t own_max;       // ACALL_OWN_MAX, 16,384, and not more than `total`
  uint32_t total;         // pool and own together: 16,384, and half of what others leave of every limit
  const char* limit;      // which one `total` comes from
  const char* own_limit;  // which one `own_max` comes from
  uint64_t free_bytes;    // of memory, in the tightest of its limits
  uint32_t cores;         // CPUs of the affinity mask
};
// A number of threads that an environment variable names, at most `ceiling`; `fallback` for what is none.
uint32_t limit_from_environment(const char* name, uint32_t fallback, uint32_t ceiling);
// The variables are read by the first call. `ours`: threads of ours that are among those the system counts.
ThreadLimits read_thread_limits(uint32_t ours = 0);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_THREAD_LIMITS_H_
