// What the binding keeps for each JavaScript environment, and small helpers to read arguments. The binding checks
// types, converts and calls the facade; every function here runs on the environment's own thread.
#ifndef ACALL_BINDING_ADDON_H_
#define ACALL_BINDING_ADDON_H_

#include <napi.h>

#include <cstddef>
#include <cstdint>

#include "engine.h"

namespace acall::binding {

inline constexpr uint32_t kSlotChunkBits = 12;
inline constexpr uint32_t kSlotChunk = 1u << kSlotChunkBits;  // promise slots in one chunk
inline constexpr uint32_t kMaxSlotChunks = 256;               // a million promise ops in flight
inline constexpr uint32_t kStatBytes = 152;                   // one stat result, see stat_columns.h

// One promise in flight. Its number + 1 is the cookie of its op in the promise ring.
struct Slot {
  acall_id id;
  Block* kept;  // the op's memory, until JavaScript has copied the results out
};

struct SlotChunk {
  Slot slots[kSlotChunk];
  ResultCarrier carriers[kSlotChunk];  // untouched pages but for slots of calls whose result may carry descriptors
  Block* stats;                        // kSlotChunk results; JavaScript sees it as an external ArrayBuffer
};

struct AddonData {
  napi_env env = nullptr;
  Environment* environment = nullptr;
  napi_threadsafe_function bell = nullptr;
  bool bell_referenced = false;
  uint64_t kept_seen = 0;      // Environment::kept when the bell was last held
  napi_ref on_turn = nullptr;  // called by the bell
  napi_ref nothing = nullptr;  // an empty function: calling it fails when the environment is ending
  Ring* ring = nullptr;        // of the promise layer
  Block* ring_memory = nullptr;
  SlotChunk* chunks[kMaxSlotChunks] = {};
  SubmitError last_error;
};

inline AddonData* data_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<AddonData*>(data);
}

// Attaches the environment at first use: bell, promise ring, clean-up hook. False: an exception is pending.
bool open_environment(AddonData& data);
// After a submission: if it brought ops that keep the loop alive, the bell keeps it alive until their turn has come.
void hold_bell(AddonData& data);
// After a turn, or a change of what counts: the loop may end when nothing is kept and no bell is pending.
void let_go_of_bell(AddonData& data);

Slot* slot_of(AddonData& data, uint32_t number);              // nullptr: no such chunk
ResultCarrier& carrier_of(AddonData& data, uint32_t number);  // of a slot that exists
unsigned char* stat_result_of(AddonData& data, uint32_t number);

void throw_type_error(napi_env env, const char* message);
void throw_range_error(napi_env env, const char* message);
void throw_error(napi_env env, const char* code, const char* message);

// Reads the arguments of a call; at most `Count`, missing ones are undefined.
template <size_t Count>
struct Arguments {
  napi_value values[Count];
  size_t count = Count;
  Arguments(napi_env env, napi_callback_info info) { napi_get_cb_info(env, info, &count, values, nullptr, nullptr); }
  napi_value operator[](size_t i) const { return values[i]; }
};

// Bytes of a typed array, a Buffer or a DataView. False and a pending TypeError for anything else.
bool bytes_of(napi_env env, napi_value view, unsigned char** bytes, size_t* length);
bool number_of(napi_env env, napi_value value, double* number);
bool uint32_of(napi_env env, napi_value value, uint32_t* number);
bool uint64_of(napi_env env, napi_value value, uint64_t* number);  // a BigInt

napi_value to_number(napi_env env, double number);
napi_value to_bigint(napi_env env, uint64_t number);
// An ArrayBuffer over a block, which it keeps alive; a copy where the runtime allows no external buffers. Takes over
// one reference of the block.
napi_value to_array_buffer(napi_env env, Block* block, size_t length);

void define(napi_env env, napi_value exports, const char* name, napi_callback function);

// The rooms of the binding; each adds its functions to `exports`.
void define_raw(napi_env env, napi_value exports);
void define_memory(napi_env env, napi_value exports);
void define_promise(napi_env env, napi_value exports);
void define_batch(napi_env env, napi_value exports);
void define_files(napi_env env, napi_value exports);
void define_program(napi_env env, napi_value exports);

}  // namespace acall::binding

#endif  // ACALL_BINDING_ADDON_H_
