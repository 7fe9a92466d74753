// How the file that takes another one's place comes to its owner, group, mode and ACL, without ever letting in anybody
// whom the other kept out. Used by atomic writes, on the thread that runs the task.
#ifndef ACALL_CORE_FILES_FILE_TASKS_RESEMBLE_H_
#define ACALL_CORE_FILES_FILE_TASKS_RESEMBLE_H_

#include <sys/stat.h>

#include <cstdint>

#include "files/file_tasks_call.h"

namespace acall {

// The mode of a file that is to resemble another one later: nobody's but the owner's.
inline constexpr uint32_t kPrivateMode = 0600;

class Resemblance {
 public:
  // What stands at `path` now. 0 or -errno; -ENOENT: nothing.
  int64_t look(TaskCaller& call, const char* path);
  const struct statx& old() const { return old_; }

  // Of a new file of kPrivateMode, before anything is in it: owner and group, each as far as we may.
  int64_t own(TaskCaller& call, int fd);
  // When all is in it: the ACL, then the mode with what of it is right for owner and group as they are.
  int64_t open_up(TaskCaller& call, int fd);

 private:
  static constexpr int64_t kMaxAcl = 4096;
  struct statx old_ {};
  bool has_owner_ = false, has_group_ = false;
  int64_t acl_length_ = 0;  // 0: none; -1: one that cannot be had
  unsigned char acl_[kMaxAcl];
};

}  // namespace acall

#endif  // ACALL_CORE_FILES_FILE_TASKS_RESEMBLE_H_
