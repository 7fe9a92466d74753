// The addon's entry, and the helpers of addon.h.
#include "addon.h"

#include <linux/stat.h>
#include <time.h>

#include <iterator>
#include <type_traits>

#include "wire.h"

namespace acall::binding {

namespace {

#include "generated/wire_values.inc"  // kWireValues

// open(onTurn): what the bell calls.
napi_value open(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  set_on_turn(*arguments.client, arguments[0]);
  open_environment(*arguments.client);
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
  napi_value limit = nullptr;
  if (const char* name = engine_limited_by()) {
    napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &limit);
  } else {
    napi_get_null(env, &limit);
  }
  napi_set_named_property(env, object, "limitedBy", limit);
  return object;
}

// now(): milliseconds on the monotonic clock
napi_value now(napi_env env, napi_callback_info) {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return to_number(env, static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6);
}

// wire(): the values of wire.h as they are compiled in here
napi_value wire(napi_env env, napi_callback_info) {
  napi_value list = nullptr;
  napi_create_array_with_length(env, std::size(kWireValues), &list);
  uint32_t index = 0;
  for (const double value : kWireValues) napi_set_element(env, list, index++, to_number(env, value));
  return list;
}

void define_all(napi_env env, napi_value object) {
  define(env, object, "open", open);
  define(env, object, "counters", counters);
  define(env, object, "now", now);
  define(env, object, "wire", wire);
  define_raw(env, object);
  define_memory(env, object);
  define_promise(env, object);
  define_batch(env, object);
  define_files(env, object);
  define_program(env, object);
}

// create(): the functions for one instance of the JavaScript modules. Whoever loads them again may get the same exports
// of the addon as before (jest), or the addon's exports anew.
napi_value create(napi_env env, napi_callback_info) { return make_client(env, define_all); }

}  // namespace

napi_value init(napi_env env, napi_value exports) {
  if (!make_host(env)) return nullptr;
  napi_value function;
  napi_create_function(env, "create", NAPI_AUTO_LENGTH, create, nullptr, &function);
  napi_set_named_property(env, exports, "create", function);
  return exports;
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
    // Node-API has no name for Float16Array yet, and leaves the type as it is: the one kind that is none of these.
    auto type = static_cast<napi_typedarray_type>(napi_biguint64_array + 1);
    size_t elements, offset;
    napi_value buffer;
    if (napi_get_typedarray_info(env, view, &type, &elements, &data, &buffer, &offset) == napi_ok) {
      static constexpr size_t kWidths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
      *bytes = static_cast<unsigned char*>(data);
      *length = elements * (static_cast<size_t>(type) < std::size(kWidths) ? kWidths[type] : 2);
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
  if (status != napi_ok) block_release(block);
  return buffer;
}

void define(napi_env env, napi_value object, const char* name, napi_callback callback) {
  void* client = nullptr;
  napi_value function;
  napi_unwrap(env, object, &client);
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, client, &function);
  const napi_property_descriptor owner{"owner", nullptr, nullptr, nullptr, nullptr, object, napi_default, nullptr};
  napi_define_properties(env, function, 1, &owner);
  napi_set_named_property(env, object, name, function);
}

}  // namespace acall::binding

NAPI_MODULE_INIT() { return acall::binding::init(env, exports); }
