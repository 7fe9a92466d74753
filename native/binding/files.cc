// Whole files for JavaScript: one op for one file (readFile, writeFile, copyFile, mkdirp), and readFiles.
#include <cerrno>
#include <cstring>

#include "batch.h"

namespace acall::binding {

namespace {

constexpr int32_t kNoDescriptor = 0x7fffffff;  // EBADF: of a handle that is being closed

// The back end of a kind; nullptr: there is no such kind.
RunFunction run_of(uint32_t kind) {
  switch (static_cast<FileKind>(kind)) {
    case FileKind::kRead:
      return run_read_file;
    case FileKind::kWrite:
      return run_write_file;
    case FileKind::kCopy:
      return run_copy_file;
    case FileKind::kMakeDirectories:
      return run_make_directories;
  }
  return nullptr;
}

bool is_null(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && (type == napi_null || type == napi_undefined);
}

// Text is written as UTF-8 straight into the task.
size_t length_of(napi_env env, napi_value data, unsigned char** bytes) {
  size_t length = 0;
  *bytes = nullptr;
  if (is_null(env, data) || napi_get_value_string_utf8(env, data, nullptr, 0, &length) == napi_ok) return length;
  bytes_of(env, data, bytes, &length);
  return length;
}

// fileSubmit(kind, slot, path, other, data, request): a FileRequest; path, other and data may be null. 1, or 0 when
// memory is short
napi_value file_submit(napi_env env, napi_callback_info info) {
  Arguments<6> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t kind, number;
  unsigned char* request_bytes;
  size_t request_length;
  if (!uint32_of(env, arguments[0], &kind) || !uint32_of(env, arguments[1], &number) ||
      !bytes_of(env, arguments[5], &request_bytes, &request_length)) {
    return nullptr;
  }
  Slot* slot = slot_of(data, number);
  FileRequest request;
  const RunFunction run = run_of(kind);
  if (slot == nullptr || run == nullptr || request_length < sizeof request) {
    throw_range_error(env, "No such slot or kind");
    return nullptr;
  }
  memcpy(&request, request_bytes, sizeof request);
  ByteBuffer path, other;
  const bool has_other = !is_null(env, arguments[3]);
  if (!is_null(env, arguments[2]) && !path_argument(env, arguments[2], path)) return nullptr;
  if (has_other && !path_argument(env, arguments[3], other)) return nullptr;
  unsigned char* bytes;
  const size_t length = length_of(env, arguments[4], &bytes);
  bool is_pending = false;
  if (napi_is_exception_pending(env, &is_pending) != napi_ok || is_pending) return nullptr;
  // One byte more for the NUL that Node-API writes behind a text.
  const char* second = has_other ? (other.size() > 0 ? other.data() : "") : nullptr;
  Block* block = file_task_make(path.data(), path.size(), second, other.size(), length + 1);
  if (block == nullptr) return to_number(env, 0);
  FileTask& task = file_task_of(*block);
  task.length = length;
  unsigned char* into = file_task_bytes(*block);
  if (bytes != nullptr) {
    memcpy(into, bytes, length);
  } else if (length > 0) {
    size_t written = 0;
    napi_get_value_string_utf8(env, arguments[4], reinterpret_cast<char*>(into), length + 1, &written);
    task.length = written;
  }
  task.fd = request.fd;
  task.flags = request.flags;
  task.mode = request.mode;
  task.options = request.options;
  PromiseWork work;
  work.run = run;
  work.extra = &task;
  work.cookie = uint64_t{number} + 1;
  work.block = block;
  work.keep_alive = !(request.facts & JobOption::kUnreferenced);
  if (request.handle != 0) {
    work.handle = handle_find(*data.environment, request.handle);
    if (work.handle == nullptr) task.fd = kNoDescriptor;
  }
  block_reference(*block);  // the slot's
  uint32_t taken = engine_submit_work(*data.environment, *data.ring, &work, 1, &slot->id);
  if (taken == 0) {
    block_release(block);
    block_release(block);  // NOLINT(clang-analyzer-unix.Malloc): the second of two references
  } else {
    slot->kept = block;
  }
  hold_bell(data);
  return to_number(env, taken);
}

FileTask* task_of(napi_env env, Client& client, napi_value value) {
  uint32_t number;
  if (!uint32_of(env, value, &number)) return nullptr;
  Slot* slot = slot_of(client, number);
  if (slot != nullptr && slot->kept != nullptr) return &file_task_of(*slot->kept);
  throw_range_error(env, "No such slot");
  return nullptr;
}

// fileFacts(slot, into): the FileFacts of a complete task
napi_value file_facts(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  FileTask* task = task_of(env, *arguments.client, arguments[0]);
  unsigned char* bytes;
  size_t length;
  if (task == nullptr || !bytes_of(env, arguments[1], &bytes, &length)) return nullptr;
  FileFacts facts{};
  facts.call = task->call;
  facts.low = static_cast<uint32_t>(task->number);
  facts.high = static_cast<uint32_t>(task->number >> 32);
  facts.refused = task->refused;
  memcpy(bytes, &facts, length < sizeof facts ? length : sizeof facts);
  return nullptr;
}

// fileCopyContent(slot, into, length): what was read
napi_value file_copy_content(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  FileTask* task = task_of(env, *arguments.client, arguments[0]);
  unsigned char* bytes;
  size_t available;
  uint32_t length;
  if (task == nullptr || !bytes_of(env, arguments[1], &bytes, &available) || !uint32_of(env, arguments[2], &length))
    return nullptr;
  if (task->content == nullptr) return nullptr;
  if (length > available) length = static_cast<uint32_t>(available);
  if (length > task->content->size) length = static_cast<uint32_t>(task->content->size);
  memcpy(bytes, task->content->data(), length);
  return nullptr;
}

// fileTakeContent(slot, length): the same as an ArrayBuffer over the memory it was read into
napi_value file_take_content(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  FileTask* task = task_of(env, *arguments.client, arguments[0]);
  uint32_t length;
  if (task == nullptr || !uint32_of(env, arguments[1], &length)) return nullptr;
  if (task->content == nullptr || length > task->content->size) {
    throw_range_error(env, "The file is shorter");
    return nullptr;
  }
  return to_array_buffer(env, std::exchange(task->content, nullptr), length);
}

// readFilesMake(flags): the handle of a job that waits for paths; null when memory is short
napi_value read_files_make(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Client& data = *arguments.client;
  int32_t flags;
  if (napi_get_value_int32(env, arguments[0], &flags) != napi_ok) {
    throw_type_error(env, "The flags must be of type number");
    return nullptr;
  }
  if (!open_environment(data)) return nullptr;
  ReadFiles* job = ReadFiles::make(*data.environment, flags);
  napi_value none = nullptr;
  napi_get_null(env, &none);
  return job == nullptr ? none : to_handle(env, job);
}

// readFilesAdd(handle, paths, count): the next `count` paths, joined by NULs, as text or as bytes. 0; kHasNul;
// -EAGAIN: no memory; -ECANCELED: the job is over
napi_value read_files_add(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  auto* job = job_of<ReadFiles>(env, arguments[0]);
  uint32_t count;
  unsigned char* bytes;
  if (job == nullptr || !uint32_of(env, arguments[2], &count)) return nullptr;
  size_t length = length_of(env, arguments[1], &bytes);
  bool is_pending = false;
  if (napi_is_exception_pending(env, &is_pending) != napi_ok || is_pending) return nullptr;
  Block* paths = block_make(length + 1);
  if (paths == nullptr) return to_number(env, -EAGAIN);
  if (bytes != nullptr) {
    memcpy(paths->data(), bytes, length);
  } else {
    napi_get_value_string_utf8(env, arguments[1], reinterpret_cast<char*>(paths->data()), length + 1, &length);
  }
  paths->data()[length] = '\0';
  uint32_t found = 0;
  const unsigned char* end = paths->data() + length + 1;
  for (const unsigned char* at = paths->data(); at < end; ++found) {
    at = static_cast<const unsigned char*>(memchr(at, 0, static_cast<size_t>(end - at))) + 1;
  }
  if (found != count) {
    block_release(paths);
    return to_number(env, kHasNul);
  }
  return to_number(env, job->add(paths, count));
}

// readFilesFinish(handle): no more paths will come
napi_value read_files_finish(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  if (auto* job = job_of<ReadFiles>(env, arguments[0]); job != nullptr) job->finish();
  return nullptr;
}

// readFilesWait(handle, slot, flags): the slot's op ends when readFilesTake() has something, or the job is over. 0 or
// -EAGAIN
napi_value read_files_wait(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  auto* job = job_of<ReadFiles>(env, arguments[0]);
  uint32_t slot, flags;
  if (job == nullptr || !uint32_of(env, arguments[1], &slot) || !uint32_of(env, arguments[2], &flags)) return nullptr;
  int error = begin_job(data, *job, slot, !(flags & JobOption::kUnreferenced));
  hold_bell(data);
  return to_number(env, error);
}

// readFilesTake(handle, into): one pack's bytes as an ArrayBuffer, null where it has none. Into: a ReadHeader,
// then the records
napi_value read_files_take(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto* job = job_of<ReadFiles>(env, arguments[0]);
  unsigned char* bytes;
  size_t length;
  if (job == nullptr || !bytes_of(env, arguments[1], &bytes, &length)) return nullptr;
  if (length < sizeof(ReadHeader) + ReadPack::kRecords * sizeof(ReadRecord)) {
    throw_range_error(env, "A pack needs more room");
    return nullptr;
  }
  ReadFiles::Output output = job->take();
  ReadPack* pack = output.pack;
  ReadHeader header{};
  header.count = pack == nullptr ? 0 : pack->count;
  header.ended = output.ended;
  header.result = output.result;
  header.unclaimed = output.unclaimed;
  memcpy(bytes, &header, sizeof header);
  napi_value data = nullptr;
  napi_get_null(env, &data);
  if (pack == nullptr) return data;
  memcpy(bytes + sizeof header, pack->records, pack->count * sizeof(ReadRecord));
  if (pack->data != nullptr) data = to_array_buffer(env, std::exchange(pack->data, nullptr), pack->used);
  read_pack_free(pack);
  return data;
}

}  // namespace

void define_files(napi_env env, napi_value exports) {
  define(env, exports, "fileSubmit", file_submit);
  define(env, exports, "fileFacts", file_facts);
  define(env, exports, "fileCopyContent", file_copy_content);
  define(env, exports, "fileTakeContent", file_take_content);
  define(env, exports, "readFilesMake", read_files_make);
  define(env, exports, "readFilesAdd", read_files_add);
  define(env, exports, "readFilesFinish", read_files_finish);
  define(env, exports, "readFilesWait", read_files_wait);
  define(env, exports, "readFilesTake", read_files_take);
}

}  // namespace acall::binding
