// acall_submit: entries in memory that JavaScript shares with us, taken apart, checked, and launched.
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

// acall_submit of the spec. `submissions` may change under our eyes; each entry is copied once.
int64_t engine_submit(Environment& environment, const acall_submission* submissions, uint32_t nr, SubmitError* error);

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_SUBMISSION_H_
