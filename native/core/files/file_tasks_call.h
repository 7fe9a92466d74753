// How a file task enters the kernel. Used by the thread that runs the task; no lock. No step is made once the task is
// cancelled, except for those that close its descriptors and remove its temporary names.
#ifndef ACALL_CORE_FILES_FILE_TASKS_CALL_H_
#define ACALL_CORE_FILES_FILE_TASKS_CALL_H_

#include <fcntl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

#include "files/file_tasks.h"
#include "syscalls/kernel_entry.h"
#include "syscalls/policy.h"
#include "threads/descriptor_room.h"

namespace acall {

class TaskCaller {
 public:
  TaskCaller(Operation& op, PoolThread& self) : enter_(op, self), task_(*static_cast<FileTask*>(op.extra)) {}

  // Makes one call. Returns its result or -errno; -ECANCELED once the op is cancelled, -EPERM when restrict() has taken
  // the call away.
  template <typename... Arguments>
  int64_t operator()(uint32_t nr, Arguments... arguments) const {
    const int64_t result = enter_(nr, arguments...);
    if (result == -EPERM) task_.refused = !policy_allows(nr);
    return result;
  }

  // The result of a task that finds, before its first call, that restrict() has taken a call away.
  int64_t refuse() const {
    task_.refused = true;
    return -EPERM;
  }

  bool is_cancelled() const { return enter_.is_cancelled(); }

  // open(2) for a task that has no descriptor open: when the process has none left, the task waits for other tasks.
  int64_t open(const char* path, int flags, uint32_t mode = 0) const {
    for (;;) {
      const uint64_t seen = descriptor_room().releases();
      const int64_t fd = (*this)(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
      if (!is_out_of_descriptors(fd) || !descriptor_room().wait(self(), seen)) return fd;
    }
  }

  // Made also when the task is cancelled. The descriptor is gone in any case.
  int64_t close(int64_t fd) const {
    const int64_t result = KernelEntry::close_always(self(), static_cast<int>(fd));
    descriptor_room().released();
    return result;
  }
  void remove(const char* path) const { KernelEntry::always(self(), SYS_unlinkat, AT_FDCWD, path, 0); }

  PoolThread& self() const { return enter_.self(); }

 private:
  KernelEntry enter_;
  FileTask& task_;
};

}  // namespace acall

#endif  // ACALL_CORE_FILES_FILE_TASKS_CALL_H_
