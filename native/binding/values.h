// How values of JavaScript become values of C++, and back: one overload of read() for each type of a parameter, one of
// to_value() for each type of a result. Only the functions declared here throw exceptions of the addon. On the client's
// thread; no lock.
#ifndef ACALL_BINDING_VALUES_H_
#define ACALL_BINDING_VALUES_H_

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "backends.h"
#include "client.h"

namespace acall::binding {

// ---- Errors

// What a function of the addon returns when an exception is pending; converts to every type of a result.
struct Thrown {
  template <typename T>
  operator T() const {  // NOLINT(google-explicit-constructor)
    return T{};
  }
};

Thrown throw_type_error(napi_env env, const char* message);
Thrown throw_range_error(napi_env env, const char* message);
Thrown throw_error(napi_env env, const char* code, const char* message);
Thrown throw_out_of_memory(napi_env env);

// ---- Parameters. read(): false and a pending TypeError when the value is of another type.

// The place of a record of wire.h or abi.h in a view; a RangeError when the view is shorter. At any address.
template <typename T>
struct Record {
  unsigned char* bytes = nullptr;

  T get() const {
    T record;
    memcpy(&record, bytes, sizeof record);
    return record;
  }
  void set(const T& record) const { memcpy(bytes, &record, sizeof record); }
};

// The bytes of an ArrayBufferView; not given: null or undefined.
struct OptionalBytes {
  bool is_given = false;
  std::span<unsigned char> bytes;
};

// Text, bytes, or null. Text is not copied before write(), into memory that has been made for its length.
struct Content {
  napi_env env = nullptr;
  bool is_given = false;
  napi_value text = nullptr;  // nullptr: `bytes`
  const unsigned char* bytes = nullptr;
  size_t length = 0;  // of the text as UTF-8

  // Writes `length` bytes, and for a text one more, a NUL.
  void write(unsigned char* into) const;
};

// A path as text or as bytes, without a NUL inside; null for none.
struct Path {
  ByteBuffer bytes;
  bool is_null = true;

  const char* data() const { return is_null ? nullptr : (bytes.size() > 0 ? bytes.data() : ""); }
  size_t size() const { return bytes.size(); }
};

// A path that must not be null.
struct RequiredPath : Path {};

// A path as text or bytes, without an allocation. Not usable: it is too long or contains a NUL.
struct ShortPath {
  static constexpr size_t kMaxBytes = 4096;  // PATH_MAX, its NUL included

  ShortPath() {}  // leaves the bytes uninitialised
  size_t length = 0;
  bool is_usable = false;
  char bytes[kMaxBytes];
};

bool read(Client& client, napi_value value, double& number);
bool read(Client& client, napi_value value, uint32_t& number);
inline bool read(Client& client, napi_value value, int32_t& number) {  // wraps as it does in JavaScript
  return read(client, value, reinterpret_cast<uint32_t&>(number));
}
bool read(Client& client, napi_value value, uint64_t& number);  // a BigInt
bool read(Client& client, napi_value value, bool& is_true);
bool read(Client& client, napi_value value, std::span<unsigned char>& bytes);  // of any ArrayBufferView
bool read(Client& client, napi_value value, OptionalBytes& bytes);
bool read(Client& client, napi_value value, Content& content);
bool read(Client& client, napi_value value, Path& path);
bool read(Client& client, napi_value value, RequiredPath& path);
bool read(Client& client, napi_value value, ShortPath& path);
inline bool read(Client&, napi_value value, napi_value& same) {
  same = value;
  return true;
}

// As many whole elements as the view has room for, whatever its own element type is.
template <typename T>
bool read(Client& client, napi_value value, std::span<T>& elements) {
  std::span<unsigned char> bytes;
  if (!read(client, value, bytes)) return false;
  elements = {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  return true;
}

template <typename T>
bool read(Client& client, napi_value value, Record<T>& record) {
  std::span<unsigned char> bytes;
  if (!read(client, value, bytes)) return false;
  record.bytes = bytes.data();
  if (bytes.size() >= sizeof(T)) return true;
  throw_range_error(client.env, "The view is too short");
  return false;
}

// The object of a handle. lib/native.ts has a type for each kind of handle, so that a function gets its own kind only.
void* read_handle(Client& client, napi_value value);

template <typename T>
bool read(Client& client, napi_value value, T*& object) {
  void* pointer = read_handle(client, value);
  if constexpr (std::is_base_of_v<Job, T>) {
    object = static_cast<T*>(static_cast<Job*>(pointer));
  } else {
    object = static_cast<T*>(pointer);
  }
  return pointer != nullptr;
}

// Paths as text or bytes, joined by NULs, in a block. `characters`: how many UTF-16 units a text has.
struct JoinedPaths {
  Block* block = nullptr;
  size_t length = 0;  // without the NUL behind the last path

  // False: an exception is pending. `block` is nullptr when there is no memory.
  bool read(Client& client, napi_value paths, double characters);
  // False: no memory.
  bool read(const Content& content);
};

// A slot of the promise layer, by its number; a RangeError when there is none.
struct SlotArgument {
  uint32_t number = 0;
  PromiseSlots::Slot* slot = nullptr;

  PromiseSlots::Slot* operator->() const { return slot; }
};
bool read(Client& client, napi_value value, SlotArgument& slot);

// The number of an OpenHandle; 0: none.
using HandleNumber = uint32_t;

// ---- Results

// A number that JavaScript gets as a BigInt.
struct BigInt {
  uint64_t number;
};

// An ArrayBuffer over a block, of which it takes over one reference. Null when there is no block.
struct BlockBuffer {
  Block* block = nullptr;
  size_t length = 0;
};

inline napi_value to_value(Client&, napi_value value) { return value; }
napi_value to_value(Client& client, double number);
napi_value to_value(Client& client, uint32_t number);
napi_value to_value(Client& client, int32_t number);
inline napi_value to_value(Client& client, int64_t number) { return to_value(client, static_cast<double>(number)); }
napi_value to_value(Client& client, bool value);
napi_value to_value(Client& client, BigInt number);
napi_value to_value(Client& client, BlockBuffer buffer);
napi_value to_null(Client& client);
napi_value to_object(Client& client);
napi_value to_list(Client& client);

napi_value to_text(Client& client, const char* text, size_t length = NAPI_AUTO_LENGTH);  // UTF-8

template <typename T>
void set(Client& client, napi_value object, const char* name, T value) {
  napi_set_named_property(client.env, object, name, to_value(client, value));
}
inline void append(Client& client, napi_value list, uint32_t& length, napi_value value) {
  napi_set_element(client.env, list, length++, value);
}

// A handle that owns an object: `finish` is called with the object when the handle is finalized. When no handle can be
// made, `finish` is called here, and the result is nullptr with an exception pending.
napi_value to_handle(Client& client, void* object, void (*finish)(napi_env env, void* object, void* hint));
// A handle of a job, of which it takes over one reference. The job is cancelled when the handle is finalized. Null when
// there is no job.
napi_value to_value(Client& client, Job* job);

}  // namespace acall::binding

#endif  // ACALL_BINDING_VALUES_H_
