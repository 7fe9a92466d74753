// The back end of programs, the wait of async_exec, and the descriptors of results. See program.h.
#include "programs/program.h"

#include <cstring>

#include "base/block.h"
#include "completion/waiters.h"
#include "programs/interpreter.h"
#include "programs/program_words.h"
#include "threads/leftovers.h"
#include "threads/pool_thread.h"

namespace acall {

namespace {

Lock callers_lock;  // guards the caller of every published run

// Whether the program ended without an error: only then may it leave no completion.
bool ended_well(const ProgramRun& run) { return run.end == SYSLET_END_DONE || run.end == SYSLET_END_STOPPED; }

void report(const ProgramRun& run) {
  const uint64_t base = reinterpret_cast<uint64_t>(run.image);
  const syslet_report ended{run.last - base, run.result, run.end, run.steps};
  memcpy(run.image, &ended, sizeof ended);
}

// Takes the next descriptor of a result that nobody will see; -1: there is none left. The run is over.
int take_handed(void* from) {
  ProgramRun& run = *static_cast<ProgramRun*>(from);
  for (uint32_t i = 0; i < run.handed_count && run.end == SYSLET_END_DONE; ++i) {
    const auto at = reinterpret_cast<uint64_t>(run.image + run.handed[i]);
    const auto fd = static_cast<int32_t>(load_word(at));
    store_word(at, UINT64_MAX);
    if (fd >= 0) return fd;
  }
  return -1;
}

int64_t run_program(Operation& op, PoolThread& self) {
  auto& run = *static_cast<ProgramRun*>(op.extra);
  Interpreter interpreter(run, op, self, false);
  interpreter.run();
  interpreter.clean_up();
  if (run.image != nullptr) {
    report(run);
    return 0;
  }
  op.cookie = run.last;
  if (ended_well(run) && (run.last_flags & SYSLET_NO_COMPLETE))
    op.facts.fetch_or(kOpNoCompletion, std::memory_order_relaxed);
  interpreter.let_caller_go(ended_well(run));
  return run.result;
}

bool program_carries(const Call&, const void* extra) { return static_cast<const ProgramRun*>(extra)->handed_count > 0; }

void collect_handed(const Call& call, void* extra, int64_t, Leftovers& into) {
  into.add_source(take_handed, extra, *call.block);
}

int64_t run_program_disposal(Operation& op, PoolThread& self) {
  Leftovers leftovers;
  collect_handed(op.call, op.extra, 0, leftovers);
  leftovers.close(self);
  return 0;
}

constexpr BackEnd kProgramDisposal{.run = run_program_disposal};

}  // namespace

constinit const BackEnd kProgram{
    .run = run_program,
    .dropped = program_dropped,
    .carries = program_carries,
    .collect = collect_handed,
    .disposal = &kProgramDisposal,
    .looks_for_cancel = true,
    .is_awaited = true,
};

bool program_notify_caller(ProgramRun& run, bool ended) {
  // Set before the run, and only cleared afterwards.
  if (run.caller.load(std::memory_order_relaxed) == nullptr) return false;
  Hold hold(callers_lock);
  ProgramCaller* caller = run.caller.load(std::memory_order_relaxed);
  if (caller == nullptr) return false;
  caller->ended = ended;
  caller->is_released = true;
  caller->parker.unpark();  // under the lock: the caller takes it before it leaves its stack frame
  run.caller.store(nullptr, std::memory_order_relaxed);
  return true;
}

bool program_run_inline(ProgramRun& run, Operation& op) {
  PoolThread self;
  return Interpreter(run, op, self, true).run();
}

bool program_wait(ProgramRun& run, ProgramCaller& caller, bool (*still_alive)(void* context), void* context) {
  for (bool alive = true;; alive = still_alive == nullptr || still_alive(context)) {
    if (alive) caller.parker.park(kLivenessSliceNs);
    Hold hold(callers_lock);
    if (caller.is_released) return caller.ended;
    if (alive) continue;
    run.caller.store(nullptr, std::memory_order_relaxed);
    return false;
  }
}

void program_dropped(Operation& op) {
  auto& run = *static_cast<ProgramRun*>(op.extra);
  program_notify_caller(run, false);
}

}  // namespace acall
