// The facade of the core, and with abi.h and wire.h all that a binding includes. One engine per process, made at
// first use and never destroyed. Every function returns -errno on failure and never touches errno. Functions that take
// an Environment are called on its thread unless they say otherwise.
#ifndef ACALL_CORE_ENGINE_H_
#define ACALL_CORE_ENGINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi.h"
#include "arena_heap.h"
#include "arenas.h"
#include "block.h"
#include "dispose.h"
#include "environment.h"
#include "handle.h"
#include "operation.h"
#include "policy.h"
#include "ring.h"
#include "stat_columns.h"
#include "submit/promise_slots.h"
#include "waiters.h"
#include "watchdog.h"
#include "wire.h"

namespace acall {

// Installs the cancel handler at first use: 0, or -EBUSY when every signal belongs to somebody else.
int engine_start();
// False: somebody else has taken the signal since, and what is cancelled ends only when the kernel ends it.
bool engine_has_signal();

struct SubmitError {
  uint32_t index = 0;
  int error = 0;  // -errno; 0: every entry was accepted
};

// acall_submit of the spec. `submissions` may change under our eyes; each entry is copied once.
int64_t engine_submit(Environment& environment, const acall_submission* submissions, uint32_t nr, SubmitError* error);
int engine_cancel(const acall_id& id);
// The same for promises that are being rejected: nobody wants the results, and the thread that gets one disposes of
// what it carries. A result that was known already stays in the promise ring, for dispose_later(). When this returns no
// further call of these ops begins, and those that were queued never will; signals may still be on their way.
// `more`: of the same abort follow, and the threads are told with the last of them.
void engine_abandon(const acall_id* ids, uint32_t count, bool more = false);
// Its environment's thread: the op does not keep the event loop alive any more.
void engine_let_go(const acall_id& id);

// One op of the promise layer: a call whose memory is the core's. Its completion is stored in `ring` with `cookie`.
struct PromiseCall {
  uint32_t nr = 0;
  Tries tries = Tries::kAll;
  uint32_t flags = 0;  // as in a submission
  uint64_t cookie = 0;
  uint64_t args[6] = {};
  const Segment* segments = nullptr;
  uint32_t segment_count = 0;
  Block* block = nullptr;        // one reference goes to the op, also when it is refused
  OpenHandle* handle = nullptr;  // whose descriptor is among the arguments: -EBADF when it is being closed
  HandleIdentity* opens =
      nullptr;  // in the block: filled when the result is a descriptor that a handle is to be made of
  ResultCarrier* carrier = nullptr;  // filled when a result may carry descriptors; the cookie says so then
  bool keep_alive = true;
  bool closes_ours = false;  // close() of a descriptor that acall has opened: restrict() does not keep it open
};
// 0 or the error of the first half (-EPERM, -EFAULT, -EAGAIN). kCallDone: it was to be tried (ACALL_SUBMIT_INLINE) and
// is complete, with *result; nothing comes to the ring. `id` may be null, and `result` for calls without that flag.
int engine_submit_call(Environment& environment, Ring& ring, const PromiseCall& request, acall_id* id,
                       int64_t* result = nullptr);

// One stat of the promise layer, here and now, by means that never block. False: it must go to the pool (run_stat).
struct StatRequest {
  int dirfd;
  const char* path;
  uint32_t flags;  // AT_EMPTY_PATH: the descriptor itself, with an empty path; AT_SYMLINK_NOFOLLOW
  bool integers;
};
bool engine_try_stat(Environment& environment, const StatRequest& request, void* into, int64_t* result);

// An op with a back end of its own: `run` is called once on a pool thread and returns the op's result.
struct PromiseWork {
  RunFunction run = nullptr;
  void* extra = nullptr;
  uint64_t cookie = 0;
  uint64_t args[6] = {};
  Block* block = nullptr;  // one reference of each block goes to the op
  Block* result = nullptr;
  OpenHandle* handle = nullptr;  // as in PromiseCall; the caller has found it just now
  bool keep_alive = true;
};
// Queues `count` of them in order. Returns how many were taken; fewer only when memory is short.
uint32_t engine_submit_work(Environment& environment, Ring& ring, const PromiseWork* works, uint32_t count,
                            acall_id* ids);

// An op that nobody waits for, on a pool thread, also after the environment's end. The memory of the call goes to it if
// it is taken.
bool engine_submit_detached(Environment& environment, RunFunction run, void* extra, uint64_t cookie, const Call& call);

// One promise op that many threads work on: see job.h. The op is begun without a thread and ended by whoever finishes
// the job; helpers are ops without a ring that work for it. A cancel of either only raises the job's flag and
// interrupts the helpers that are in the kernel: a helper that was queued still runs, sees the flag and returns.
struct JobFlag {
  std::atomic<uint32_t> cancelled{0};
  Block* block = nullptr;  // what holds the flag: every op of the job has a reference to it
  void (*interrupt)(JobFlag& job) =
      nullptr;  // any thread: a cancel of the job's op (not of a helper) has raised the flag
};
Operation* engine_begin_job(Environment& environment, Ring& ring, uint64_t cookie, JobFlag* job, bool keep_alive,
                            acall_id* id);
void engine_end_job(Operation& op, int64_t return_code);  // any thread
// Any thread that works for the environment (holds an op of it). `run` gets op.extra == job.
bool engine_submit_helper(Environment& environment, RunFunction run, JobFlag* job, acall_id* id);

// A published op that runs when somebody gives it to the threads, also after the environment's end; nobody cancels it.
// The caller has entered the threads. nullptr: no memory.
Operation* engine_begin_waiting(Environment& environment, Ring& ring, RunFunction run, void* extra, uint64_t cookie,
                                bool keep_alive, acall_id* id);

// For back ends that make their ops themselves: the op belongs to the environment, and how many are under way.
void engine_bind(Operation& op, Environment& environment, bool keep_alive);
void engine_count_submitted(uint32_t ops);

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

struct Counters {
  uint64_t submitted, completed, cancelled, overflows, inline_hits, inline_misses;
  uint32_t queued, running, threads, pool_threads, own_threads, blocked;
};
Counters engine_counters();
// The limit on threads that has kept ops waiting for a second and still does, nullptr when there is none. Any thread.
const char* engine_limited_by();
// Once in the life of the process: the first limit that did; every environment's bell rings for it. Else nullptr.
const char* engine_take_limit();

}  // namespace acall

#endif  // ACALL_CORE_ENGINE_H_
