// Registered memory: arenas. A view crosses the border, never a bare SharedArrayBuffer, since Node 20 cannot read one.
#include <cerrno>

#include "method.h"

namespace acall::binding {

namespace {

void release(napi_env env, void* arena, void*) {
  if (void* holder = arena_drop(static_cast<Arena*>(arena))) napi_delete_reference(env, static_cast<napi_ref>(holder));
}

// arenaRegister(buffer, view of all of it, fresh): returns a handle; the registration ends when the handle is
// finalized. `fresh`: the buffer has just been made
napi_value arena_register(Client& client, napi_value buffer, std::span<unsigned char> bytes, bool fresh) {
  if (bytes.data() == nullptr || bytes.empty()) return throw_range_error(client.env, "An arena must not be empty");
  napi_ref reference;
  if (napi_create_reference(client.env, buffer, 0, &reference) != napi_ok) {
    return throw_type_error(client.env, "The argument must be a SharedArrayBuffer");
  }
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  Arena* arena = acall::arena_register(*client.environment, begin, bytes.size(), fresh, reference);
  if (arena != nullptr) return to_handle(client, arena, release);
  napi_delete_reference(client.env, reference);
  return throw_out_of_memory(client.env);
}

// arenaTake(arena, byteLength, align): allocates bytes. Returns their offset from the arena's beginning; kNoRoom: there
// is no room
double arena_take(Client& client, Arena* arena, double length, double align) {
  const int64_t offset = acall::arena_take(*arena, static_cast<uint64_t>(length), static_cast<uint64_t>(align));
  if (offset == -EAGAIN) return throw_out_of_memory(client.env);
  return offset < 0 ? kNoRoom : static_cast<double>(offset);
}

// arenaGiveBack(arena, offset): frees bytes. False when no allocated bytes begin at the offset
bool arena_give_back(Client&, Arena* arena, double offset) {
  return acall::arena_give_back(*arena, static_cast<uint64_t>(offset));
}

// addressOf(view): the native address of its first byte, in any kind of buffer
BigInt address_of(Client&, std::span<unsigned char> bytes) { return {reinterpret_cast<uint64_t>(bytes.data())}; }

}  // namespace

void add_memory_functions(const Exports& exports) {
  exports.add("arenaRegister", call<arena_register, kOpens>);
  exports.add("arenaTake", call<arena_take>);
  exports.add("arenaGiveBack", call<arena_give_back>);
  exports.add("addressOf", call<address_of>);
}

}  // namespace acall::binding
