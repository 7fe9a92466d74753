// The addon's entry, the environment's begin and end, and the helpers of addon.h.
#include "addon.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace acall::binding {

namespace {

constexpr uint32_t kPromiseRing = 1u << 16;

void ring_bell(void* context) {
  napi_call_threadsafe_function(static_cast<AddonData*>(context)->bell, nullptr, napi_tsfn_nonblocking);
}

bool hold_arena(void* context, void* holder, bool hold) {
  napi_env env = static_cast<AddonData*>(context)->env;
  auto reference = static_cast<napi_ref>(holder);
  if (!hold) return napi_reference_unref(env, reference, nullptr) == napi_ok;
  // A reference whose buffer has been collected already counts nothing.
  uint32_t count = 0;
  return napi_reference_ref(env, reference, &count) == napi_ok && count > 0;
}

void free_holder(void* context, void* holder) {
  napi_delete_reference(static_cast<AddonData*>(context)->env, static_cast<napi_ref>(holder));
}

// The bell's call on the loop. The order matters: the bell is armed again first, so that what completes from here on
// rings.
void turn(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;
  auto& data = *static_cast<AddonData*>(context);
  environment_turn(*data.environment);
  napi_value function, receiver, result;
  if (napi_get_reference_value(env, data.on_turn, &function) == napi_ok && function != nullptr &&
      napi_get_global(env, &receiver) == napi_ok) {
    napi_call_function(env, receiver, function, 0, nullptr, &result);
  }
  let_go_of_bell(data);
}

void free_slots(AddonData& data) {
  for (SlotChunk* chunk : data.chunks) {
    if (chunk == nullptr) continue;
    for (Slot& slot : chunk->slots) block_release(slot.kept);
    for (ResultCarrier& carrier : chunk->carriers) {
      if (carrier.is_set) carrier.forget();
    }
    block_release(chunk->stats);
    free(chunk);
  }
}

// Results that JavaScript has not taken: descriptors that they carry are closed.
void drop_results(void* context) {
  auto& data = *static_cast<AddonData*>(context);
  acall_completion scratch[64];
  uint32_t count;
  while ((count = ring_drain(*data.ring, scratch, 64)) > 0) {
    for (uint32_t i = 0; i < count; ++i) {
      if (!(scratch[i].cookie & kCarriesDescriptors)) continue;
      const auto number = static_cast<uint32_t>(scratch[i].cookie - 1);
      dispose_later(*data.environment, carrier_of(data, number), static_cast<int64_t>(scratch[i].return_code), true);
    }
  }
}

// Runs before Node closes the thread-safe function, since clean-up hooks run in the reverse order of their making.
void close_environment(void* argument) {
  auto& data = *static_cast<AddonData*>(argument);
  bool process_end = syscall(SYS_gettid) == getpid();
  environment_detach(data.environment, process_end);
  data.environment = nullptr;
}

napi_value nothing(napi_env, napi_callback_info) { return nullptr; }

// open(onTurn): what the bell calls.
napi_value open(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  AddonData& data = *data_of(env);
  if (data.on_turn == nullptr) napi_create_reference(env, arguments[0], 1, &data.on_turn);
  open_environment(data);
  return nullptr;
}

napi_value counters(napi_env env, napi_callback_info) {
  Counters now = engine_counters();
  const struct {
    const char* name;
    double value;
  } fields[] = {
      {"submitted", static_cast<double>(now.submitted)},      {"completed", static_cast<double>(now.completed)},
      {"cancelled", static_cast<double>(now.cancelled)},      {"queued", static_cast<double>(now.queued)},
      {"running", static_cast<double>(now.running)},          {"threads", static_cast<double>(now.threads)},
      {"poolThreads", static_cast<double>(now.pool_threads)}, {"ownThreads", static_cast<double>(now.own_threads)},
      {"blocked", static_cast<double>(now.blocked)},          {"overflows", static_cast<double>(now.overflows)},
      {"inlineHits", static_cast<double>(now.inline_hits)},   {"inlineMisses", static_cast<double>(now.inline_misses)},
  };
  napi_value object;
  napi_create_object(env, &object);
  for (const auto& field : fields) napi_set_named_property(env, object, field.name, to_number(env, field.value));
  return object;
}

}  // namespace

napi_value init(napi_env env, napi_value exports) {
  auto* data = new (std::nothrow) AddonData();
  if (data == nullptr) {
    throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    return nullptr;
  }
  data->env = env;
  napi_set_instance_data(
      env, data,
      [](napi_env, void* pointer, void*) {
        auto* gone = static_cast<AddonData*>(pointer);
        free_slots(*gone);
        delete gone;
      },
      nullptr);
  define(env, exports, "open", open);
  define(env, exports, "counters", counters);
  define_raw(env, exports);
  define_memory(env, exports);
  define_promise(env, exports);
  define_batch(env, exports);
  define_files(env, exports);
  define_program(env, exports);
  return exports;
}

bool open_environment(AddonData& data) {
  if (data.environment != nullptr) return true;
  napi_env env = data.env;
  if (int error = engine_start(); error != 0) {
    throw_error(env, "ERR_ACALL_SIGNAL",
                "acall: the signal for cancelling has a handler already; choose another with ACALL_SIGNAL=35..64");
    return false;
  }
  data.ring_memory = block_make(sizeof(acall_completion_ring) + kPromiseRing * sizeof(acall_completion));
  napi_value name, function;
  bool ok = data.ring_memory != nullptr && napi_create_string_utf8(env, "acall", NAPI_AUTO_LENGTH, &name) == napi_ok &&
            napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, &data, turn,
                                            &data.bell) == napi_ok &&
            napi_unref_threadsafe_function(env, data.bell) == napi_ok &&
            napi_create_function(env, "nothing", NAPI_AUTO_LENGTH, nothing, nullptr, &function) == napi_ok &&
            napi_create_reference(env, function, 1, &data.nothing) == napi_ok;
  if (ok) {
    memset(data.ring_memory->data(), 0, data.ring_memory->size);
    auto* memory = reinterpret_cast<acall_completion_ring*>(data.ring_memory->data());
    memory->nr = kPromiseRing;
    data.ring = ring_make_core_owned(data.ring_memory);
    EnvironmentHooks hooks{&data, ring_bell, hold_arena, free_holder, drop_results};
    data.environment = data.ring ? environment_attach(hooks, data.ring) : nullptr;
    ok = data.environment != nullptr;
  }
  if (!ok) {
    throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    return false;
  }
  napi_add_env_cleanup_hook(env, close_environment, &data);
  return true;
}

void hold_bell(AddonData& data) {
  if (data.environment == nullptr || data.environment->kept == data.kept_seen) return;
  // Also when they have completed meanwhile: their turn is still to come, and an unreferenced bell would not be heard.
  data.kept_seen = data.environment->kept;
  if (data.bell_referenced) return;
  data.bell_referenced = true;
  napi_ref_threadsafe_function(data.env, data.bell);
}

void let_go_of_bell(AddonData& data) {
  if (data.environment == nullptr || !data.bell_referenced) return;
  if (data.environment->keeping_alive.load(std::memory_order_seq_cst) > 0) return;
  if (data.environment->bell_pending.load(std::memory_order_seq_cst)) return;  // one more turn, and then
  data.bell_referenced = false;
  napi_unref_threadsafe_function(data.env, data.bell);
}

Slot* slot_of(AddonData& data, uint32_t number) {
  uint32_t chunk = number >> kSlotChunkBits;
  if (chunk >= kMaxSlotChunks || data.chunks[chunk] == nullptr) return nullptr;
  return &data.chunks[chunk]->slots[number & (kSlotChunk - 1)];
}

ResultCarrier& carrier_of(AddonData& data, uint32_t number) {
  return data.chunks[number >> kSlotChunkBits]->carriers[number & (kSlotChunk - 1)];
}

unsigned char* stat_result_of(AddonData& data, uint32_t number) {
  return data.chunks[number >> kSlotChunkBits]->stats->data() +
         static_cast<size_t>(number & (kSlotChunk - 1)) * kStatBytes;
}

void throw_type_error(napi_env env, const char* message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
}
void throw_range_error(napi_env env, const char* message) { napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message); }
void throw_error(napi_env env, const char* code, const char* message) { napi_throw_error(env, code, message); }

bool bytes_of(napi_env env, napi_value view, unsigned char** bytes, size_t* length) {
  bool is_view = false;
  void* data = nullptr;
  if (napi_is_typedarray(env, view, &is_view) == napi_ok && is_view) {
    napi_typedarray_type type;
    size_t elements, offset;
    napi_value buffer;
    if (napi_get_typedarray_info(env, view, &type, &elements, &data, &buffer, &offset) == napi_ok) {
      static constexpr size_t kWidths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
      *bytes = static_cast<unsigned char*>(data);
      *length = elements * (static_cast<size_t>(type) < 11 ? kWidths[type] : 1);
      return true;
    }
  } else if (napi_is_dataview(env, view, &is_view) == napi_ok && is_view) {
    size_t offset;
    napi_value buffer;
    if (napi_get_dataview_info(env, view, length, &data, &buffer, &offset) == napi_ok) {
      *bytes = static_cast<unsigned char*>(data);
      return true;
    }
  }
  throw_type_error(env, "The argument must be an ArrayBufferView");
  return false;
}

bool number_of(napi_env env, napi_value value, double* number) {
  if (napi_get_value_double(env, value, number) == napi_ok) return true;
  throw_type_error(env, "The argument must be of type number");
  return false;
}

bool uint32_of(napi_env env, napi_value value, uint32_t* number) {
  if (napi_get_value_uint32(env, value, number) == napi_ok) return true;
  throw_type_error(env, "The argument must be of type number");
  return false;
}

bool uint64_of(napi_env env, napi_value value, uint64_t* number) {
  bool lossless;
  if (napi_get_value_bigint_uint64(env, value, number, &lossless) == napi_ok) return true;
  throw_type_error(env, "The argument must be of type bigint");
  return false;
}

napi_value to_number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value to_bigint(napi_env env, uint64_t number) {
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, number, &value);
  return value;
}

napi_value to_array_buffer(napi_env env, Block* block, size_t length) {
  napi_value buffer = nullptr;
  napi_status status = napi_create_external_arraybuffer(
      env, block->data(), length, [](napi_env, void*, void* hint) { block_release(static_cast<Block*>(hint)); }, block,
      &buffer);
  if (status == napi_ok) return buffer;
  void* copy = nullptr;  // a runtime with a memory cage (Electron)
  if (napi_create_arraybuffer(env, length, &copy, &buffer) == napi_ok) memcpy(copy, block->data(), length);
  block_release(block);
  return buffer;
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace acall::binding

NAPI_MODULE_INIT() { return acall::binding::init(env, exports); }
