// Reads the limits on threads. See thread_limits.h.
#include "thread_limits.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace acall {

namespace {

constexpr uint32_t kPoolDefault = 1024;
constexpr uint32_t kOwnDefault = 16384;
constexpr uint32_t kPoolCeiling = 65536;
constexpr uint32_t kOwnCeiling = 1u << 20;

uint32_t from_environment(const char* name, uint32_t fallback, uint32_t ceiling) {
  const char* text = getenv(name);                                     // NOLINT(concurrency-mt-unsafe): once
  if (text == nullptr || *text < '0' || *text > '9') return fallback;  // strtoul would take a sign
  char* end = nullptr;
  unsigned long value = strtoul(text, &end, 10);
  if (*end != '\0' || value == 0) return fallback;
  return value > ceiling ? ceiling : static_cast<uint32_t>(value);
}

bool read_file(const char* path, char* into, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = read(fd, into, size - 1);
  close(fd);
  if (got <= 0) return false;
  into[got] = '\0';
  return true;
}

// The smallest pids.max from `group` up to the root of the hierarchy mounted at `mount`; UINT64_MAX for none.
uint64_t smallest_pids_max(const char* mount, char* group) {
  uint64_t smallest = UINT64_MAX;
  for (;;) {
    char path[1024];
    char text[64];
    snprintf(path, sizeof path, "%s%s/pids.max", mount, group);
    if (read_file(path, text, sizeof text) && strncmp(text, "max", 3) != 0) {
      uint64_t value = strtoull(text, nullptr, 10);
      if (value < smallest) smallest = value;
    }
    char* slash = strrchr(group, '/');
    if (slash == nullptr) return smallest;
    *slash = '\0';
  }
}

uint64_t cgroup_pids_max() {
  char text[4096];
  if (!read_file("/proc/self/cgroup", text, sizeof text)) return UINT64_MAX;
  uint64_t smallest = UINT64_MAX;
  char* rest = nullptr;
  for (char* line = strtok_r(text, "\n", &rest); line != nullptr; line = strtok_r(nullptr, "\n", &rest)) {
    char* first = strchr(line, ':');
    char* second = first ? strchr(first + 1, ':') : nullptr;
    if (second == nullptr) continue;
    *second = '\0';
    const char* controllers = first + 1;
    const char* mount = nullptr;
    if (*controllers == '\0') {
      mount = "/sys/fs/cgroup";  // version 2
    } else if (strstr(controllers, "pids") != nullptr) {
      mount = "/sys/fs/cgroup/pids";  // version 1
    }
    if (mount == nullptr) continue;
    char group[512];
    snprintf(group, sizeof group, "%s", second + 1);
    uint64_t value = smallest_pids_max(mount, group);
    if (value < smallest) smallest = value;
  }
  return smallest;
}

uint64_t less_than_half(uint64_t limit) { return limit == 0 ? 0 : (limit - 1) / 2; }

}  // namespace

ThreadLimits read_thread_limits() {
  ThreadLimits limits{};
  limits.pool_max = from_environment("ACALL_POOL_MAX", kPoolDefault, kPoolCeiling);
  uint64_t own = from_environment("ACALL_OWN_MAX", kOwnDefault, kOwnCeiling);
  rlimit processes{};
  if (getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY) {
    own = std::min<uint64_t>(own, less_than_half(processes.rlim_cur));
  }
  uint64_t pids = cgroup_pids_max();
  if (pids != UINT64_MAX) own = std::min(own, less_than_half(pids));
  limits.own_max = own == 0 ? 1 : static_cast<uint32_t>(own);
  cpu_set_t set;
  int cores =
      sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  limits.cores = cores < 1 ? 1 : static_cast<uint32_t>(cores);
  return limits;
}

}  // namespace acall
