// The overloads of read() and to_value(). See values.h.
#include "values.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace acall::binding {

Thrown throw_type_error(napi_env env, const char* message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return {};
}

Thrown throw_range_error(napi_env env, const char* message) {
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return {};
}

Thrown throw_error(napi_env env, const char* code, const char* message) {
  napi_throw_error(env, code, message);
  return {};
}

Thrown throw_out_of_memory(napi_env env) {
  return throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
}

namespace {

napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type;
}

bool is_null(napi_env env, napi_value value) {
  const napi_valuetype type = type_of(env, value);
  return type == napi_null || type == napi_undefined;
}

// Throws when a value was of another type.
bool is_read(Client& client, napi_status status, const char* message) {
  if (status == napi_ok) return true;
  return throw_type_error(client.env, message);
}

constexpr const char* kNotANumber = "The argument must be of type number";

}  // namespace

bool read(Client& client, napi_value value, double& number) {
  return is_read(client, napi_get_value_double(client.env, value, &number), kNotANumber);
}

bool read(Client& client, napi_value value, uint32_t& number) {
  return is_read(client, napi_get_value_uint32(client.env, value, &number), kNotANumber);
}

bool read(Client& client, napi_value value, uint64_t& number) {
  bool is_lossless;
  return is_read(client, napi_get_value_bigint_uint64(client.env, value, &number, &is_lossless),
                 "The argument must be of type bigint");
}

bool read(Client& client, napi_value value, bool& is_true) {
  return is_read(client, napi_get_value_bool(client.env, value, &is_true), "The argument must be of type boolean");
}

bool read(Client& client, napi_value value, std::span<unsigned char>& bytes) {
  napi_env env = client.env;
  napi_value buffer;
  void* data = nullptr;
  size_t length, offset;
  bool is_view = false;
  if (napi_is_typedarray(env, value, &is_view) == napi_ok && is_view) {
    // Node-API has no type for Float16Array yet and leaves `type` unchanged. All other kinds have a width below.
    auto type = static_cast<napi_typedarray_type>(napi_biguint64_array + 1);
    if (napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset) == napi_ok) {
      static constexpr size_t kWidths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
      const size_t width = static_cast<size_t>(type) < std::size(kWidths) ? kWidths[type] : 2;
      bytes = {static_cast<unsigned char*>(data), length * width};
      return true;
    }
  } else if (napi_get_dataview_info(env, value, &length, &data, &buffer, &offset) == napi_ok) {
    bytes = {static_cast<unsigned char*>(data), length};
    return true;
  }
  return throw_type_error(env, "The argument must be an ArrayBufferView");
}

bool read(Client& client, napi_value value, OptionalBytes& bytes) {
  bytes.is_given = !is_null(client.env, value);
  return !bytes.is_given || read(client, value, bytes.bytes);
}

bool read(Client& client, napi_value value, Content& content) {
  content.env = client.env;
  if (napi_get_value_string_utf8(client.env, value, nullptr, 0, &content.length) == napi_ok) {
    content.is_given = true;
    content.text = value;
    return true;
  }
  OptionalBytes given;
  if (!read(client, value, given)) return false;
  content.is_given = given.is_given;
  content.bytes = given.bytes.data();
  content.length = given.bytes.size();
  return true;
}

void Content::write(unsigned char* into) const {
  if (text != nullptr) {
    size_t written = 0;
    napi_get_value_string_utf8(env, text, reinterpret_cast<char*>(into), length + 1, &written);
  } else if (length > 0) {
    memcpy(into, bytes, length);
  }
}

bool read(Client& client, napi_value value, Path& path) {
  Content content;
  if (!read(client, value, content)) return false;
  path.is_null = !content.is_given;
  if (path.is_null) return true;
  char* into = path.bytes.reserve(content.length + 1);
  if (into == nullptr) return throw_out_of_memory(client.env);
  content.write(reinterpret_cast<unsigned char*>(into));
  path.bytes.advance(content.length);
  if (memchr(into, 0, content.length) == nullptr) return true;
  return throw_error(client.env, "ERR_INVALID_ARG_VALUE", "The path must be without null bytes");
}

bool read(Client& client, napi_value value, RequiredPath& path) {
  if (!read(client, value, static_cast<Path&>(path))) return false;
  if (!path.is_null) return true;
  return throw_type_error(client.env, "The path must be of type string or an ArrayBufferView");
}

bool read(Client& client, napi_value value, ShortPath& path) {
  if (napi_get_value_string_utf8(client.env, value, path.bytes, sizeof path.bytes, &path.length) != napi_ok) {
    std::span<unsigned char> bytes;
    if (!read(client, value, bytes)) return false;
    path.length = std::min(bytes.size(), sizeof path.bytes - 1);
    memcpy(path.bytes, bytes.data(), path.length);
    path.bytes[path.length] = '\0';
  }
  path.is_usable = path.length + 1 < sizeof path.bytes && memchr(path.bytes, 0, path.length) == nullptr;
  return true;
}

void* read_handle(Client& client, napi_value value) {
  void* pointer = nullptr;
  is_read(client, napi_get_value_external(client.env, value, &pointer), "The argument must be a handle");
  return pointer;
}

bool read(Client& client, napi_value value, SlotArgument& slot) {
  if (!read(client, value, slot.number)) return false;
  slot.slot = client.slots.find(slot.number);
  if (slot.slot != nullptr) return true;
  return throw_range_error(client.env, "No such slot");
}

bool JoinedPaths::read(Client& client, napi_value paths, double characters) {
  const size_t room = static_cast<size_t>(characters) * 3 + 1;  // UTF-8 needs three bytes for a UTF-16 unit at most
  block = block_make(room);
  if (block == nullptr) return true;
  auto* into = reinterpret_cast<char*>(block->data());
  if (napi_get_value_string_utf8(client.env, paths, into, room, &length) == napi_ok) return true;
  block_release(block);
  std::span<unsigned char> bytes;
  if (!binding::read(client, paths, bytes)) return false;
  read(Content{.is_given = true, .bytes = bytes.data(), .length = bytes.size()});
  return true;
}

bool JoinedPaths::read(const Content& content) {
  block = block_make(content.length + 1);
  if (block == nullptr) return false;
  length = content.length;
  content.write(block->data());
  block->data()[length] = '\0';
  return true;
}

namespace {

// The value that a function of Node-API makes; nullptr when it cannot.
template <auto make, typename... From>
napi_value made(Client& client, From... from) {
  napi_value value = nullptr;
  make(client.env, from..., &value);
  return value;
}

}  // namespace

napi_value to_value(Client& client, double number) { return made<napi_create_double>(client, number); }

napi_value to_value(Client& client, uint32_t number) { return made<napi_create_uint32>(client, number); }

napi_value to_value(Client& client, int32_t number) { return made<napi_create_int32>(client, number); }

napi_value to_value(Client& client, bool is_true) { return made<napi_get_boolean>(client, is_true); }

napi_value to_value(Client& client, BigInt number) { return made<napi_create_bigint_uint64>(client, number.number); }

napi_value to_null(Client& client) { return made<napi_get_null>(client); }

napi_value to_object(Client& client) { return made<napi_create_object>(client); }

napi_value to_list(Client& client) { return made<napi_create_array>(client); }

napi_value to_text(Client& client, const char* text, size_t length) {
  return made<napi_create_string_utf8>(client, text, length);
}

napi_value to_value(Client& client, BlockBuffer buffer) {
  if (buffer.block == nullptr) return to_null(client);
  napi_value value = nullptr;
  napi_status status = napi_create_external_arraybuffer(
      client.env, buffer.block->data(), buffer.length,
      [](napi_env, void*, void* hint) { block_release(static_cast<Block*>(hint)); }, buffer.block, &value);
  if (status != napi_ok) block_release(buffer.block);
  return value;
}

napi_value to_handle(Client& client, void* object, void (*finish)(napi_env env, void* object, void* hint)) {
  napi_value handle = nullptr;
  if (napi_create_external(client.env, object, finish, nullptr, &handle) == napi_ok) return handle;
  finish(client.env, object, nullptr);
  return throw_out_of_memory(client.env);
}

napi_value to_value(Client& client, Job* job) {
  if (job == nullptr) return to_null(client);
  return to_handle(client, job, [](napi_env, void* object, void*) {
    auto* gone = static_cast<Job*>(object);
    gone->cancel();
    gone->release();
  });
}

}  // namespace acall::binding
