// The entry of the addon: its exports, the functions that concern the whole engine, and the making of clients. On the
// thread of the napi_env.
#include <time.h>

#include <algorithm>
#include <iterator>

#include "method.h"

namespace acall::binding {

namespace {

#include "generated/wire_values.inc"  // kWireValues

// open(onTurn): sets the function that a turn calls, and attaches the environment
void open(Client& client, napi_value on_turn) {
  set_on_turn(client, on_turn);
  open_environment(client);
}

napi_value counters(Client& client) {
  const Counters now = engine_counters();
  const struct {
    const char* name;
    uint64_t value;
  } fields[] = {
      {"submitted", now.submitted},      {"completed", now.completed},
      {"cancelled", now.cancelled},      {"queued", now.queued},
      {"running", now.running},          {"threads", now.threads},
      {"poolThreads", now.pool_threads}, {"ownThreads", now.own_threads},
      {"blocked", now.blocked},          {"overflows", now.overflows},
      {"inlineHits", now.inline_hits},   {"inlineMisses", now.inline_misses},
  };
  napi_value object = to_object(client);
  for (const auto& [name, value] : fields) set(client, object, name, static_cast<double>(value));
  const char* limit = engine_limited_by();
  set(client, object, "limitedBy", limit == nullptr ? to_null(client) : to_text(client, limit));
  return object;
}

// now(): milliseconds on the monotonic clock
double now(Client&) {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// wire(): the values of wire.h as they are compiled in here
napi_value wire(Client& client) {
  napi_value list = to_list(client);
  uint32_t length = 0;
  for (const double value : kWireValues) append(client, list, length, to_value(client, value));
  return list;
}

// hasSignal(): false when other code has replaced the handler of the cancel signal
bool has_signal(Client&) { return engine_has_signal(); }

// restrict(numbers): allows only these syscalls from now on
void restrict_to(Client&, std::span<const uint32_t> numbers) { policy_restrict(numbers); }

// mayRun(numbers): whether restrict() allows all of these syscalls
bool may_run(Client&, std::span<const uint32_t> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), policy_allows);
}

void add_engine_functions(const Exports& exports) {
  exports.add("open", call<open>);
  exports.add("counters", call<counters>);
  exports.add("now", call<now>);
  exports.add("wire", call<wire>);
  exports.add("hasSignal", call<has_signal>);
  exports.add("restrict", call<restrict_to>);
  exports.add("mayRun", call<may_run>);
}

// create(): an object with the functions for one instance of the JavaScript modules. A program that loads the modules
// again may get the same exports of the addon as before (jest), or new ones.
napi_value create(napi_env env, napi_callback_info) {
  Exports exports{env, nullptr, nullptr};
  exports.client = make_client(env, &exports.object);
  if (exports.client == nullptr) return nullptr;
  add_engine_functions(exports);
  add_raw_functions(exports);
  add_memory_functions(exports);
  add_slot_functions(exports);
  add_stat_functions(exports);
  add_call_functions(exports);
  add_stat_many_functions(exports);
  add_tree_functions(exports);
  add_file_functions(exports);
  add_read_files_functions(exports);
  add_program_functions(exports);
  return exports.object;
}

}  // namespace

Client& caller(napi_env env, napi_callback_info info, napi_value* given, size_t count) {
  void* client = nullptr;
  napi_get_cb_info(env, info, &count, given, nullptr, &client);
  return *static_cast<Client*>(client);
}

// Each function has its object as a property, so that neither is collected before the other.
void Exports::add(const char* name, napi_callback callback) const {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, client, &function);
  const napi_property_descriptor owner{"owner", nullptr, nullptr, nullptr, nullptr, object, napi_default, nullptr};
  napi_define_properties(env, function, 1, &owner);
  napi_set_named_property(env, object, name, function);
}

napi_value init(napi_env env, napi_value exports) {
  if (!make_host(env)) return nullptr;
  napi_value function;
  napi_create_function(env, "create", NAPI_AUTO_LENGTH, create, nullptr, &function);
  napi_set_named_property(env, exports, "create", function);
  return exports;
}

}  // namespace acall::binding

NAPI_MODULE_INIT() { return acall::binding::init(env, exports); }
