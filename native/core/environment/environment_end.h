// How an environment ends: its ops are cancelled, what the kernel has not let go of is abandoned, and memory that
// another environment shares goes on to that one. Entered by the environment's thread; the record is in
// op/environment.h.
#ifndef ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_
#define ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_

#include <cstdint>

#include "op/environment.h"

namespace acall {

// The end of an environment, on its own thread. Queued ops complete with -ECANCELED, running ones are interrupted;
// waits at most 50 ms, and longer only while the kernel holds an address of memory that dies with the environment. What
// is still running then is abandoned: its thread disposes of the result and touches nothing of the environment's again.
// With `process_end`, or when the main thread has come to join this one, nothing in the kernel is waited for.
void environment_detach(Environment* environment, bool process_end);
// The same for several environments of one thread, which end together and wait once: begin each, then end each.
void environment_begin_end(Environment& environment);
uint64_t environment_end_deadline_ns(bool process_end);
void environment_end(Environment* environment, bool process_end, uint64_t deadline_ns);

// On its thread, and it lives on: interrupts what runs, and what waits completes with -ECANCELED.
void environment_cancel_all(Environment& environment);

}  // namespace acall

#endif  // ACALL_CORE_ENVIRONMENT_ENVIRONMENT_END_H_
