// Hosts and clients. A host is one napi_env: the addon as the main thread or a Worker has loaded it. A client is one
// instance of the JavaScript modules: jest, vitest and programs that purge the module cache load them many times over
// one host. Each client has slots, results and turns of its own, and an environment of the core.
//
// Everything here is entered by the host's thread, except for ring_bell(); no lock.
//
// JavaScript owns a client through an object, which has the client's functions. The client holds that object only while
// JavaScript is still to be notified of something. A client is closed when its object has been collected, or when its
// turn throws because its realm has been torn down: then its ops go on or are cancelled, and their results are disposed
// of here.
#ifndef ACALL_BINDING_CLIENT_H_
#define ACALL_BINDING_CLIENT_H_

#include <node_api.h>

#include <cstddef>
#include <cstdint>

#include "engine.h"

namespace acall::binding {

struct Client;

struct Host {
  napi_env env = nullptr;
  napi_threadsafe_function bell = nullptr;  // one for all clients
  uint32_t bell_references = 0;             // clients for which the bell keeps the event loop alive
  napi_ref nothing = nullptr;               // an empty function; a call of it fails when the host is ending
  Client* clients = nullptr;
  bool is_in_turn = false;
  bool is_ended = false;
};

struct Client {
  Host* host = nullptr;  // nullptr: the host is gone
  Client* next = nullptr;
  napi_env env = nullptr;
  Environment* environment = nullptr;
  bool bell_referenced = false;
  bool is_held = false;        // `self` is a strong reference
  bool is_closed = false;      // JavaScript is not notified of results any more
  bool is_collected = false;   // the object is gone, so no function of the client can be called
  napi_ref self = nullptr;     // the object
  napi_ref on_turn = nullptr;  // the function that a turn calls; the object holds it
  PromiseSlots slots;
  SubmitError last_error;
};

// Makes the host of this napi_env, which is freed with it. False: an exception is pending.
bool make_host(napi_env env);
// Makes a client and the object that owns it. nullptr: an exception is pending.
Client* make_client(napi_env env, napi_value* object);
// Sets the function that a turn of this client calls. Only the client's object keeps it from the collector.
void set_on_turn(Client& client, napi_value function);

// Attaches the client's environment at first use, and makes the bell with the host's first one. False: an exception is
// pending.
bool open_environment(Client& client);
// Called after a submission: holds the client's object until no result is awaited, and references the bell until no op
// keeps the event loop alive.
void hold_bell(Client& client);
// Called after a turn, and after changes of what keeps the loop alive: ends what hold_bell() has begun, when it may
// end.
void let_go_of_bell(Client& client);

}  // namespace acall::binding

#endif  // ACALL_BINDING_CLIENT_H_
