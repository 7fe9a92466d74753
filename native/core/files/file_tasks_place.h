// New files that get their name only when they are whole: they are made under a temporary name in the same folder. Used
// by atomic writes and by copies, on the thread that runs the task; no lock.
#ifndef ACALL_CORE_FILES_FILE_TASKS_PLACE_H_
#define ACALL_CORE_FILES_FILE_TASKS_PLACE_H_

#include <cstddef>
#include <cstdint>

#include "base/byte_buffer.h"
#include "files/file_tasks_call.h"

namespace acall {

// The length of the folder's part of a path, the slash included; 0: the current folder.
size_t folder_length(const char* path);

// Stores in `path` the name of the file to which the symbolic links at `from` lead; the file need not exist. rename(2)
// would replace a link and not its target. 0 or -errno.
int64_t follow_links(TaskCaller& call, const char* from, ByteBuffer& path);

// Makes a new file in the folder of `path` and stores its name in `temporary`. Returns its descriptor or -errno;
// -EMFILE and -ENFILE too, without waiting for other tasks.
int64_t make_temporary(TaskCaller& call, const char* path, uint32_t mode, ByteBuffer& temporary);

// Renames the temporary file to `path`. -EEXIST: there is something already. With an error the temporary name stays.
int64_t place_new(TaskCaller& call, const char* temporary, const char* path);

}  // namespace acall

#endif  // ACALL_CORE_FILES_FILE_TASKS_PLACE_H_
