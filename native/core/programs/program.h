// Programs (syslets): atoms that run one after the other on one thread, each checked when it runs. Those of async_exec
// lie in arenas of the environment; those of the promise layer in memory of the core. docs/programs.md has the
// reasoning.
//
// A run is touched by one thread at a time: the submitting one, then a pool thread. Arena memory is read and written
// under arenas_lock, and never again once kAbandoned is found there: abandon() in environment_end.cc sets it before it
// takes the lock.
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
inline constexpr uint32_t kMaxProgramSteps = 1u << 20;  // of async_exec: some 50 ms of counting
inline constexpr uint32_t kMaxInlineSteps = 1024;       // of them on the submitting thread

// A thread inside async_exec that waits for the SYNC part of its program. On its stack.
struct ProgramCaller {
  Parker parker;
  bool told = false;   // guarded by the lock of the callers, as is the next one
  bool ended = false;  // the program is over, in the way that leaves no completion
};

// The op's own call holds the pins, the run's memory, and the rest of a transfer that the submitting thread has begun
// in the next atom.
struct ProgramRun {
  uint64_t atom = 0;   // the next one to run; 0: the end
  uint64_t last = 0;   // the one executed last
  int64_t result = 0;  // and its result
  uint32_t last_flags = 0;
  uint32_t end = SYSLET_END_DONE;
  uint32_t steps = 0;
  uint32_t max_steps = kMaxProgramSteps;
  uint32_t next_flags = 0;  // of the atom that program_run_inline() left to others; 0 when that atom is no good
  std::atomic<ProgramCaller*> caller{nullptr};  // changed under the lock of the callers once the op is published

  // Of the promise layer's programs only: their memory, which starts with a syslet_report.
  unsigned char* image = nullptr;
  uint64_t cleanup = 0;            // atoms that run when the others are over, whatever happened; 0: none
  Segment code{};                  // where atoms may lie
  const Segment* areas = nullptr;  // what atoms and the kernel may read and write
  uint32_t area_count = 0;
  const uint32_t* handed =
      nullptr;  // offsets of words: descriptors that belong to the result, closed when there is none
  uint32_t handed_count = 0;
};

// Runs what is left of a program and returns the op's result. The op's `extra` is the ProgramRun.
extern const BackEnd kProgram;

// On the submitting thread, as far as nothing can block. True: it ended, as programs should.
bool program_run_inline(ProgramRun& run, Operation& op);

// What is left of the program will not run.
void program_dropped(Operation& op);

// Any thread that has the run: the caller need not wait any longer. False: nobody waits.
bool program_notify_caller(ProgramRun& run, bool ended);

// Sleeps until the SYNC part is over; `still_alive` as in Liveness. True: the program has ended and leaves no
// completion.
bool program_wait(ProgramRun& run, ProgramCaller& caller, bool (*still_alive)(void* context), void* context);

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_PROGRAM_H_
