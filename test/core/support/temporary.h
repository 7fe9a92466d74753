// Where tests of the core make their files: under new names below TMPDIR, never under a fixed name in a shared folder.
#ifndef ACALL_TEST_CORE_TEMPORARY_H_
#define ACALL_TEST_CORE_TEMPORARY_H_

#include <cstdlib>
#include <string>

namespace support {

inline std::string temporary_root() {
  const char* root = getenv("TMPDIR");
  return root == nullptr || root[0] != '/' ? "/tmp" : root;
}

// A new folder below `root`; the caller removes it.
inline std::string make_temporary(const std::string& root = temporary_root()) {
  std::string name = root + "/acall-core-test-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) abort();
  return name;
}

}  // namespace support

#endif  // ACALL_TEST_CORE_TEMPORARY_H_
