// What an environment has in its promise ring. See environment_results.h.
#include "completion/environment_results.h"

#include <cstdlib>

#include "completion/ring.h"
#include "op/environment.h"

namespace acall {

namespace {

constexpr uint32_t kPromiseRing = 1u << 16;

}  // namespace

Environment* environment_attach_with_ring(const EnvironmentHooks& hooks) {
  Ring* ring = ring_make_core_owned(kPromiseRing);
  if (ring == nullptr) return nullptr;
  Environment* environment = environment_attach(hooks, ring);
  if (environment == nullptr) ring_destroy_core_owned(ring);
  return environment;
}

bool environment_is_awaited(Environment& environment) {
  return environment.watches > 0 || environment_keeps_loop(environment) ||
         (environment.promise_ring != nullptr && ring_is_awaited(*environment.promise_ring));
}

void environment_release(Environment& environment) {
  if (environment.references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (environment.promise_ring != nullptr) ring_destroy_core_owned(environment.promise_ring);
  free(&environment);
}

}  // namespace acall
