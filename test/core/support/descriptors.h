// How many descriptors a test's process has open.
#ifndef ACALL_TEST_CORE_DESCRIPTORS_H_
#define ACALL_TEST_CORE_DESCRIPTORS_H_

#include <dirent.h>
#include <unistd.h>

#include <cstring>

namespace support {

// Without the one that the supervisor may have open for a moment to look at a thread's state.
inline int open_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (dirent* entry = readdir(folder)) {
    char target[64] = {};
    bool is_link = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0;
    if (is_link && strstr(target, "/task/") == nullptr) ++count;
  }
  closedir(folder);
  return count;
}

}  // namespace support

#endif  // ACALL_TEST_CORE_DESCRIPTORS_H_
