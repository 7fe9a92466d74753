// How C++ functions become functions of the addon. The signature of a function says how its arguments are read and how
// its result is returned:
//
//   uint32_t ring_drain_into(Client& client, Ring* ring, std::span<acall_completion> into, uint32_t max);
//
// Arguments are read from left to right, and the first one of a wrong type throws. Plain Node-API: everything between
// JavaScript and the function is inlined. On the client's thread; no lock.
#ifndef ACALL_BINDING_METHOD_H_
#define ACALL_BINDING_METHOD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "client.h"
#include "values.h"

namespace acall::binding {

// What is done besides the call of a function.
enum MethodWord : uint32_t {
  kOpens = 1,    // before: open_environment()
  kSubmits = 2,  // after: hold_bell()
  kLetsGo = 4,   // after: let_go_of_bell()
};

// The client whose function was called, and the arguments.
Client& caller(napi_env env, napi_callback_info info, napi_value* given, size_t count);

template <auto function>
struct Signature;

template <typename Result, typename... Parameters, Result (*function)(Client&, Parameters...)>
struct Signature<function> {
  template <uint32_t words>
  static napi_value call(napi_env env, napi_callback_info info) {
    return call<words>(env, info, std::index_sequence_for<Parameters...>());
  }

 private:
  template <uint32_t words, size_t... i>
  static napi_value call(napi_env env, napi_callback_info info, std::index_sequence<i...>) {
    [[maybe_unused]] WatchedCode watched;
    napi_value given[sizeof...(Parameters) + 1];  // missing arguments are undefined
    Client& client = caller(env, info, given, sizeof...(Parameters));
    std::tuple<std::remove_cvref_t<Parameters>...> arguments;
    if (!(read(client, given[i], std::get<i>(arguments)) && ...)) return nullptr;
    if ((words & kOpens) && !open_environment(client)) return nullptr;
    if constexpr (std::is_void_v<Result>) {
      function(client, std::get<i>(arguments)...);
      settle<words>(client);
      return nullptr;
    } else {
      Result result = function(client, std::get<i>(arguments)...);
      settle<words>(client);
      return to_value(client, result);
    }
  }

  template <uint32_t words>
  static void settle(Client& client) {
    if (words & kSubmits) hold_bell(client);
    if (words & kLetsGo) let_go_of_bell(client);
  }
};

// The function that Node-API calls.
template <auto function, uint32_t words = 0>
napi_value call(napi_env env, napi_callback_info info) {
  return Signature<function>::template call<words>(env, info);
}

// The object whose functions one instance of the JavaScript modules calls.
struct Exports {
  napi_env env;
  napi_value object;
  Client* client;

  void add(const char* name, napi_callback function) const;
};

// Each file of the binding adds its functions. lib/native.ts declares them; test/unit/native.test.ts compares the
// signatures.
void add_raw_functions(const Exports& exports);
void add_memory_functions(const Exports& exports);
void add_slot_functions(const Exports& exports);
void add_stat_functions(const Exports& exports);
void add_call_functions(const Exports& exports);
void add_stat_many_functions(const Exports& exports);
void add_tree_functions(const Exports& exports);
void add_file_functions(const Exports& exports);
void add_read_files_functions(const Exports& exports);
void add_program_functions(const Exports& exports);

}  // namespace acall::binding

#endif  // ACALL_BINDING_METHOD_H_
