// What lib/ asks for over the border, of programs: an image as its compiler has made it, and records of runs. Lengths
// and offsets are checked, since JavaScript wrote them. Entered by the environment's thread.
#ifndef ACALL_CORE_PROGRAMS_PROGRAM_REQUESTS_H_
#define ACALL_CORE_PROGRAMS_PROGRAM_REQUESTS_H_

#include <cstdint>
#include <span>

#include "programs/program_start.h"
#include "submit/promise_slots.h"
#include "wire.h"

namespace acall {

// An image with copies of all it names, to be freed by free(). 0; -EAGAIN: no memory; -EINVAL: it is too large, or an
// offset points nowhere.
int program_image_make(const ProgramHeader& header, std::span<const unsigned char> bytes,
                       std::span<const uint32_t> relocations, std::span<const ProgramArea> areas,
                       std::span<const uint32_t> handed, ProgramImage** image);

// RunRecords, one behind the other; the status of each says what became of it. What does not fit into `bytes` is left
// alone, and so is all that follows.
void program_submit_runs(Environment& environment, PromiseSlots& slots, const ProgramImage& image,
                         unsigned char* records, uint32_t bytes);

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_PROGRAM_REQUESTS_H_
