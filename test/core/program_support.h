// What the tests of programs share.
#ifndef ACALL_TEST_CORE_PROGRAM_SUPPORT_H_
#define ACALL_TEST_CORE_PROGRAM_SUPPORT_H_

#include "support.h"

namespace support {

inline int open_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder)) ++count;
  closedir(folder);
  return count;
}

}  // namespace support

#endif  // ACALL_TEST_CORE_PROGRAM_SUPPORT_H_
