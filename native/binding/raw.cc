// The four calls and ring objects. lib/raw.ts has checked shapes; here types are converted and the facade is called.
#include <cstring>

#include "addon.h"

namespace acall::binding {

namespace {

bool still_alive(void* context) {
  auto& data = *static_cast<Client*>(context);
  napi_handle_scope scope;
  if (napi_open_handle_scope(data.env, &scope) != napi_ok) return false;
  napi_value function, receiver, result;
  bool alive = napi_get_reference_value(data.env, data.host->nothing, &function) == napi_ok &&
               napi_get_global(data.env, &receiver) == napi_ok &&
               napi_call_function(data.env, receiver, function, 0, nullptr, &result) == napi_ok;
  napi_close_handle_scope(data.env, scope);
  return alive;
}

// (seconds, nanoseconds, mask): seconds < 0 (kWaitForever) waits for ever; mask null or 8 bytes.
struct Limits {
  timespec timeout{};
  uint64_t mask = 0;
  WaitLimits limits;

  bool read(Client& data, napi_value seconds, napi_value nanoseconds, napi_value mask_view) {
    double whole, part;
    if (!number_of(data.env, seconds, &whole) || !number_of(data.env, nanoseconds, &part)) return false;
    if (whole >= 0) {
      timeout = {whole > 4e9 ? time_t{4'000'000'000} : static_cast<time_t>(whole), static_cast<long>(part)};
      limits.timeout = &timeout;
    }
    napi_valuetype type;
    napi_typeof(data.env, mask_view, &type);
    if (type == napi_object) {
      unsigned char* bytes;
      size_t length;
      if (!bytes_of(data.env, mask_view, &bytes, &length)) return false;
      memcpy(&mask, bytes, length < sizeof mask ? length : sizeof mask);
      limits.sigmask = &mask;
    }
    limits.liveness = {still_alive, &data};
    return true;
  }
};

Ring* ring_of(napi_env env, napi_value value) {
  void* ring = nullptr;
  if (napi_get_value_external(env, value, &ring) == napi_ok) return static_cast<Ring*>(ring);
  throw_type_error(env, "The ring must be an AcallCompletionRing");
  return nullptr;
}

// submit(bytes, nr): number
napi_value submit(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  unsigned char* bytes;
  size_t length;
  uint32_t nr;
  if (!bytes_of(env, arguments[0], &bytes, &length) || !uint32_of(env, arguments[1], &nr)) return nullptr;
  if (length / sizeof(acall_submission) < nr) {
    throw_range_error(env, "The submissions must hold 88 bytes for each of nr entries");
    return nullptr;
  }
  if (!open_environment(data)) return nullptr;
  int64_t result =
      engine_submit(*data.environment, reinterpret_cast<const acall_submission*>(bytes), nr, &data.last_error);
  hold_bell(data);
  return to_number(env, static_cast<double>(result));
}

// submitError(): the index and errno of the entry that the last submit stopped at, kSubmitErrorRange times the index
// and errno; kNoSubmitError for none
napi_value submit_error(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  const SubmitError& error = arguments.client->last_error;
  return to_number(
      env, error.error == 0 ? kNoSubmitError : static_cast<double>(error.index) * kSubmitErrorRange - error.error);
}

// compPwait(bytes, nr, seconds, nanoseconds, mask): number
napi_value comp_pwait(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  Client& data = *arguments.client;
  unsigned char* bytes;
  size_t length;
  uint32_t nr;
  Limits limits;
  if (!bytes_of(env, arguments[0], &bytes, &length) || !uint32_of(env, arguments[1], &nr)) return nullptr;
  if (length / sizeof(acall_id) < nr) {
    throw_range_error(env, "The ids must hold 16 bytes for each of nr entries");
    return nullptr;
  }
  if (!limits.read(data, arguments[2], arguments[3], arguments[4]) || !open_environment(data)) return nullptr;
  int64_t result = wait_for_ids(reinterpret_cast<const acall_id*>(bytes), nr, limits.limits);
  return to_number(env, static_cast<double>(result));
}

// ringPwait(ring, tail, min, seconds, nanoseconds, mask, forPrograms): number
napi_value ring_pwait(napi_env env, napi_callback_info info) {
  Arguments<7> arguments(env, info);
  Client& data = *arguments.client;
  uint32_t tail, min;
  Limits limits;
  Ring* ring = ring_of(env, arguments[0]);
  if (ring == nullptr || !uint32_of(env, arguments[1], &tail) || !uint32_of(env, arguments[2], &min)) return nullptr;
  if (!limits.read(data, arguments[3], arguments[4], arguments[5])) return nullptr;
  bool for_programs = false;
  napi_get_value_bool(env, arguments[6], &for_programs);
  return to_number(env, static_cast<double>(wait_for_ring(*ring, tail, min, limits.limits, for_programs)));
}

// execProgram(atom, ring, id): the address of the last atom when it ended here, null when it goes on, or -errno
napi_value exec_program(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  uint64_t atom, ring, id, last;
  if (!uint64_of(env, arguments[0], &atom) || !uint64_of(env, arguments[1], &ring) ||
      !uint64_of(env, arguments[2], &id))
    return nullptr;
  if (!open_environment(data)) return nullptr;
  const int result = engine_exec_program(*data.environment, atom, ring, id, {still_alive, &data}, &last);
  hold_bell(data);
  if (result == 0) return to_bigint(env, last);
  if (result < 0) return to_number(env, result);
  napi_value none = nullptr;
  napi_get_null(env, &none);
  return none;
}

// cancel(bytes): number
napi_value cancel(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  unsigned char* bytes;
  size_t length;
  if (!bytes_of(env, arguments[0], &bytes, &length)) return nullptr;
  if (length < sizeof(acall_id)) {
    throw_range_error(env, "An id has 16 bytes");
    return nullptr;
  }
  acall_id id;
  memcpy(&id, bytes, sizeof id);
  return to_number(env, engine_cancel(id));
}

// ringOpen(address, fresh): the record of the ring at this address, which must lie in an arena
napi_value ring_open(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  uint64_t address;
  bool fresh = false;
  if (!uint64_of(env, arguments[0], &address) || !open_environment(data)) return nullptr;
  napi_get_value_bool(env, arguments[1], &fresh);
  Ring* ring = nullptr;
  uint32_t nr = 0;
  int error = 0;
  {
    Hold hold(arenas_lock);
    Arena* arena = arena_find(*data.environment, address, sizeof(acall_completion_ring));
    bool inside = arena != nullptr && (address & 7) == 0;
    if (inside) {
      nr = std::atomic_ref<uint32_t>(reinterpret_cast<acall_completion_ring*>(address)->nr)
               .load(std::memory_order_relaxed);
      inside = sizeof(acall_completion_ring) + uint64_t{nr} * sizeof(acall_completion) <= arena->end - address;
    }
    if (inside) {
      error = ring_acquire(address, nr, 0, fresh ? RingUse::kFreshObject : RingUse::kObject, &ring);
    } else {
      error = -EFAULT;
    }
  }
  if (error != 0) {
    if (error == -EAGAIN) {
      throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    } else {
      throw_range_error(env, "There is no completion ring at this address of the arena");
    }
    return nullptr;
  }
  napi_value handle;
  napi_create_external(
      env, ring, [](napi_env, void* gone, void*) { ring_release_object(*static_cast<Ring*>(gone)); }, nullptr, &handle);
  return handle;
}

// ringDrain(ring, scratch, max): copies completions (return_code, cookie) into scratch, frees their slots; how many
napi_value ring_drain_into(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  unsigned char* bytes;
  size_t length;
  uint32_t max;
  Ring* ring = ring_of(env, arguments[0]);
  if (ring == nullptr || !bytes_of(env, arguments[1], &bytes, &length) || !uint32_of(env, arguments[2], &max))
    return nullptr;
  if (max > length / sizeof(acall_completion)) max = static_cast<uint32_t>(length / sizeof(acall_completion));
  return to_number(env, ring_drain(*ring, reinterpret_cast<acall_completion*>(bytes), max));
}

// ringReturn(ring, scratch, from, count): gives back claimed completions
napi_value ring_give_back(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  unsigned char* bytes;
  size_t length;
  uint32_t from, count;
  Ring* ring = ring_of(env, arguments[0]);
  if (ring == nullptr || !bytes_of(env, arguments[1], &bytes, &length) || !uint32_of(env, arguments[2], &from) ||
      !uint32_of(env, arguments[3], &count)) {
    return nullptr;
  }
  if (!ring_return(*ring, reinterpret_cast<acall_completion*>(bytes) + from, count)) {
    throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
  }
  return nullptr;
}

napi_value ring_available_now(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Ring* ring = ring_of(env, arguments[0]);
  return ring ? to_number(env, static_cast<double>(ring_available(*ring))) : nullptr;
}

napi_value ring_overflow_count(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Ring* ring = ring_of(env, arguments[0]);
  if (ring == nullptr) return nullptr;
  Hold hold(ring->lock);
  return to_number(env, static_cast<double>(ring->overflows));
}

// ringWatch(ring, min): ring the bell when so many can be drained, or the ring is full; min 0 forgets the watch
napi_value ring_set_watch(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  double min;
  Ring* ring = ring_of(env, arguments[0]);
  if (ring == nullptr || !number_of(env, arguments[1], &min)) return nullptr;
  if (ring_unwatch(*ring, *data.environment)) --data.watches;
  if (min > 0) {
    if (ring_watch(*ring, *data.environment, static_cast<uint64_t>(min))) {
      ++data.watches;
    } else {
      throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    }
  }
  hold_bell(data);
  let_go_of_bell(data);
  return nullptr;
}

// ringReference(ring, referenced): whether its ops keep the loop alive
napi_value ring_reference(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Client& data = *arguments.client;
  bool referenced = true;
  Ring* ring = ring_of(env, arguments[0]);
  if (ring == nullptr) return nullptr;
  napi_get_value_bool(env, arguments[1], &referenced);
  ring_set_referenced(*ring, *data.environment, referenced);
  if (referenced) data.environment->kept++;  // those in flight count from now on
  hold_bell(data);
  let_go_of_bell(data);
  return nullptr;
}

// holdLoop(add): a promise that waits for a ring keeps the loop alive as an op does
napi_value hold_loop(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Client& data = *arguments.client;
  bool add = false;
  napi_get_value_bool(env, arguments[0], &add);
  if (add) {
    environment_keep_alive(*data.environment, 1);
  } else {
    data.environment->keeping_alive.fetch_sub(1, std::memory_order_seq_cst);
  }
  hold_bell(data);
  let_go_of_bell(data);
  return nullptr;
}

}  // namespace

void define_raw(napi_env env, napi_value exports) {
  define(env, exports, "submit", submit);
  define(env, exports, "submitError", submit_error);
  define(env, exports, "compPwait", comp_pwait);
  define(env, exports, "ringPwait", ring_pwait);
  define(env, exports, "cancel", cancel);
  define(env, exports, "execProgram", exec_program);
  define(env, exports, "ringOpen", ring_open);
  define(env, exports, "ringDrain", ring_drain_into);
  define(env, exports, "ringReturn", ring_give_back);
  define(env, exports, "ringAvailable", ring_available_now);
  define(env, exports, "ringOverflows", ring_overflow_count);
  define(env, exports, "ringWatch", ring_set_watch);
  define(env, exports, "ringReference", ring_reference);
  define(env, exports, "holdLoop", hold_loop);
}

}  // namespace acall::binding
