// How programs begin: those of async_exec, and those that the promise layer has compiled. Entered by the environment's
// thread; arenas_lock is taken inside. See program.h.
#ifndef ACALL_CORE_PROGRAMS_PROGRAM_START_H_
#define ACALL_CORE_PROGRAMS_PROGRAM_START_H_

#include <cstdint>

#include "abi.h"
#include "completion/waiters.h"
#include "syscalls/dispose.h"
#include "wire.h"

namespace acall {

struct Block;
struct Environment;
struct Ring;

// async_exec (docs/programs.md). 0: the program is over, leaves no completion, and *last is the atom that ran last; 1:
// it goes on in the pool and will complete in the ring; -errno: nothing has run. `id` may be 0.
int engine_exec_program(Environment& environment, uint64_t atom, uint64_t ring, uint64_t id, const Liveness& liveness,
                        uint64_t* last);

// A program as the promise layer has compiled it. Each run gets a copy of its bytes. Offsets count from their
// beginning.
struct ProgramImage {
  const unsigned char* bytes = nullptr;  // begin with room for a syslet_report
  uint32_t copied = 0;                   // how many bytes there are
  uint32_t size = 0;                     // with the room behind them, which no run initialises
  ProgramArea code{};
  uint32_t entry = 0, cleanup = 0;  // offsets of atoms; cleanup 0: none
  uint32_t max_steps = 0;
  const uint32_t* relocations = nullptr;  // words whose value is an offset and becomes an address
  uint32_t relocation_count = 0;
  const ProgramArea* areas = nullptr;  // what atoms and the kernel may read and write
  uint32_t area_count = 0;
  const uint32_t* handed = nullptr;  // words whose descriptors belong to the result
  uint32_t handed_count = 0;
};
// False when an offset points outside of the image.
bool program_image_is_valid(const ProgramImage& image);

// The inputs of one run.
struct ProgramInputs {
  const unsigned char* payload = nullptr;  // copied behind the image
  uint32_t payload_bytes = 0;
  const ProgramPatch* patches = nullptr;
  uint32_t patch_count = 0;
  const ProgramArea* areas = nullptr;  // besides the image's
  uint32_t area_count = 0;
  uint64_t cookie = 0;
  bool keep_alive = true;
  ResultCarrier* carrier = nullptr;  // as in PromiseCall
};
// Submits one run. 0; -EAGAIN; -EINVAL: an offset points outside of the run's memory. *kept: one reference of the run's
// memory for the caller; the image begins there at kProgramMemory.
int engine_submit_program(Environment& environment, Ring& ring, const ProgramImage& image, const ProgramInputs& inputs,
                          acall_id* id, Block** kept);

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_PROGRAM_START_H_
