// How a file that replaces another one gets the other's owner, group, mode and ACL, so that at no time a user may do
// more with it than with the other. Used by atomic writes, on the thread that runs the task; no lock.
#ifndef ACALL_CORE_FILES_FILE_TASKS_RESEMBLE_H_
#define ACALL_CORE_FILES_FILE_TASKS_RESEMBLE_H_

#include <sys/stat.h>

#include <cstdint>

#include "files/file_tasks_call.h"

namespace acall {

// The first mode of a file that replaces another one: only its owner may use it.
inline constexpr uint32_t kPrivateMode = 0600;

class Resemblance {
 public:
  // Reads the attributes of the file at `path`. 0 or -errno; -ENOENT: there is none.
  int64_t look(TaskCaller& call, const char* path);
  const struct statx& old() const { return old_; }

  // Sets owner and group of a new, empty file of kPrivateMode, each if the process may.
  int64_t own(TaskCaller& call, int fd);
  // Sets the ACL and the mode when all content is in the file. Where owner or group differ from the old file's, it
  // leaves out permissions.
  int64_t open_up(TaskCaller& call, int fd);

 private:
  static constexpr int64_t kMaxAcl = 4096;
  struct statx old_ {};
  bool has_owner_ = false, has_group_ = false;
  int64_t acl_length_ = 0;  // 0: no ACL; -1: the ACL cannot be read, or not be set
  unsigned char acl_[kMaxAcl];
};

}  // namespace acall

#endif  // ACALL_CORE_FILES_FILE_TASKS_RESEMBLE_H_
