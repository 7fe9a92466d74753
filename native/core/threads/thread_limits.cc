// How the limits on threads are read. See thread_limits.h.
#include "threads/thread_limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "threads/descriptor_room.h"

namespace acall {

namespace {

constexpr uint32_t kPoolDefault = 1024;
constexpr uint32_t kOwnDefault = 16384;
constexpr uint32_t kPoolCeiling = 65536;
constexpr uint32_t kOwnCeiling = 1u << 20;

bool read_file(const char* path, char* into, size_t size) {
  DescriptorGuest guest;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = read(fd, into, size - 1);
  close(fd);
  if (got <= 0) return false;
  into[got] = '\0';
  return true;
}

bool read_number(const char* path, uint64_t* value) {
  char text[64];
  if (!read_file(path, text, sizeof text) || *text < '0' || *text > '9') return false;  // "max"
  *value = strtoull(text, nullptr, 10);
  return true;
}

// The number that follows a name at the beginning of a line, as in /proc/meminfo and memory.stat.
uint64_t number_after(const char* text, const char* name) {
  const size_t length = strlen(name);
  for (const char* line = text; line != nullptr; line = strchr(line, '\n')) {
    if (*line == '\n') ++line;
    if (strncmp(line, name, length) == 0) return strtoull(line + length, nullptr, 10);
  }
  return 0;
}

constexpr uint64_t kSpaceOfThread = uint64_t{264} * 1024;  // of addresses: the stack of a pool thread and its guard
constexpr int kMaxHeaps = 2;
constexpr uint64_t kSpareSpace = uint64_t{256} << 20;     // of addresses, for the heaps of malloc and of JavaScript
constexpr uint64_t kBytesOfThread = uint64_t{64} * 1024;  // stack that is touched, and the kernel's memory

// The tightest limit so far, in threads of acall.
struct Tightest {
  uint64_t threads;
  const char* limit;
  uint64_t free_bytes = UINT64_MAX;
  void take(uint64_t most, const char* name) {
    if (most >= threads) return;
    threads = most;
    limit = name;
  }
  void take_memory(uint64_t bytes, uint64_t ours, const char* name) {
    free_bytes = std::min(free_bytes, bytes);
    take(bytes / 2 / kBytesOfThread + ours / 2, name);
  }
  // Takes half of what others leave.
  void take_half(uint64_t most, uint64_t used, uint64_t ours, const char* name) {
    const uint64_t others = used > ours ? used - ours : 0;
    take(most > others ? (most - others) / 2 : 0, name);
  }
};

// Reads every level of a hierarchy mounted at `mount`, from `group` to the root.
void look_at_group(const char* mount, char* group, uint64_t ours, Tightest& tightest) {
  for (;;) {
    char path[1024];
    uint64_t most, used;
    auto number = [&](const char* name, uint64_t* value) {
      snprintf(path, sizeof path, "%s%s/%s", mount, group, name);
      return read_number(path, value);
    };
    if (number("pids.max", &most) && number("pids.current", &used)) {
      tightest.take_half(most, used, ours, "pids.max of the cgroup");
    }
    if (number("memory.max", &most) && number("memory.current", &used)) {
      char text[4096];
      snprintf(path, sizeof path, "%s%s/memory.stat", mount, group);
      if (read_file(path, text, sizeof text)) {
        const uint64_t cache = number_after(text, "inactive_file ") + number_after(text, "active_file ");
        used = used > cache ? used - cache : 0;  // the kernel frees cached pages when memory is needed
      }
      tightest.take_memory(most > used ? most - used : 0, ours, "memory.max of the cgroup");
    }
    char* slash = strrchr(group, '/');
    if (slash == nullptr) return;
    *slash = '\0';
  }
}

void look_at_cgroups(uint64_t ours, Tightest& tightest) {
  char text[4096];
  if (!read_file("/proc/self/cgroup", text, sizeof text)) return;
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
    look_at_group(mount, group, ours, tightest);
  }
}

// Threads of all processes of this user; at most `enough` are counted.
uint64_t threads_of_user(uint64_t enough) {
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return 0;
  const uid_t user = getuid();
  uint64_t count = 0;
  while (const dirent* entry = readdir(folder)) {  // NOLINT(concurrency-mt-unsafe): only this thread has the stream
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    struct stat about;
    // Not by libc's fstatat, which has a new name in glibc 2.33; on 64 bits its structure is the kernel's.
    if (syscall(SYS_newfstatat, dirfd(folder), entry->d_name, &about, 0) != 0 || about.st_uid != user) continue;
    char path[300];
    char text[2048];
    snprintf(path, sizeof path, "/proc/%s/status", entry->d_name);
    if (read_file(path, text, sizeof text)) count += number_after(text, "Threads:");
    if (count >= enough) break;
  }
  closedir(folder);
  return count;
}

void look_at_user(uint64_t ours, Tightest& tightest) {
  rlimit processes{};
  if (getrlimit(RLIMIT_NPROC, &processes) != 0 || processes.rlim_cur == RLIM_INFINITY) return;
  const uint64_t most = processes.rlim_cur;
  // "running/all": when the threads of all users leave enough, those of this user need not be counted.
  char text[128];
  const char* slash = read_file("/proc/loadavg", text, sizeof text) ? strchr(text, '/') : nullptr;
  uint64_t used = slash != nullptr ? strtoull(slash + 1, nullptr, 10) : most;
  if (most < used + 2 * tightest.threads) used = threads_of_user(most);
  tightest.take_half(most, used, ours, "RLIMIT_NPROC");
}

void look_at_memory(uint64_t ours, Tightest& tightest) {
  char text[4096];
  if (!read_file("/proc/meminfo", text, sizeof text)) return;
  const uint64_t kilobytes = number_after(text, "MemAvailable:");
  if (kilobytes > 0) tightest.take_memory(kilobytes * 1024, ours, "memory");
}

// Each thread maps its stack, and half of the free addresses is left to others. Where addresses are limited, malloc
// must not map a heap of 64 MiB for each thread that allocates a few bytes, as it does for up to eight threads per
// core.
void look_at_address_space(uint64_t ours, Tightest& tightest) {
  rlimit space{};
  if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) return;
  mallopt(M_ARENA_MAX, kMaxHeaps);  // NOLINT(concurrency-mt-unsafe): under malloc's own lock; heaps that exist stay
  char text[128];
  if (!read_file("/proc/self/statm", text, sizeof text)) return;
  const uint64_t used = strtoull(text, nullptr, 10) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t free_bytes = space.rlim_cur > used ? space.rlim_cur - used : 0;
  const uint64_t spare = free_bytes > kSpareSpace ? free_bytes - kSpareSpace : 0;
  tightest.take(spare / 2 / kSpaceOfThread + ours, "RLIMIT_AS");
}

}  // namespace

uint32_t limit_from_environment(const char* name, uint32_t fallback, uint32_t ceiling) {
  const char* text = getenv(name);                                     // NOLINT(concurrency-mt-unsafe): once
  if (text == nullptr || *text < '0' || *text > '9') return fallback;  // strtoul would take a sign
  char* end = nullptr;
  unsigned long value = strtoul(text, &end, 10);
  if (*end != '\0' || value == 0) return fallback;
  return value > ceiling ? ceiling : static_cast<uint32_t>(value);
}

namespace {

// A limit that an environment variable sets; 0: it sets none. The first thread that submits reads the variable, once:
// JavaScript may change the process's environment while the supervisor reads the limits again.
class LimitSet {
 public:
  constexpr LimitSet(const char* name, uint32_t ceiling) : name_(name), ceiling_(ceiling) {}
  uint32_t value() {
    uint32_t value = value_.load();
    if (value != kUnread) return value;
    value = limit_from_environment(name_, 0, ceiling_);
    value_.store(value);
    return value;
  }

 private:
  static constexpr uint32_t kUnread = UINT32_MAX;  // above every ceiling
  const char* name_;
  uint32_t ceiling_;
  std::atomic<uint32_t> value_{kUnread};
};

LimitSet pool_max_set{"ACALL_POOL_MAX", kPoolCeiling};
LimitSet own_max_set{"ACALL_OWN_MAX", kOwnCeiling};

}  // namespace

ThreadLimits read_thread_limits(uint32_t ours) {
  const uint32_t pool_set = pool_max_set.value();
  const uint32_t own_set = own_max_set.value();
  ThreadLimits limits{};
  limits.pool_is_set = pool_set != 0;
  limits.pool_max = limits.pool_is_set ? pool_set : kPoolDefault;
  const uint32_t own = own_set != 0 ? own_set : kOwnDefault;
  constexpr const char* kOurLimit = "acall's own limit of 16,384 threads";
  Tightest tightest{std::max(kOwnDefault, own), own > kOwnDefault ? "ACALL_OWN_MAX" : kOurLimit};
  look_at_cgroups(ours, tightest);
  look_at_memory(ours, tightest);
  look_at_address_space(ours, tightest);
  look_at_user(ours, tightest);
  limits.total = static_cast<uint32_t>(std::max<uint64_t>(tightest.threads, 1));
  limits.limit = tightest.limit;
  limits.free_bytes = tightest.free_bytes;
  limits.own_max = std::min(own, limits.total);
  limits.own_limit = own >= limits.total ? limits.limit : own_set != 0 ? "ACALL_OWN_MAX" : kOurLimit;
  cpu_set_t set{};  // an emulator may write less of it than it says
  int cores =
      sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  limits.cores = cores < 1 ? 1 : static_cast<uint32_t>(cores);
  return limits;
}

}  // namespace acall
