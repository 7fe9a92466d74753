// The four calls, async_exec and ring objects. lib/raw.ts has checked the arguments; here they are converted.
#include <algorithm>
#include <cstring>

#include "method.h"

namespace acall::binding {

namespace {

// Liveness: makes one empty call, which fails when the environment is ending.
bool still_alive(void* context) {
  auto& client = *static_cast<Client*>(context);
  napi_handle_scope scope;
  if (napi_open_handle_scope(client.env, &scope) != napi_ok) return false;
  napi_value function, receiver, result;
  bool alive = napi_get_reference_value(client.env, client.host->nothing, &function) == napi_ok &&
               napi_get_global(client.env, &receiver) == napi_ok &&
               napi_call_function(client.env, receiver, function, 0, nullptr, &result) == napi_ok;
  napi_close_handle_scope(client.env, scope);
  return alive;
}

// The limits of a wait. `seconds` below 0 (kWaitForever): for ever. The mask is null or 8 bytes.
struct Limits {
  timespec timeout{};
  uint64_t mask = 0;
  WaitLimits limits;

  Limits(Client& client, double seconds, double nanoseconds, const OptionalBytes& signals) {
    if (seconds >= 0) {
      timeout = {seconds > 4e9 ? time_t{4'000'000'000} : static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
      limits.timeout = &timeout;
    }
    if (signals.is_given) {
      memcpy(&mask, signals.bytes.data(), std::min(signals.bytes.size(), sizeof mask));
      limits.sigmask = &mask;
    }
    limits.liveness = {still_alive, &client};
  }
};

// submit(bytes, nr): number
int64_t submit(Client& client, std::span<const acall_submission> submissions, uint32_t nr) {
  if (submissions.size() < nr) {
    return throw_range_error(client.env, "The submissions must hold 88 bytes for each of nr entries");
  }
  return engine_submit(*client.environment, submissions.data(), nr, &client.last_error);
}

// submitError(): the entry at which the last submit() stopped: its index times kSubmitErrorRange, plus the errno;
// kNoSubmitError: there is none
double submit_error(Client& client) {
  const SubmitError& error = client.last_error;
  return error.error == 0 ? kNoSubmitError : static_cast<double>(error.index) * kSubmitErrorRange - error.error;
}

// compPwait(bytes, nr, seconds, nanoseconds, mask): number
int64_t comp_pwait(Client& client, std::span<const acall_id> ids, uint32_t nr, double seconds, double nanoseconds,
                   const OptionalBytes& mask) {
  if (ids.size() < nr) return throw_range_error(client.env, "The ids must hold 16 bytes for each of nr entries");
  const Limits limits(client, seconds, nanoseconds, mask);
  return wait_for_ids(ids.data(), nr, limits.limits);
}

// ringPwait(ring, tail, min, seconds, nanoseconds, mask, forPrograms): number
int64_t ring_pwait(Client& client, Ring* ring, uint32_t tail, uint32_t min, double seconds, double nanoseconds,
                   const OptionalBytes& mask, bool for_programs) {
  const Limits limits(client, seconds, nanoseconds, mask);
  return wait_for_ring(*ring, tail, min, limits.limits, for_programs);
}

// cancel(bytes): number
int32_t cancel(Client&, Record<acall_id> id) { return engine_cancel(id.get()); }

// execProgram(atom, ring, id): the address of the last atom when the program is over, null when it goes on, or -errno
napi_value exec_program(Client& client, uint64_t atom, uint64_t ring, uint64_t id) {
  uint64_t last;
  const int32_t result = engine_exec_program(*client.environment, atom, ring, id, {still_alive, &client}, &last);
  if (result == 0) return to_value(client, BigInt{last});
  return result < 0 ? to_value(client, result) : to_null(client);
}

// ringOpen(address, fresh): a handle of the ring at this address, which must lie in an arena
napi_value ring_open(Client& client, uint64_t address, bool fresh) {
  Ring* ring = nullptr;
  const int error = acall::ring_open(*client.environment, address, fresh, &ring);
  if (error == -EAGAIN) return throw_out_of_memory(client.env);
  if (error != 0) {
    return throw_range_error(client.env, "There is no completion ring at this address of the arena");
  }
  return to_handle(client, ring, [](napi_env, void* gone, void*) { ring_release_object(*static_cast<Ring*>(gone)); });
}

// ringDrain(ring, scratch, max): copies completions (return_code, cookie) into scratch and frees their slots. Returns
// how many
uint32_t ring_drain_into(Client&, Ring* ring, std::span<acall_completion> into, uint32_t max) {
  return ring_drain(*ring, into.data(), static_cast<uint32_t>(std::min<size_t>(max, into.size())));
}

// ringReturn(ring, scratch, from, count): gives back the last `count` completions of a ringDrain()
void ring_give_back(Client& client, Ring* ring, std::span<const acall_completion> scratch, uint32_t from,
                    uint32_t count) {
  if (from > scratch.size() || count > scratch.size() - from) {
    throw_range_error(client.env, "The view is too short");
  } else if (!ring_return(*ring, scratch.data() + from, count)) {
    throw_out_of_memory(client.env);
  }
}

// ringAvailable(ring): how many completions can be drained now
double ring_available_now(Client&, Ring* ring) { return static_cast<double>(ring_available(*ring)); }

// ringOverflows(ring): how many completions have gone to the backlog
double ring_overflow_count(Client&, Ring* ring) { return static_cast<double>(ring_overflows(*ring)); }

// ringWatch(ring, min): the bell rings when `min` completions can be drained, or the ring is full; 0 ends the watch
void ring_set_watch(Client& client, Ring* ring, double min) {
  if (min <= 0) return ring_unwatch(*ring, *client.environment);
  if (!ring_watch(*ring, *client.environment, static_cast<uint64_t>(min))) throw_out_of_memory(client.env);
}

// ringReference(ring, referenced): sets whether the ring's ops keep the event loop alive
void ring_reference(Client& client, Ring* ring, bool referenced) {
  ring_set_referenced(*ring, *client.environment, referenced);
}

// holdLoop(add): begins or ends to keep the event loop alive for a promise that waits for a ring
void hold_loop(Client& client, bool add) { environment_hold_loop(*client.environment, add); }

}  // namespace

void add_raw_functions(const Exports& exports) {
  exports.add("submit", call<submit, kOpens | kSubmits>);
  exports.add("submitError", call<submit_error>);
  exports.add("compPwait", call<comp_pwait, kOpens>);
  exports.add("ringPwait", call<ring_pwait>);
  exports.add("cancel", call<cancel>);
  exports.add("execProgram", call<exec_program, kOpens | kSubmits>);
  exports.add("ringOpen", call<ring_open, kOpens>);
  exports.add("ringDrain", call<ring_drain_into>);
  exports.add("ringReturn", call<ring_give_back>);
  exports.add("ringAvailable", call<ring_available_now>);
  exports.add("ringOverflows", call<ring_overflow_count>);
  exports.add("ringWatch", call<ring_set_watch, kSubmits | kLetsGo>);
  exports.add("ringReference", call<ring_reference, kSubmits | kLetsGo>);
  exports.add("holdLoop", call<hold_loop, kSubmits | kLetsGo>);
}

}  // namespace acall::binding
