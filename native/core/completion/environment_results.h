// The functions of an environment that need its promise ring: whether results are still to come, and the release of
// references. Each op in flight has a reference; the record and its promise ring go with the last one. Each function
// says which threads enter; no lock. The record is in op/environment.h.
#ifndef ACALL_CORE_COMPLETION_ENVIRONMENT_RESULTS_H_
#define ACALL_CORE_COMPLETION_ENVIRONMENT_RESULTS_H_

namespace acall {

struct Environment;
struct EnvironmentHooks;

// environment_attach() with a promise ring. nullptr: no memory.
Environment* environment_attach_with_ring(const EnvironmentHooks& hooks);

// On its thread: whether JavaScript is still to be notified of something: a bell, an op, a result that has not been
// drained.
bool environment_is_awaited(Environment& environment);

// Gives one reference back. Any thread.
void environment_release(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_ENVIRONMENT_RESULTS_H_
