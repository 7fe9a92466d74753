// A client of the promise layer, for tests.
#ifndef ACALL_TEST_CORE_PROMISE_CLIENT_H_
#define ACALL_TEST_CORE_PROMISE_CLIENT_H_

#include "engine.h"
#include "support.h"

namespace support {

// A client as the binding makes one.
struct PromiseClient {
  acall::PromiseSlots slots;
  acall::Environment* environment;

  PromiseClient() {
    acall::engine_start();
    acall::EnvironmentHooks hooks;
    hooks.context = this;
    hooks.drop_results = [](void* self) {
      auto& client = *static_cast<PromiseClient*>(self);
      client.slots.drop_results(*client.environment);
    };
    environment = acall::environment_attach(hooks, acall::ring_make_core_owned(64));
    acall::block_release(slots.grow());
  }
  ~PromiseClient() { end(); }
  PromiseClient(const PromiseClient&) = delete;
  PromiseClient& operator=(const PromiseClient&) = delete;

  void end() {
    if (environment != nullptr) acall::environment_detach(environment, false);
    environment = nullptr;
  }

  // Waits until all ops are complete and their results are in the ring.
  void settled() {
    until([&] { return environment->references.load(std::memory_order_acquire) == 1; });
  }

  acall::DrainedResult take() {
    acall::DrainedResult result{};
    until([&] { return slots.drain(*environment, &result, 1) == 1; });
    return result;
  }
};

}  // namespace support

#endif  // ACALL_TEST_CORE_PROMISE_CLIENT_H_
