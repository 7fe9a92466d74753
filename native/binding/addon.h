// Small helpers to read arguments and make results, and the rooms of the binding. The binding checks types, converts
// and calls the facade; every function here runs on its client's own thread.
#ifndef ACALL_BINDING_ADDON_H_
#define ACALL_BINDING_ADDON_H_

#include <napi.h>

#include <cstddef>
#include <cstdint>

#include "client.h"
#include "engine.h"

namespace acall::binding {

void throw_type_error(napi_env env, const char* message);
void throw_range_error(napi_env env, const char* message);
void throw_error(napi_env env, const char* code, const char* message);

// Reads the arguments of a call, at most `Count`, missing ones are undefined; and whose function it is.
template <size_t Count>
struct Arguments {
  napi_value values[Count];
  size_t count = Count;
  Client* client = nullptr;
  [[no_unique_address]] WatchedCode watched;  // as long as the function runs
  Arguments(napi_env env, napi_callback_info info) {
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, values, nullptr, &data);
    client = static_cast<Client*>(data);
  }
  napi_value operator[](size_t i) const { return values[i]; }
};

// Bytes of a typed array, a Buffer or a DataView. False and a pending TypeError for anything else.
bool bytes_of(napi_env env, napi_value view, unsigned char** bytes, size_t* length);
bool number_of(napi_env env, napi_value value, double* number);
bool uint32_of(napi_env env, napi_value value, uint32_t* number);
bool uint64_of(napi_env env, napi_value value, uint64_t* number);  // a BigInt

napi_value to_number(napi_env env, double number);
napi_value to_bigint(napi_env env, uint64_t number);
// An ArrayBuffer over a block, which it keeps alive. Takes over one reference of the block.
napi_value to_array_buffer(napi_env env, Block* block, size_t length);

// Adds a function to the object of a client, and the client to the function: neither is collected before the other.
void define(napi_env env, napi_value object, const char* name, napi_callback function);

// The rooms of the binding; each adds its functions to the object of a client.
void define_raw(napi_env env, napi_value exports);
void define_memory(napi_env env, napi_value exports);
void define_promise(napi_env env, napi_value exports);
void define_batch(napi_env env, napi_value exports);
void define_files(napi_env env, napi_value exports);
void define_program(napi_env env, napi_value exports);

}  // namespace acall::binding

#endif  // ACALL_BINDING_ADDON_H_
