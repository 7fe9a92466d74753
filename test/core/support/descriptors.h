// How many descriptors a test's process has open.
#ifndef ACALL_TEST_CORE_DESCRIPTORS_H_
#define ACALL_TEST_CORE_DESCRIPTORS_H_

#include <dirent.h>
#include <unistd.h>

#include <cstring>

namespace support {

// Without files of /proc and /sys, of which the engine may have one open for a moment, to look at a thread or a limit.
inline int open_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (dirent* entry = readdir(folder)) {
    char target[64] = {};
    bool is_link = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0;
    const bool is_looked_at = strncmp(target, "/proc/", 6) == 0 || strncmp(target, "/sys/", 5) == 0;
    if (is_link && !is_looked_at) ++count;
  }
  closedir(folder);
  return count;
}

}  // namespace support

#endif  // ACALL_TEST_CORE_DESCRIPTORS_H_
