// What is still to come for an environment: results in its promise ring, and ops in flight, each of which holds one
// reference. The promise ring goes with the last reference. The record is in op/environment.h.
#ifndef ACALL_CORE_COMPLETION_ENVIRONMENT_RESULTS_H_
#define ACALL_CORE_COMPLETION_ENVIRONMENT_RESULTS_H_

namespace acall {

struct Environment;

// On its thread. Whether something may still come that JavaScript is to hear of: a bell, an op, a result that has not
// been drained.
bool environment_is_awaited(Environment& environment);

// Any thread that holds a reference gives it back.
void environment_release(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_COMPLETION_ENVIRONMENT_RESULTS_H_
