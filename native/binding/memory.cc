// Registered memory: arenas. A view crosses the border, never a bare SharedArrayBuffer, since Node 20 cannot read one.
#include <cerrno>

#include "addon.h"

namespace acall::binding {

namespace {

void release(napi_env env, void* arena, void*) {
  if (void* holder = arena_drop(static_cast<Arena*>(arena))) napi_delete_reference(env, static_cast<napi_ref>(holder));
}

Arena* arena_of(napi_env env, napi_value handle) {
  void* arena = nullptr;
  if (napi_get_value_external(env, handle, &arena) == napi_ok) return static_cast<Arena*>(arena);
  throw_type_error(env, "The arena must be a handle");
  return nullptr;
}

// arenaRegister(buffer, view of all of it, fresh): a handle; the registration ends when the handle is collected.
// `fresh`: the buffer has just been made
napi_value arena_register(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  unsigned char* bytes;
  size_t length;
  if (!bytes_of(env, arguments[1], &bytes, &length) || !open_environment(data)) return nullptr;
  if (bytes == nullptr || length == 0) {
    throw_range_error(env, "An arena must not be empty");
    return nullptr;
  }
  napi_ref reference;
  if (napi_create_reference(env, arguments[0], 0, &reference) != napi_ok) {
    throw_type_error(env, "The argument must be a SharedArrayBuffer");
    return nullptr;
  }
  bool fresh = false;
  napi_get_value_bool(env, arguments[2], &fresh);
  const auto begin = reinterpret_cast<uintptr_t>(bytes);
  Arena* arena = arena_add(*data.environment, begin, length, reference);
  if (arena != nullptr) arena->heap = arena_heap_open(begin, length, fresh);
  napi_value external = nullptr;
  if (arena != nullptr && arena->heap != nullptr &&
      napi_create_external(env, arena, release, nullptr, &external) == napi_ok)
    return external;
  if (arena != nullptr) {
    release(env, arena, nullptr);
  } else {
    napi_delete_reference(env, reference);
  }
  throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
  return nullptr;
}

// arenaTake(arena, byteLength, align): where so many bytes begin, counted from the arena's begin; kNoRoom: there is
// none
napi_value arena_take(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  double length, align;
  Arena* arena = arena_of(env, arguments[0]);
  if (arena == nullptr || !number_of(env, arguments[1], &length) || !number_of(env, arguments[2], &align))
    return nullptr;
  const int64_t offset =
      arena->heap->take(static_cast<uint64_t>(length), static_cast<uint64_t>(align), arena->end - arena->begin);
  if (offset == -EAGAIN) {
    throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    return nullptr;
  }
  return to_number(env, offset < 0 ? kNoRoom : static_cast<double>(offset));
}

// arenaGiveBack(arena, offset): false when nothing that was taken begins there
napi_value arena_give_back(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  double offset;
  Arena* arena = arena_of(env, arguments[0]);
  if (arena == nullptr || !number_of(env, arguments[1], &offset)) return nullptr;
  napi_value done = nullptr;
  napi_get_boolean(env, arena->heap->give_back(static_cast<uint64_t>(offset)), &done);
  return done;
}

// addressOf(view): the native address of its first byte, whatever it views
napi_value address_of(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  unsigned char* bytes;
  size_t length;
  if (!bytes_of(env, arguments[0], &bytes, &length)) return nullptr;
  return to_bigint(env, reinterpret_cast<uint64_t>(bytes));
}

}  // namespace

void define_memory(napi_env env, napi_value exports) {
  define(env, exports, "arenaRegister", arena_register);
  define(env, exports, "arenaTake", arena_take);
  define(env, exports, "arenaGiveBack", arena_give_back);
  define(env, exports, "addressOf", address_of);
}

}  // namespace acall::binding
