// Who uses the addon. A host is one napi_env: a dlopen of the addon by the main thread or a Worker. A client is one
// instance of the JavaScript modules: jest, vitest and whoever purges caches load them many times over one host, each
// time with slots, results and a turn of their own. An environment of the core belongs to each client.
//
// Everything here is entered by the host's thread, but ring_bell.
//
// JavaScript owns a client: its object, which holds its functions. The client in turn holds its object only while
// something is in flight that JavaScript is to hear of. One whose object has been collected, or whose turn throws since
// its realm has been torn down, is closed: what is in flight goes on or is cancelled, and its results are disposed of
// here.
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
  uint32_t bell_references = 0;             // clients for which it keeps the loop alive
  napi_ref nothing = nullptr;               // an empty function: calling it fails when the host is ending
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
  bool is_closed = false;      // nobody hears of its results any more
  bool is_collected = false;   // nobody calls its functions any more
  napi_ref self = nullptr;     // the object
  napi_ref on_turn = nullptr;  // called by the bell; the object holds it
  PromiseSlots slots;
  SubmitError last_error;
};

// A host for this napi_env, freed with it. False: an exception is pending.
bool make_host(napi_env env);
// A client and the object that owns it, for the functions of one instance of the modules. nullptr: an exception is
// pending.
Client* make_client(napi_env env, napi_value* object);
// What the bell calls for this client. Only the client's object keeps it from the collector.
void set_on_turn(Client& client, napi_value function);

// Attaches the client's environment at first use, and the host's bell with the first. False: an exception is pending.
bool open_environment(Client& client);
// After a submission: if it brought ops that keep the loop alive, the bell keeps it alive until their turn has come; if
// it brought any, the client's object is held until then.
void hold_bell(Client& client);
// After a turn, or a change of what counts: the loop may end when nothing is kept and no bell is pending.
void let_go_of_bell(Client& client);

}  // namespace acall::binding

#endif  // ACALL_BINDING_CLIENT_H_
