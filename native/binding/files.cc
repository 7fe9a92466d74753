// File tasks: one op on one file, for readFile, writeFile, copyFile, mkdirp.
#include <algorithm>
#include <cstring>

#include "method.h"

namespace acall::binding {

namespace {

// fileSubmit(kind, slot, path, other, data, request): submits a task. `request` is a FileRequest; path, other and data
// may be null. 1, or 0 when memory is short
uint32_t file_submit(Client& client, uint32_t kind, SlotArgument slot, const Path& path, const Path& other,
                     const Content& data, Record<FileRequest> request) {
  if (kind > static_cast<uint32_t>(FileKind::kMakeDirectories)) return throw_range_error(client.env, "No such kind");
  // One byte more for the NUL that comes behind a text.
  Block* block = file_task_make(path.data(), path.size(), other.data(), other.size(), data.length + 1);
  if (block == nullptr) return 0;
  file_task_of(*block).length = data.length;
  data.write(file_task_bytes(*block));
  return promise_submit_file(*client.environment, client.slots, static_cast<FileKind>(kind), slot.number, request.get(),
                             block);
}

// The task of a slot; nullptr, with an exception pending, when fileSubmit() was not called for the slot.
FileTask* task_of(Client& client, SlotArgument slot) {
  if (slot->kept != nullptr) return &file_task_of(*slot->kept);
  return throw_range_error(client.env, "No file is kept for the slot");
}

// fileFacts(slot, into): stores the FileFacts of a complete task
void file_facts(Client& client, SlotArgument slot, Record<FileFacts> into) {
  const FileTask* task = task_of(client, slot);
  if (task == nullptr) return;
  FileFacts facts{};
  facts.call = task->call;
  facts.low = static_cast<uint32_t>(task->number);
  facts.high = static_cast<uint32_t>(task->number >> 32);
  facts.refused = task->refused;
  into.set(facts);
}

// fileCopyContent(slot, into, length): copies the bytes that were read
void file_copy_content(Client& client, SlotArgument slot, std::span<unsigned char> into, uint32_t length) {
  const FileTask* task = task_of(client, slot);
  if (task == nullptr || task->content == nullptr) return;
  memcpy(into.data(), task->content->data(), std::min({size_t{length}, into.size(), task->content->size}));
}

// fileTakeContent(slot, length): the bytes that were read, as an ArrayBuffer over the memory that has them
BlockBuffer file_take_content(Client& client, SlotArgument slot, uint32_t length) {
  FileTask* task = task_of(client, slot);
  if (task == nullptr) return {};
  if (task->content == nullptr || length > task->content->size) {
    return throw_range_error(client.env, "The file is shorter");
  }
  return {std::exchange(task->content, nullptr), length};
}

}  // namespace

void add_file_functions(const Exports& exports) {
  exports.add("fileSubmit", call<file_submit, kSubmits>);
  exports.add("fileFacts", call<file_facts>);
  exports.add("fileCopyContent", call<file_copy_content>);
  exports.add("fileTakeContent", call<file_take_content>);
}

}  // namespace acall::binding
