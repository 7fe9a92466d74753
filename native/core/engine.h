// The facade of the core, and with abi.h and wire.h all that a binding includes. One engine per process, made at
// first use and never destroyed. Every function returns -errno on failure and never touches errno. Functions that take
// an Environment are called on its thread unless they say otherwise.
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

// Installs the cancel handler at first use: 0, or -EBUSY when every signal belongs to somebody else.
int engine_start();
// False: somebody else has taken the signal since, and what is cancelled ends only when the kernel ends it.
bool engine_has_signal();

int engine_cancel(const acall_id& id);
// The same for promises that are being rejected: nobody wants the results, and the thread that gets one disposes of
// what it carries. A result that was known already stays in the promise ring, for dispose_later(). When this returns no
// further call of these ops begins, and those that were queued never will; signals may still be on their way.
// `more`: of the same abort follow, and the threads are told with the last of them.
void engine_abandon(const acall_id* ids, uint32_t count, bool more = false);
// Its environment's thread: the op does not keep the event loop alive any more.
void engine_let_go(const acall_id& id);

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
