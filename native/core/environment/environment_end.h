// How an environment ends: its ops are cancelled, ops that the kernel does not end are abandoned, and memory that
// another environment shares is pinned there. Entered by the environment's thread, no lock held; abandon_lock guards
// the sinks of abandoned ops. The record is in op/environment.h.
#ifndef ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_
#define ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_

#include <cstdint>

#include "environment/process_end.h"
#include "op/environment.h"

namespace acall {

// Ends an environment. Queued ops complete with -ECANCELED, running ops are interrupted. The thread waits at most 50 ms
// for them, and longer only while the kernel has an address of memory that dies with the environment. An op that is
// still running then is abandoned: its thread disposes of the result and touches nothing of the environment any more.
// With `process_end`, or as soon as the main thread waits to join this one, no op in the kernel is waited for.
void environment_detach(Environment* environment, bool process_end);
// In two steps, for environments_end().
void environment_begin_end(Environment& environment);
uint64_t environment_end_deadline_ns(bool process_end);
void environment_end(Environment* environment, bool process_end, uint64_t deadline_ns);
// All environments of one thread that end together and wait once: `each` calls the function that it gets with each of
// them. Those of the main thread end with the process.
template <typename Each>
void environments_end(Each each) {
  each([](Environment& environment) { environment_begin_end(environment); });
  const bool process_end = process_ends_with_this_thread();
  const uint64_t deadline_ns = environment_end_deadline_ns(process_end);
  each([&](Environment& environment) { environment_end(&environment, process_end, deadline_ns); });
}
// Detaches an environment whose end waits for nothing: no op of it is in flight and nothing pins its memory. False: it
// goes on.
bool environment_detach_if_idle(Environment* environment);

// Cancels all ops of the environment that do not outlive it. It can go on afterwards.
void environment_cancel_all(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_
