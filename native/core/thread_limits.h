// How many threads the process may have, asked of the environment variables, rlimits and cgroups once. No thread, no
// lock.
#ifndef ACALL_CORE_THREAD_LIMITS_H_
#define ACALL_CORE_THREAD_LIMITS_H_

#include <cstdint>

namespace acall {

struct ThreadLimits {
  uint32_t pool_max;  // ACALL_POOL_MAX, 1,024
  uint32_t own_max;   // ACALL_OWN_MAX, 16,384; less than half of RLIMIT_NPROC and of pids.max
  uint32_t cores;     // CPUs of the affinity mask
};
ThreadLimits read_thread_limits();

}  // namespace acall

#endif  // ACALL_CORE_THREAD_LIMITS_H_
