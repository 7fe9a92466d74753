// acall_submit: reads, checks and launches entries in memory that JavaScript may change at any time. Entered by the
// environment's thread, no lock held.
#ifndef ACALL_CORE_SUBMIT_SUBMISSION_H_
#define ACALL_CORE_SUBMIT_SUBMISSION_H_

#include <cstdint>

#include "abi.h"

namespace acall {

struct Environment;

struct SubmitError {
  uint32_t index = 0;
  int error = 0;  // -errno; 0: every entry was accepted
};

// acall_submit. `submissions` may change during the call; each entry is copied once, before it is checked.
int64_t engine_submit(Environment& environment, const acall_submission* submissions, uint32_t nr, SubmitError* error);

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_SUBMISSION_H_
