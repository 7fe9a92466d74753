// The facade of the core. A binding includes this header or backends.h, abi.h and wire.h, and no other. There is one
// engine per process, made at first use and never destroyed. Functions that can fail return -errno and leave errno
// alone. Functions that take an Environment are called on its thread unless they say otherwise; all others are called
// on any thread that runs JavaScript. No lock is held when they are called.
#ifndef ACALL_CORE_ENGINE_H_
#define ACALL_CORE_ENGINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi.h"
#include "base/block.h"
#include "base/watchdog.h"
#include "completion/environment_results.h"
#include "completion/ring.h"
#include "completion/waiters.h"
#include "environment/environment_end.h"
#include "files/stat_columns.h"
#include "op/arena_heap.h"
#include "op/arenas.h"
#include "op/environment.h"
#include "op/handle.h"
#include "op/operation.h"
#include "programs/program_requests.h"
#include "programs/program_start.h"
#include "submit/promise_call.h"
#include "submit/promise_requests.h"
#include "submit/promise_slots.h"
#include "submit/submission.h"
#include "syscalls/dispose.h"
#include "syscalls/policy.h"
#include "wire.h"

namespace acall {

// Installs the handler of the cancel signal at first use. 0; -EBUSY: other code has a handler for every signal.
int engine_start();
// False: other code has replaced the handler since, and a cancelled call ends only when the kernel ends it.
bool engine_has_signal();

int engine_cancel(const acall_id& id);

struct Counters {
  uint64_t submitted, completed, cancelled, overflows, inline_hits, inline_misses;
  uint32_t queued, running, threads, pool_threads, own_threads, blocked;
};
Counters engine_counters();
// The limit on threads that has kept ops waiting for a second and still does; nullptr: there is none.
const char* engine_limited_by();
// The first limit that kept ops waiting for a second. One caller in the life of the process gets it; nullptr for all
// others. Every environment's bell rings when there is one.
const char* engine_take_limit();

}  // namespace acall

#endif  // ACALL_CORE_ENGINE_H_
