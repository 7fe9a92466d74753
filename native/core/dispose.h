// Results that nobody takes: the descriptors they carry are closed. A promise rejected while its op was in the kernel
// leaves that to the thread that ran it; a result that was stored already and is not wanted any more goes to a thread
// of the pool, since close() may wait for a server. Entered by threads that ran an op and by the environment's thread.
#ifndef ACALL_CORE_DISPOSE_H_
#define ACALL_CORE_DISPOSE_H_

#include <cstdint>

#include "operation.h"

namespace acall {

struct ProgramRun;

// Whether a result of the op may carry descriptors: in its number, in a pair, in a message (SCM_RIGHTS).
bool carries_descriptors(const Operation& op);

// By the thread that ran the op, while its memory is still pinned.
void dispose_result(Operation& op, int64_t return_code);

// Set in the cookie of a promise op that has a ResultCarrier.
inline constexpr uint64_t kCarriesDescriptors = uint64_t{1} << 32;

// What has to be known of an accepted call to dispose of its result after its op is gone. Owned by one thread.
struct ResultCarrier {
  bool is_set = false;
  uint32_t nr = 0;
  bool returns_fd = false;
  uint64_t args[6] = {};
  ProgramRun* program = nullptr;  // lives in `block`
  Block* block = nullptr;         // one reference of each
  Block* copies = nullptr;

  void take(const Operation& op);
  void forget();
};

// On the environment's thread: disposes of what the result of a complete op carries, on a thread of the pool, and
// forgets. A message's control bytes lie in the caller's memory. When JavaScript has run since the op was abandoned
// (`intact` false) they may be another message's by now: its descriptors are left open rather than wrong ones closed.
// That takes a thread that lost its core for a millisecond between the kernel and the ring.
void dispose_later(Environment& environment, ResultCarrier& carrier, int64_t return_code, bool intact);

}  // namespace acall

#endif  // ACALL_CORE_DISPOSE_H_
