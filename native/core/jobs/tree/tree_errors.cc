// How a traversal makes the record of an error. See tree_errors.h.
#include "jobs/tree/tree_errors.h"

#include <cerrno>
#include <cstring>

#include "base/seams.h"
#include "jobs/tree/tree.h"

namespace acall {

bool Tree::path_of(const Dir& dir, ByteBuffer& path) {
  size_t length = 0;
  for (const Dir* at = &dir; at != nullptr; at = at->parent) length += at->name_length + 1;
  path.clear();
  char* end = path.reserve(length);
  if (end == nullptr) return false;
  char* from = end + length;
  for (const Dir* at = &dir; at != nullptr; at = at->parent) {
    bool has_slash =
        at->name_length > 0 && at->name[at->name_length - 1] == '/';  // the root's path, as the caller wrote it
    if (at != &dir && !has_slash) *--from = '/';
    from -= at->name_length;
    memcpy(from, at->name, at->name_length);
  }
  size_t used = static_cast<size_t>(end + length - from);
  memmove(end, from, used);
  path.advance(used);
  return true;
}

void Tree::report(const Dir& dir, const char* name, int64_t error, TreeCall call) {
  ByteBuffer path;
  bool ok = path_of(dir, path);
  if (ok && name != nullptr) {
    bool has_slash = path.size() > 0 && path.data()[path.size() - 1] == '/';
    ok = (has_slash || path.append("/", 1)) && path.append(name, strlen(name));
  }
  void* memory = ok ? seams.allocate(sizeof(TreeError) + path.size() + 1) : nullptr;
  if (memory == nullptr) {
    fail(-ENOMEM);
    return;
  }
  auto* record = static_cast<TreeError*>(memory);
  record->next = nullptr;
  record->error = static_cast<int>(-error);
  record->call = call;
  record->path_length = static_cast<uint32_t>(path.size());
  if (path.size() > 0) memcpy(record->path, path.data(), path.size());
  record->path[path.size()] = '\0';
  bool is_kept;
  {
    Hold hold(lock);
    is_kept = errors_.add(*record);
  }
  if (!is_kept) free(record);
}

}  // namespace acall
