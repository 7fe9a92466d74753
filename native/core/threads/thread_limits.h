// How many threads acall may have, by the environment variables, rlimits, cgroups and memory. Of each limit acall takes
// at most half of what others leave. Entered by the supervisor, and by the submitting thread that starts it. No lock.
#ifndef ACALL_CORE_THREADS_THREAD_LIMITS_H_
#define ACALL_CORE_THREADS_THREAD_LIMITS_H_

#include <cstdint>

namespace acall {

struct ThreadLimits {
  uint32_t pool_max;      // ACALL_POOL_MAX, or 1,024
  bool pool_is_set;       // ACALL_POOL_MAX is set: the pool never has more
  uint32_t own_max;       // ACALL_OWN_MAX, or 16,384; at most `total`
  uint32_t total;         // pool and own threads together: 16,384, or less by one of the limits
  const char* limit;      // the limit that `total` comes from
  const char* own_limit;  // the limit that `own_max` comes from
  uint64_t free_bytes;    // free memory, by the tightest limit on memory
  uint32_t cores;         // CPUs of the affinity mask
};
// The number of threads that an environment variable sets, at most `ceiling`; `fallback` when it sets no such number.
uint32_t limit_from_environment(const char* name, uint32_t fallback, uint32_t ceiling);
// `ours`: how many of the threads that the system counts are acall's. The first call reads the variables.
ThreadLimits read_thread_limits(uint32_t ours = 0);

}  // namespace acall

#endif  // ACALL_CORE_THREADS_THREAD_LIMITS_H_
