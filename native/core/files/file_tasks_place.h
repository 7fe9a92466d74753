// New files that appear under their name only when they are whole: a temporary file in the same folder, then the name.
// Used by atomic writes and by copies, on the thread that runs the task.
#ifndef ACALL_CORE_FILES_FILE_TASKS_PLACE_H_
#define ACALL_CORE_FILES_FILE_TASKS_PLACE_H_

#include <cstddef>
#include <cstdint>

#include "base/byte_buffer.h"
#include "files/file_tasks_call.h"

namespace acall {

// Length of the folder's part of a path, the slash included; 0: the current folder.
size_t folder_length(const char* path);

// Into `path` the file that `from` leads to, though it may not exist yet: rename(2) would replace a symbolic link and
// not its target.
int64_t follow_links(TaskCaller& call, const char* from, ByteBuffer& path);

// A new file beside `path`: its descriptor, or -errno (also -EMFILE: no wait), and its name in `temporary`.
int64_t make_temporary(TaskCaller& call, const char* path, uint32_t mode, ByteBuffer& temporary);

// Gives the temporary file its name: -EEXIST when something has that already. With an error the temporary name stays.
int64_t place_new(TaskCaller& call, const char* temporary, const char* path);

}  // namespace acall

#endif  // ACALL_CORE_FILES_FILE_TASKS_PLACE_H_
