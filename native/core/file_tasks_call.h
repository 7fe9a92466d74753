// How a file task enters the kernel. Used by the thread that runs the task. Every step passes the stub, so that none is
// made once the task is cancelled; what disposes of its descriptors and its temporary names is made in any case.
#ifndef ACALL_CORE_FILE_TASKS_CALL_H_
#define ACALL_CORE_FILE_TASKS_CALL_H_

#include <fcntl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <type_traits>

#include "descriptor_room.h"
#include "file_tasks.h"
#include "invoke.h"
#include "older_calls.h"
#include "policy.h"

namespace acall {

class TaskCaller {
 public:
  TaskCaller(Operation& op, Worker& self) : op_(op), self_(self) {}

  // One call: its result or -errno; run again after an -EINTR that nobody asked for; -EPERM when restrict() took it
  // away.
  template <typename... Arguments>
  int64_t operator()(uint32_t nr, Arguments... arguments) const {
    const uint64_t args[6] = {argument(arguments)...};
    return enter_or_older(nr, args, [this](uint32_t number, const uint64_t* values) -> int64_t {
      if (!policy_allows(number)) return refuse();
      for (;;) {
        int64_t result = invoke(self_, number, values);
        if (result != -EINTR || is_cancelled()) return result;
      }
    });
  }

  int64_t refuse() const {
    static_cast<FileTask*>(op_.extra)->refused = true;
    return -EPERM;
  }

  bool is_cancelled() const { return op_.state.load(std::memory_order_acquire) & kCancelling; }

  // open(2) by a task that holds no descriptor: where there is none left, it waits for other tasks.
  int64_t open(const char* path, int flags, uint32_t mode = 0) const {
    for (;;) {
      const uint64_t seen = descriptor_room().releases();
      const int64_t fd = (*this)(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
      if (!is_out_of_descriptors(fd) || !descriptor_room().wait(self_, seen)) return fd;
    }
  }

  // Done also when the task is cancelled. The descriptor is gone in any case.
  int64_t close(int64_t fd) const {
    const int64_t result = invoke_always(self_, SYS_close, static_cast<int>(fd));
    descriptor_room().released();
    return result == -EINTR ? 0 : result;
  }
  void remove(const char* path) const {
    while (invoke_always(self_, SYS_unlinkat, AT_FDCWD, path, 0) == -EINTR) {
    }
  }

  Worker& self() const { return self_; }

 private:
  template <typename Value>
  static uint64_t argument(Value value) {
    if constexpr (std::is_pointer_v<Value>) {
      return reinterpret_cast<uint64_t>(value);
    } else {
      return static_cast<uint64_t>(value);
    }
  }

  Operation& op_;
  Worker& self_;
};

}  // namespace acall

#endif  // ACALL_CORE_FILE_TASKS_CALL_H_
