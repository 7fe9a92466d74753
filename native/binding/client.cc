// How hosts and clients begin and end, and their turns. See client.h.
#include "client.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "values.h"

namespace acall::binding {

namespace {

// Any thread. One call of the bell serves all clients: a call that is queued already finds this client's bell_pending.
void ring_bell(void* context) {
  napi_call_threadsafe_function(static_cast<Client*>(context)->host->bell, nullptr, napi_tsfn_nonblocking);
}

bool hold_arena(void* context, void* holder, bool hold) {
  napi_env env = static_cast<Client*>(context)->env;
  auto reference = static_cast<napi_ref>(holder);
  if (!hold) return napi_reference_unref(env, reference, nullptr) == napi_ok;
  // The count stays 0 when the buffer has been collected already.
  uint32_t count = 0;
  return napi_reference_ref(env, reference, &count) == napi_ok && count > 0;
}

void free_holder(void* context, void* holder) {
  napi_delete_reference(static_cast<Client*>(context)->env, static_cast<napi_ref>(holder));
}

void drop_results(void* context) {
  auto& client = *static_cast<Client*>(context);
  client.slots.drop_results(*client.environment);
}

void warn(napi_env env, napi_value error) {
  napi_value global, process, function, result;
  if (napi_get_global(env, &global) != napi_ok ||
      napi_get_named_property(env, global, "process", &process) != napi_ok ||
      napi_get_named_property(env, process, "emitWarning", &function) != napi_ok ||
      napi_call_function(env, process, function, 1, &error, &result) != napi_ok) {
    napi_get_and_clear_last_exception(env, &error);
  }
}

// The client's turn has thrown, since its realm has been torn down. Other clients must not be disturbed, and nobody
// waits for this client's ops any more.
void close_client(Client& client, napi_value error) {
  client.is_closed = true;
  environment_cancel_all(*client.environment);
  warn(client.env, error);
}

// Calls the function of a turn. The first client that has a turn gets the name of a limit that keeps ops waiting.
napi_status call_turn(napi_env env, napi_value receiver, napi_value function, napi_value* result) {
  napi_value limit = nullptr;
  const char* name = engine_take_limit();
  if (name != nullptr) napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &limit);
  return napi_call_function(env, receiver, function, limit == nullptr ? 0 : 1, &limit, result);
}

// environment_turn() comes first: an op that completes from there on rings the bell again.
void turn_of(Client& client) {
  napi_env env = client.env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  environment_turn(*client.environment);
  napi_value function, receiver, result;
  if (!client.is_closed && napi_get_reference_value(env, client.on_turn, &function) == napi_ok && function != nullptr &&
      napi_get_global(env, &receiver) == napi_ok &&
      call_turn(env, receiver, function, &result) == napi_pending_exception) {
    bool is_pending = false;  // stays false when the call failed because the host is ending
    napi_value error;
    if (napi_is_exception_pending(env, &is_pending) == napi_ok && is_pending &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok) {
      close_client(client, error);
    }
  }
  if (client.is_closed) drop_results(&client);
  let_go_of_bell(client);
  napi_close_handle_scope(env, scope);
}

// Frees clients whose objects are gone and that have no op in flight.
void reap(Host& host) {
  for (Client** link = &host.clients; *link != nullptr;) {
    Client* client = *link;
    if (client->is_collected && (client->environment == nullptr || environment_detach_if_idle(client->environment))) {
      *link = client->next;
      delete client;
    } else {
      link = &client->next;
    }
  }
}

void turn(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;
  auto& host = *static_cast<Host*>(context);
  host.is_in_turn = true;
  for (Client* client = host.clients; client != nullptr; client = client->next) {
    if (client->environment != nullptr && environment_bell_is_pending(*client->environment)) turn_of(*client);
  }
  host.is_in_turn = false;
  reap(host);
}

// The client's object has been collected, or the host ends.
void collected(napi_env env, void* pointer, void*) {
  auto* client = static_cast<Client*>(pointer);
  napi_delete_reference(env, client->self);
  if (client->on_turn != nullptr) napi_delete_reference(env, client->on_turn);
  client->self = client->on_turn = nullptr;
  client->is_closed = client->is_collected = true;
  if (client->host == nullptr) {
    delete client;
  } else if (!client->host->is_in_turn) {
    reap(*client->host);
  }
}

// Runs before Node closes the thread-safe function, since clean-up hooks run in the reverse order of their making.
void close_host(void* argument) {
  auto& host = *static_cast<Host*>(argument);
  host.is_ended = true;
  environments_end([&](auto visit) {
    for (Client* client = host.clients; client != nullptr; client = client->next) {
      if (client->environment != nullptr) visit(*client->environment);
    }
  });
  for (Client* client = host.clients; client != nullptr; client = client->next) client->environment = nullptr;
}

void free_host(napi_env env, void* pointer, void*) {
  auto* host = static_cast<Host*>(pointer);
  if (host->nothing != nullptr) napi_delete_reference(env, host->nothing);
  while (Client* client = host->clients) {
    host->clients = client->next;
    client->host = nullptr;
    if (client->is_collected) delete client;
  }
  delete host;
}

napi_value nothing(napi_env, napi_callback_info) { return nullptr; }

bool open_host(Host& host) {
  if (host.bell != nullptr) return true;
  napi_env env = host.env;
  napi_value name, function;
  if (napi_create_function(env, "nothing", NAPI_AUTO_LENGTH, nothing, nullptr, &function) != napi_ok ||
      napi_create_reference(env, function, 1, &host.nothing) != napi_ok ||
      napi_create_string_utf8(env, "acall", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, &host, turn, &host.bell) !=
          napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(env, host.bell);
  return napi_add_env_cleanup_hook(env, close_host, &host) == napi_ok;
}

// Whether the runtime allows external ArrayBuffers. JavaScript reads stat results where threads have written them.
bool has_external_buffers(napi_env env) {
  Block* block = block_make(sizeof(uint64_t));
  napi_value buffer;
  if (block == nullptr) return true;
  const napi_status status = napi_create_external_arraybuffer(
      env, block->data(), sizeof(uint64_t),
      [](napi_env, void*, void* hint) { block_release(static_cast<Block*>(hint)); }, block, &buffer);
  if (status == napi_ok) return true;
  block_release(block);
  return false;
}

}  // namespace

bool make_host(napi_env env) {
  auto* host = new (std::nothrow) Host();
  if (host == nullptr) return throw_out_of_memory(env);
  host->env = env;
  napi_set_instance_data(env, host, free_host, nullptr);
  return true;
}

Client* make_client(napi_env env, napi_value* object) {
  void* host = nullptr;
  napi_get_instance_data(env, &host);
  if (!has_external_buffers(env)) {
    return throw_error(env, "ERR_ACALL_UNAVAILABLE",
                       "acall needs external ArrayBuffers, which this runtime refuses (V8 with a memory cage)");
  }
  auto* client = new (std::nothrow) Client();
  if (client == nullptr) return throw_out_of_memory(env);
  client->env = env;
  client->host = static_cast<Host*>(host);
  if (napi_create_object(env, object) != napi_ok ||
      napi_wrap(env, *object, client, collected, nullptr, nullptr) != napi_ok) {
    delete client;
    return throw_out_of_memory(env);
  }
  client->next = client->host->clients;
  client->host->clients = client;
  if (napi_create_reference(env, *object, 0, &client->self) != napi_ok) return throw_out_of_memory(env);
  return client;
}

void set_on_turn(Client& client, napi_value function) {
  napi_value object;
  if (client.on_turn != nullptr || napi_get_reference_value(client.env, client.self, &object) != napi_ok) return;
  napi_set_named_property(client.env, object, "onTurn", function);
  napi_create_reference(client.env, function, 0, &client.on_turn);
}

bool open_environment(Client& client) {
  if (client.environment != nullptr) return true;
  napi_env env = client.env;
  if (int error = engine_start(); error != 0) {
    return throw_error(env, "ERR_ACALL_SIGNAL",
                       "acall: every signal from 35 to 64 has a handler, none is left for cancelling");
  }
  if (client.host->is_ended || !open_host(*client.host)) return throw_out_of_memory(env);
  const EnvironmentHooks hooks{&client, ring_bell, hold_arena, free_holder, drop_results};
  client.environment = environment_attach_with_ring(hooks);
  return client.environment != nullptr || throw_out_of_memory(env);
}

void hold_bell(Client& client) {
  if (client.environment == nullptr) return;
  Environment& environment = *client.environment;
  if (!client.is_held && !client.is_closed && environment_may_be_awaited(environment) &&
      environment_is_awaited(environment)) {
    client.is_held = true;
    napi_reference_ref(client.env, client.self, nullptr);
  }
  // An unreferenced bell would not keep the loop alive until it rings.
  if (!environment_is_kept_anew(environment) || client.bell_referenced) return;
  client.bell_referenced = true;
  if (client.host->bell_references++ == 0) napi_ref_threadsafe_function(client.env, client.host->bell);
}

void let_go_of_bell(Client& client) {
  if (client.environment == nullptr) return;
  Environment& environment = *client.environment;
  if (client.is_held && (client.is_closed || !environment_is_awaited(environment))) {
    client.is_held = false;
    napi_reference_unref(client.env, client.self, nullptr);
  }
  if (!client.bell_referenced || environment_keeps_loop(environment)) return;
  client.bell_referenced = false;
  if (--client.host->bell_references == 0) napi_unref_threadsafe_function(client.env, client.host->bell);
}

}  // namespace acall::binding
