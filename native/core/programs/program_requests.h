// How requests of lib/ become programs: the image that its compiler has made, and records of runs. Lengths and offsets
// are checked, since JavaScript wrote them. Entered by the environment's thread; no lock.
#ifndef ACALL_CORE_PROGRAMS_PROGRAM_REQUESTS_H_
#define ACALL_CORE_PROGRAMS_PROGRAM_REQUESTS_H_

#include <cstdint>
#include <span>

#include "programs/program_start.h"
#include "submit/promise_slots.h"
#include "wire.h"

namespace acall {

// Makes an image with copies of all these parts; the caller frees it with free(). 0; -EAGAIN: no memory; -EINVAL: it is
// too large, or an offset points outside of it.
int program_image_make(const ProgramHeader& header, std::span<const unsigned char> bytes,
                       std::span<const uint32_t> relocations, std::span<const ProgramArea> areas,
                       std::span<const uint32_t> handed, ProgramImage** image);

// Submits RunRecords that follow each other, and stores the status of each. Stops at a record that does not fit into
// the rest of `bytes`.
void program_submit_runs(Environment& environment, PromiseSlots& slots, const ProgramImage& image,
                         unsigned char* records, uint32_t bytes);

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_PROGRAM_REQUESTS_H_
