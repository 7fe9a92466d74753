// How a file task enters the kernel. Used by the thread that runs the task.
#ifndef ACALL_CORE_FILE_TASKS_CALL_H_
#define ACALL_CORE_FILE_TASKS_CALL_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <type_traits>

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
      if (!policy_allows(number)) return -EPERM;
      for (;;) {
        int64_t result = invoke(self_, number, values);
        if (result != -EINTR || is_cancelled()) return result;
      }
    });
  }

  bool is_cancelled() const { return op_.state.load(std::memory_order_acquire) & kCancelling; }

  // What must be done also when the task is cancelled; the cancel's signals may still come.
  static void close(int fd) { syscall(SYS_close, fd); }
  static void remove(int dirfd, const char* path) {
    while (syscall(SYS_unlinkat, dirfd, path, 0) != 0 && errno == EINTR) {
    }
  }

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
