// Jobs of the promise layer: many inputs, one promise. Here what all of them share, and statMany; batch_tree.cc has the
// rest.
#include "batch.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace acall::binding {

namespace {

// statManyBegin(slot, count, dirfd, flags): the handle of a job that waits for `count` paths; null when memory is short
napi_value stat_many_begin(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t slot, count, flags;
  int32_t dirfd;
  if (!uint32_of(env, arguments[0], &slot) || !uint32_of(env, arguments[1], &count) ||
      !uint32_of(env, arguments[3], &flags)) {
    return nullptr;
  }
  if (napi_get_value_int32(env, arguments[2], &dirfd) != napi_ok) {
    throw_type_error(env, "The descriptor must be of type number");
    return nullptr;
  }
  napi_value none = nullptr;
  napi_get_null(env, &none);
  if (!open_environment(data)) return nullptr;
  auto* batch =
      StatBatch::make(*data.environment, count, dirfd, flags & JobOption::kNoFollow ? AT_SYMLINK_NOFOLLOW : 0);
  if (batch == nullptr) return none;
  if (begin_job(data, *batch, slot, !(flags & JobOption::kUnreferenced)) != 0) {
    batch->release();
    return none;
  }
  batch->start();
  hold_bell(data);
  return to_handle(env, batch);
}

// statManyAdd(handle, paths, count, characters): the next `count` paths, joined by NULs. 0; kHasNul;
// -EAGAIN: no memory; -ECANCELED: the job is over
napi_value stat_many_add(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  auto* batch = job_of<StatBatch>(env, arguments[0]);
  uint32_t count;
  double characters;
  if (batch == nullptr || !uint32_of(env, arguments[2], &count) || !number_of(env, arguments[3], &characters)) {
    return nullptr;
  }
  size_t room = static_cast<size_t>(characters) * 3 + 1;  // UTF-8 needs at most three bytes for a UTF-16 unit
  Block* paths = block_make(room);
  if (paths == nullptr) return to_number(env, -EAGAIN);
  auto* text = reinterpret_cast<char*>(paths->data());
  size_t length = 0;
  if (napi_get_value_string_utf8(env, arguments[1], text, room, &length) != napi_ok) {
    block_release(paths);
    throw_type_error(env, "The paths must be of type string");
    return nullptr;
  }
  uint32_t found = 0;  // of the NULs, the one that ends the text included
  for (const char* at = text; at <= text + length; ++found) {
    at = static_cast<const char*>(memchr(at, 0, static_cast<size_t>(text + length + 1 - at))) + 1;
  }
  if (found != count) {
    block_release(paths);
    return to_number(env, kHasNul);
  }
  return to_number(env, batch->add(paths, count));
}

// statManyTake(handle): the columns, once, after the promise's op has ended with 0
napi_value stat_many_take(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto* batch = job_of<StatBatch>(env, arguments[0]);
  if (batch == nullptr) return nullptr;
  Block* columns = batch->take();
  if (columns == nullptr) {
    throw_error(env, "ERR_INVALID_STATE", "The columns have been taken");
    return nullptr;
  }
  return to_array_buffer(env, columns, columns->size);
}

// jobCancel(handle): interrupts what runs; the op ends with -ECANCELED unless it is over
napi_value job_cancel(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  if (Job* job = job_of(env, arguments[0]); job != nullptr) job->cancel();
  return nullptr;
}

}  // namespace

napi_value to_handle(napi_env env, Job* job) {
  napi_value handle = nullptr;
  napi_status status = napi_create_external(
      env, job,
      [](napi_env, void* pointer, void*) {
        auto* gone = static_cast<Job*>(pointer);
        gone->cancel();
        gone->release();
      },
      nullptr, &handle);
  if (status == napi_ok) return handle;
  job->cancel();
  job->release();
  throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
  return nullptr;
}

Job* job_of(napi_env env, napi_value handle) {
  void* pointer = nullptr;
  if (napi_get_value_external(env, handle, &pointer) == napi_ok) return static_cast<Job*>(pointer);
  throw_type_error(env, "The argument must be the handle of a job");
  return nullptr;
}

int begin_job(Client& data, Job& job, uint32_t number, bool keep_alive) {
  Slot* slot = slot_of(data, number);
  if (slot == nullptr) return -EINVAL;
  return job.begin(*data.ring, uint64_t{number} + 1, keep_alive, &slot->id);
}

bool path_argument(napi_env env, napi_value value, ByteBuffer& path) {
  napi_valuetype type;
  bool ok = napi_typeof(env, value, &type) == napi_ok;
  if (ok && type == napi_string) {
    size_t length = 0;
    ok = napi_get_value_string_utf8(env, value, nullptr, 0, &length) == napi_ok;
    char* text = ok ? path.reserve(length + 1) : nullptr;
    ok = text != nullptr && napi_get_value_string_utf8(env, value, text, length + 1, &length) == napi_ok;
    if (ok) path.advance(length);
  } else {
    unsigned char* bytes;
    size_t length;
    if (!bytes_of(env, value, &bytes, &length)) return false;
    ok = path.append(bytes, length);
  }
  if (!ok) {
    throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    return false;
  }
  if (path.size() > 0 && memchr(path.data(), 0, path.size()) != nullptr) {
    throw_error(env, "ERR_INVALID_ARG_VALUE", "The path must be without null bytes");
    return false;
  }
  return true;
}

void define_batch(napi_env env, napi_value exports) {
  define(env, exports, "statManyBegin", stat_many_begin);
  define(env, exports, "statManyAdd", stat_many_add);
  define(env, exports, "statManyTake", stat_many_take);
  define(env, exports, "jobCancel", job_cancel);
  define_batch_tree(env, exports);
}

}  // namespace acall::binding
