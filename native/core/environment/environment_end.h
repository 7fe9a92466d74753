// How an environment ends: its ops are cancelled, ops that the kernel does not end are abandoned, and memory that
// another environment shares is pinned there. Entered by the environment's thread, no lock held; abandon_lock guards
// the sinks of abandoned ops. The record is in op/environment.h.
#ifndef ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_
#define ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_

#include <cstdint>

#include "op/environment.h"

namespace acall {

// Ends an environment. Queued ops complete with -ECANCELED, running ops are interrupted. The thread waits at most 50 ms
// for them, and longer only while the kernel has an address of memory that dies with the environment. An op that is
// still running then is abandoned: its thread disposes of the result and touches nothing of the environment any more.
// With `process_end`, or as soon as the main thread waits to join this one, no op in the kernel is waited for.
void environment_detach(Environment* environment, bool process_end);
// The same in two steps, for several environments of one thread that end together and wait once: begin each, then end
// each.
void environment_begin_end(Environment& environment);
uint64_t environment_end_deadline_ns(bool process_end);
void environment_end(Environment* environment, bool process_end, uint64_t deadline_ns);

// Cancels all ops of the environment that do not outlive it. It can go on afterwards.
void environment_cancel_all(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_
