// Ops on one file that need several calls: each is one visit to the pool. What is asked for and what came of it lie in
// a block of the core that the op and the binding share; the op's result is 0, a length, or -errno.
//
// A cancel interrupts the call at hand; the task then closes what it has opened, removes what it has half made (the
// temporary file of an atomic write, the target of a copy) and ends with -ECANCELED. Entered by the
// environment's thread (make) and by the pool thread that runs it; nothing is shared but by the op's completion.
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
  // Asked for.
  int32_t fd = -1;    // instead of a path: stays open
  int32_t flags = 0;  // of open(2); O_CLOEXEC is added
  uint32_t mode = 0;
  uint32_t options = 0;        // kFileSync, kFileAtomic; of a copy, those below
  const char* path = nullptr;  // these three lie behind the task in its block
  const char* other = nullptr;
  const unsigned char* bytes = nullptr;
  size_t length = 0;
  // What came of it.
  FileCall call = FileCall::kOpen;  // with an error, the call that failed
  Block* content = nullptr;         // readFile: the file; nullptr when it is empty
  bool refused = false;             // -EPERM is restrict()'s answer and not the kernel's
  uint64_t number = 0;  // kTooLarge: the file's size; makeDirectories: length of the path the error is about,
                        // or of the first path made
};

// A task with copies of the paths (each `*_length` bytes, without NUL; `other` may be null) and room for `length` bytes
// of data. nullptr: no memory. The block lets go of the content when it is released.
Block* file_task_make(const char* path, size_t path_length, const char* other, size_t other_length, size_t length);
inline FileTask& file_task_of(Block& block) { return *reinterpret_cast<FileTask*>(block.data()); }
inline unsigned char* file_task_bytes(Block& block) { return const_cast<unsigned char*>(file_task_of(block).bytes); }

// Back ends; an op's `extra` is the FileTask. What one ends with:
extern const BackEnd kReadFile;         // the length
extern const BackEnd kWriteFile;        // 0
extern const BackEnd kCopyFile;         // 0
extern const BackEnd kMakeDirectories;  // 0, `number` 0: all of it was there

}  // namespace acall

#endif  // ACALL_CORE_FILES_FILE_TASKS_H_
