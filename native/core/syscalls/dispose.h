// Disposal of results that nobody takes: the descriptors that they carry are closed. close() may wait for a server for
// ever, so only a pool thread or an own thread waits for it, and nothing else: the op is complete before, and the end
// of its environment does not wait. When a promise is rejected while its op is running, the thread that ran the op
// disposes of the result; when the result is stored already, a pool thread does. Entered by threads that ran an op and
// by the environment's thread; no lock.
#ifndef ACALL_CORE_SYSCALLS_DISPOSE_H_
#define ACALL_CORE_SYSCALLS_DISPOSE_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "op/operation.h"
#include "threads/leftovers.h"

namespace acall {

struct HandleIdentity;

// BackEnd::carries and BackEnd::collect of a call. Its result may be a descriptor, a pair of them, or a message with
// descriptors (SCM_RIGHTS).
bool call_carries(const Call& call, const void* extra);
void collect_of_call(const Call& call, void* extra, int64_t return_code, Leftovers& into);
extern const BackEnd kCallDisposal;

// Adds the descriptors of a received message.
void collect_rights(const msghdr& message, Leftovers& into);

// Set in the cookie of a promise op that has a ResultCarrier.
inline constexpr uint64_t kCarriesDescriptors = uint64_t{1} << 32;

// A copy of what is needed to dispose of a result after its op is gone. Used by the environment's thread alone.
struct ResultCarrier {
  bool is_set = false;
  bool is_drained = false;  // JavaScript has drained the result and not settled it yet
  int64_t result = 0;       // when is_drained
  const BackEnd* back_end = nullptr;
  void* extra = nullptr;                   // lies in the call's block, as the next
  const HandleIdentity* opened = nullptr;  // not nullptr: the descriptor becomes a handle
  Call call;

  // False: the op's result carries no descriptors, and nothing is kept.
  bool take(const Operation& op);
  void forget();
};

// On any thread that must not wait: a pool thread closes the descriptor.
void dispose_close(Environment& environment, int fd);

// On the environment's thread: a pool thread closes the descriptors that the result of a complete op carries. The
// carrier is empty afterwards.
void dispose_later(Environment& environment, ResultCarrier& carrier, int64_t return_code);

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_DISPOSE_H_
