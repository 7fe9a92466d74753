// File tasks: ops on one file that need several calls, all made on one pool thread. The request and its outcome lie in
// a block of the core that the op and the binding share; the op's result is 0, a length, or -errno.
//
// A cancel interrupts the call that is being made. The task then closes the descriptors that it has opened, removes
// the file that it has made under a temporary name, and ends with -ECANCELED. Entered by the environment's thread,
// which makes the task, and by the pool thread that runs it. No lock: the op's publication and completion separate the
// two.
#ifndef ACALL_CORE_FILES_FILE_TASKS_H_
#define ACALL_CORE_FILES_FILE_TASKS_H_

#include <cstddef>
#include <cstdint>

#include "base/block.h"
#include "op/operation.h"
#include "wire.h"

namespace acall {

// copyFile: node:fs's COPYFILE_ constants
inline constexpr uint32_t kCopyExclusive = 1;
inline constexpr uint32_t kCopyClone = 2;
inline constexpr uint32_t kCopyCloneForce = 4;

struct FileTask {
  // The request.
  int32_t fd = -1;    // instead of a path; it stays open
  int32_t flags = 0;  // of open(2); O_CLOEXEC is added
  uint32_t mode = 0;
  uint32_t options = 0;        // kFileSync, kFileAtomic; for a copy kCopyExclusive, kCopyClone, kCopyCloneForce
  const char* path = nullptr;  // this and the next two lie behind the task in its block
  const char* other = nullptr;
  const unsigned char* bytes = nullptr;
  size_t length = 0;
  // The outcome.
  FileCall call = FileCall::kOpen;  // with an error, the step that failed
  Block* content = nullptr;         // readFile: the file's bytes; nullptr when there are none
  bool refused = false;             // -EPERM comes from restrict() and not from the kernel
  // kTooLarge: the file's size. makeDirectories: with an error, the length of the path that failed; else of the first
  // path that was made.
  uint64_t number = 0;
};

// Makes a task with copies of the paths (each `*_length` bytes, without NUL; `other` may be null) and room for `length`
// bytes of data. nullptr: no memory. The block releases the content when it is freed.
Block* file_task_make(const char* path, size_t path_length, const char* other, size_t other_length, size_t length);
inline FileTask& file_task_of(Block& block) { return *reinterpret_cast<FileTask*>(block.data()); }
inline unsigned char* file_task_bytes(Block& block) { return const_cast<unsigned char*>(file_task_of(block).bytes); }

// The back ends, with their results. An op's `extra` is the FileTask.
extern const BackEnd kReadFile;         // the length
extern const BackEnd kWriteFile;        // 0
extern const BackEnd kCopyFile;         // 0
extern const BackEnd kMakeDirectories;  // 0; `number` is 0 when all directories were there

}  // namespace acall

#endif  // ACALL_CORE_FILES_FILE_TASKS_H_
