// Registered memory: arenas. A view crosses the border, never a bare SharedArrayBuffer, since Node 20 cannot read one.
#include "addon.h"

namespace acall::binding {

namespace {

void release(napi_env env, void* arena, void*) {
  if (void* holder = arena_drop(static_cast<Arena*>(arena))) napi_delete_reference(env, static_cast<napi_ref>(holder));
}

// arenaRegister(buffer, view of all of it): a handle; the registration ends when the handle is collected
napi_value arena_register(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
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
  Arena* arena = arena_add(*data.environment, reinterpret_cast<uintptr_t>(bytes), length, reference);
  napi_value external = nullptr;
  if (arena != nullptr && napi_create_external(env, arena, release, nullptr, &external) == napi_ok) return external;
  if (arena != nullptr) {
    release(env, arena, nullptr);
  } else {
    napi_delete_reference(env, reference);
  }
  throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
  return nullptr;
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
  define(env, exports, "addressOf", address_of);
}

}  // namespace acall::binding
