// Results that nobody takes: the descriptors they carry are closed. close() may wait for a server, for ever, so it
// holds a thread of ours and nothing else: no op (its thread completes it first), no memory, no environment and no end
// of one. A promise rejected while its op was in the kernel leaves that to the thread that ran it; a result that was
// stored already and is not wanted any more goes to a thread of the pool. Entered by threads that ran an op and by the
// environment's thread.
#ifndef ACALL_CORE_SYSCALLS_DISPOSE_H_
#define ACALL_CORE_SYSCALLS_DISPOSE_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "op/operation.h"
#include "threads/leftovers.h"

namespace acall {

struct HandleIdentity;

// BackEnd::carries and BackEnd::collect of a call: its result may be a descriptor, a pair of them, or a message with
// some (SCM_RIGHTS).
bool call_carries(const Call& call, const void* extra);
void collect_of_call(const Call& call, void* extra, int64_t return_code, Leftovers& into);
extern const BackEnd kCallDisposal;

// The descriptors that a message has brought along.
void collect_rights(const msghdr& message, Leftovers& into);

// Set in the cookie of a promise op that has a ResultCarrier.
inline constexpr uint64_t kCarriesDescriptors = uint64_t{1} << 32;

// What has to be known of an accepted call to dispose of its result after its op is gone. Owned by one thread.
struct ResultCarrier {
  bool is_set = false;
  bool is_drained = false;  // JavaScript has the result, in a list that it has not gone through yet
  int64_t result = 0;       // then
  const BackEnd* back_end = nullptr;
  void* extra = nullptr;                   // lives in the call's block, as the next
  const HandleIdentity* opened = nullptr;  // its descriptor is to become a handle
  Call call;

  // False: the op's result carries nothing, and nothing is kept.
  bool take(const Operation& op);
  void forget();
};

// On any thread that must not wait: a thread of the pool closes it.
void dispose_close(Environment& environment, int fd);

// On the environment's thread: disposes of what the result of a complete op carries, on a thread of the pool, and
// forgets.
void dispose_later(Environment& environment, ResultCarrier& carrier, int64_t return_code);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_DISPOSE_H_
