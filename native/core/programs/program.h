// Programs (syslets): atoms that run one after the other on one thread, each checked when it runs. Programs of
// async_exec lie in arenas of the environment, those of the promise layer in memory of the core. Reasoning:
// docs/programs.md.
//
// One thread at a time uses a run: the submitting thread, then a pool thread. The interpreter reads and writes arena
// memory under arenas_lock, and not any more when it finds kAbandoned there: abandon() in environment_end.cc sets
// kAbandoned before it takes the lock.
#ifndef ACALL_CORE_PROGRAMS_PROGRAM_H_
#define ACALL_CORE_PROGRAMS_PROGRAM_H_

#include <atomic>
#include <cstdint>

#include "abi.h"
#include "base/sync.h"
#include "op/operation.h"
#include "syscalls/pointer_check.h"

namespace acall {

inline constexpr uint32_t kKnownAtomFlags = 0xff;
inline constexpr uint32_t kMaxProgramSteps = 1u << 20;  // of async_exec; so many additions take some 50 ms
inline constexpr uint32_t kMaxInlineSteps = 1024;       // how many of them the submitting thread runs

// A thread inside async_exec that waits for the SYNC part of its program. Lies on the thread's stack.
struct ProgramCaller {
  Parker parker;
  bool is_released = false;  // the wait is over; guarded by callers_lock, as the next one
  bool ended = false;        // the program is over and leaves no completion
};

// One run of a program. The op's call has the pins and the run's memory, and the rest of a transfer that the submitting
// thread has begun for the next atom.
struct ProgramRun {
  uint64_t atom = 0;        // the next atom to run; 0: the program is over
  uint64_t last = 0;        // the atom that ran last
  int64_t result = 0;       // its result
  uint32_t last_flags = 0;  // its flags
  uint32_t end = SYSLET_END_DONE;
  uint32_t steps = 0;
  uint32_t max_steps = kMaxProgramSteps;
  uint32_t next_flags = 0;  // flags of the atom at which program_run_inline() stopped; 0 when it could not be read
  std::atomic<ProgramCaller*> caller{nullptr};  // changed under callers_lock when the op has been published

  // Only for programs of the promise layer: their memory, which begins with a syslet_report.
  unsigned char* image = nullptr;
  uint64_t cleanup = 0;            // the first atom of the clean-up, which always runs last; 0: none
  Segment code{};                  // where atoms may lie
  const Segment* areas = nullptr;  // what atoms and the kernel may read and write
  uint32_t area_count = 0;
  const uint32_t* handed = nullptr;  // offsets of words whose descriptors belong to the result
  uint32_t handed_count = 0;
};

// The back end that runs the rest of a program on a pool thread. The op's `extra` is the ProgramRun.
extern const BackEnd kProgram;

// Runs atoms on the submitting thread while they cannot block. True: the program is over.
bool program_run_inline(ProgramRun& run, Operation& op);

// BackEnd::dropped: the rest of the program will not run.
void program_dropped(Operation& op);

// The thread that has the run: the caller's wait is over. False: no thread waits.
bool program_notify_caller(ProgramRun& run, bool ended);

// Sleeps until the SYNC part is over; `still_alive` as in Liveness. True: the program is over and leaves no completion.
bool program_wait(ProgramRun& run, ProgramCaller& caller, bool (*still_alive)(void* context), void* context);

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_PROGRAM_H_
