// readFile, the making of directories, and the memory of tasks. See file_tasks.h.
#include "files/file_tasks.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <cstring>
#include <new>
#include <utility>

#include "files/file_tasks_call.h"
#include "files/read_whole.h"

namespace acall {

namespace {

constexpr uint32_t kFirstRead = 32 * 1024;  // on the stack of a pool thread

int64_t read_to_end(TaskCaller& call, FileTask& task, int fd) {
  unsigned char first[kFirstRead];
  task.call = FileCall::kRead;
  int64_t got = read_first(call, fd, first, kFirstRead);
  if (got <= 0) return got;
  if (got < kFirstRead) {
    task.content = block_make(static_cast<size_t>(got));
    if (task.content == nullptr) return -ENOMEM;
    memcpy(task.content->data(), first, static_cast<size_t>(got));
    return got;
  }
  // A descriptor of the caller may be at any position of its file, so only a read of 0 bytes is the end.
  WholeFile file = size_of_large(call, fd, kFirstRead);
  if (file.status >= 0) {
    if (task.fd >= 0) file.size = 0;
    read_rest(
        call, [&] { return call.is_cancelled(); }, fd, first, kFirstRead, file);
  }
  task.call = file.call;
  task.number = file.size;
  task.content = file.block;
  return file.status;
}

// Errors of mkdir(2) after which no stat is needed.
bool is_final(int64_t rc) {
  return rc == -ENOENT || rc == -EACCES || rc == -ENOSPC || rc == -ENOTDIR || rc == -EPERM || rc == -ECANCELED;
}

}  // namespace

Block* file_task_make(const char* path, size_t path_length, const char* other, size_t other_length, size_t length) {
  constexpr size_t kHeader = (sizeof(FileTask) + 15) & ~size_t{15};
  size_t texts = (path_length + 1 + (other == nullptr ? 0 : other_length + 1) + 15) & ~size_t{15};
  Block* block = block_make(kHeader + texts + length);
  if (block == nullptr) return nullptr;
  block->on_free = [](Block& gone) { block_release(file_task_of(gone).content); };
  auto* task = new (block->data()) FileTask();
  char* text = reinterpret_cast<char*>(block->data()) + kHeader;
  if (path_length > 0) memcpy(text, path, path_length);
  text[path_length] = '\0';
  task->path = text;
  if (other != nullptr) {
    char* second = text + path_length + 1;
    memcpy(second, other, other_length);
    second[other_length] = '\0';
    task->other = second;
  }
  task->bytes = block->data() + kHeader + texts;
  task->length = length;
  return block;
}

static int64_t run_read_file(Operation& op, PoolThread& self) {
  auto& task = *static_cast<FileTask*>(op.extra);
  TaskCaller call(op, self);
  if (task.fd >= 0) return read_to_end(call, task, task.fd);
  DescriptorGuest guest;
  task.call = FileCall::kOpen;
  const int64_t fd = call.open(task.path, task.flags, task.mode);
  if (fd < 0) return fd;
  const int64_t result = read_to_end(call, task, static_cast<int>(fd));
  call.close(fd);
  return result;
}

// As node:fs: goes up from the whole path to a directory that exists or can be made, and then down again.
static int64_t run_make_directories(Operation& op, PoolThread& self) {
  auto& task = *static_cast<FileTask*>(op.extra);
  TaskCaller call(op, self);
  task.call = FileCall::kMakeDirectory;
  char* path = const_cast<char*>(task.path);  // in the task's block: a NUL in place of a slash cuts it
  uint16_t below[PATH_MAX / 2];               // lengths of longer paths to be made later, the shortest last
  size_t waiting = 0, first_made = 0, at = strlen(path);
  bool came_down = false;
  int vanished = 0;
  for (;;) {
    const char kept = std::exchange(path[at], '\0');
    int64_t rc = call(SYS_mkdirat, AT_FDCWD, path, task.mode);
    const bool parent_is_missing = rc == -ENOENT;  // not so for the ENOENT of the stat below: a dangling link
    if (rc != 0 && !is_final(rc)) {                // EEXIST, EROFS, EISDIR of "/": there may be a directory
      struct statx info;
      int64_t looked = call(SYS_statx, AT_FDCWD, path, 0, STATX_TYPE, &info);
      if (looked == 0 && S_ISDIR(info.stx_mode)) {
        rc = 0;
      } else if (rc == -EEXIST && waiting > 0 && (looked == 0 || looked == -ENOENT)) {
        rc = -ENOTDIR;  // a file or a dangling link in the place of a directory
      } else {
        rc = looked < 0 ? looked : -EEXIST;
      }
    } else if (rc == 0 && first_made == 0) {
      first_made = at;
    }
    path[at] = kept;
    task.number = at;
    if (parent_is_missing) {
      size_t up = at;
      while (up > 0 && path[up - 1] != '/') --up;
      // In /proc a directory exists and none can be made in it; elsewhere others may remove the new directories.
      if (up <= 1 || waiting == sizeof below / sizeof below[0] || (came_down && ++vanished > 8)) return rc;
      below[waiting++] = static_cast<uint16_t>(at);
      at = up - 1;
      came_down = false;
      continue;
    }
    if (rc != 0) return rc;
    if (waiting == 0) break;
    at = below[--waiting];
    came_down = true;
  }
  task.number = first_made;
  return 0;
}

constinit const BackEnd kReadFile{.run = run_read_file};
constinit const BackEnd kMakeDirectories{.run = run_make_directories};

}  // namespace acall
