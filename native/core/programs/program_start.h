// Where programs begin: async_exec, and the programs that the promise layer has compiled. See program.h.
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

// async_exec of the spec (docs/programs.md): 0: it ran to its end here and *last is the atom executed last; 1: it goes
// on in the pool and will complete in the ring; or -errno: nothing has run. `id` may be 0.
int engine_exec_program(Environment& environment, uint64_t atom, uint64_t ring, uint64_t id, const Liveness& liveness,
                        uint64_t* last);

// A program as the promise layer has compiled it: bytes that each run gets a copy of. Offsets are from their begin.
struct ProgramImage {
  const unsigned char* bytes = nullptr;  // starts with room for a syslet_report
  uint32_t copied = 0;                   // how many there are
  uint32_t size = 0;                     // with the room behind them, which a run finds as it is
  ProgramArea code{};
  uint32_t entry = 0, cleanup = 0;  // atoms; cleanup 0: none
  uint32_t max_steps = 0;
  const uint32_t* relocations = nullptr;  // words that hold an offset and become addresses
  uint32_t relocation_count = 0;
  const ProgramArea* areas = nullptr;  // what atoms and the kernel may read and write
  uint32_t area_count = 0;
  const uint32_t* handed = nullptr;  // words whose descriptors belong to the result
  uint32_t handed_count = 0;
};
// False when an offset points nowhere.
bool program_image_is_valid(const ProgramImage& image);

// One run: what differs from the image.
struct ProgramInputs {
  const unsigned char* payload = nullptr;  // comes behind the image
  uint32_t payload_bytes = 0;
  const ProgramPatch* patches = nullptr;
  uint32_t patch_count = 0;
  const ProgramArea* areas = nullptr;  // besides the image's
  uint32_t area_count = 0;
  uint64_t cookie = 0;
  bool keep_alive = true;
  ResultCarrier* carrier = nullptr;  // as in PromiseCall
};
// 0, -EAGAIN, or -EINVAL: an offset points nowhere. The caller gets one reference of the run's memory in *kept, where
// the image begins at kProgramMemory.
int engine_submit_program(Environment& environment, Ring& ring, const ProgramImage& image, const ProgramInputs& inputs,
                          acall_id* id, Block** kept);

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_PROGRAM_START_H_
