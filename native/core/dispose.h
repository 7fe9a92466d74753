// Results that nobody takes: the descriptors they carry are closed. close() may wait for a server, for ever, so it
// holds a thread of ours and nothing else: no op (its thread completes it first), no memory, no environment and no end
// of one. A promise rejected while its op was in the kernel leaves that to the thread that ran it; a result that was
// stored already and is not wanted any more goes to a thread of the pool. Entered by threads that ran an op and by the
// environment's thread.
#ifndef ACALL_CORE_DISPOSE_H_
#define ACALL_CORE_DISPOSE_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "operation.h"

namespace acall {

struct HandleIdentity;
struct ProgramRun;

// Whether a result of the op may carry descriptors: in its number, in a pair, in a message (SCM_RIGHTS).
bool carries_descriptors(const Operation& op);

// Descriptors that nobody takes, between the moment that they are known (the op's memory is still pinned) and the one
// that they are closed (the op is complete). Owned by one thread.
class Leftovers {
 public:
  void take(Operation& op, int64_t return_code);
  void take(const Call& call, int64_t return_code);
  void take_rights(const msghdr& message);  // the descriptors that a message has brought along
  void add(int fd);
  void close(Worker& self);
  uint32_t count() const { return count_; }
  int at(uint32_t i) const { return numbers_[i]; }

 private:
  static constexpr uint32_t kMost = 256;  // a message brings 253 at most (SCM_MAX_FD)
  void add_all(const unsigned char* from, size_t count);

  uint32_t count_ = 0;
  int numbers_[kMost];
  ProgramRun* run_ = nullptr;
  Block* block_ = nullptr;  // the run lives there: one reference
};

// Set in the cookie of a promise op that has a ResultCarrier.
inline constexpr uint64_t kCarriesDescriptors = uint64_t{1} << 32;

// What has to be known of an accepted call to dispose of its result after its op is gone. Owned by one thread.
struct ResultCarrier {
  bool is_set = false;
  bool is_drained = false;                 // JavaScript has the result, in a list that it has not gone through yet
  int64_t result = 0;                      // then
  ProgramRun* program = nullptr;           // lives in the call's block, as the next
  const HandleIdentity* opened = nullptr;  // its descriptor is to become a handle
  Call call;

  void take(const Operation& op);
  void forget();
};

// On any thread that must not wait: a thread of the pool closes it.
void dispose_close(Environment& environment, int fd);

// On the environment's thread: disposes of what the result of a complete op carries, on a thread of the pool, and
// forgets.
void dispose_later(Environment& environment, ResultCarrier& carrier, int64_t return_code);

}  // namespace acall

#endif  // ACALL_CORE_DISPOSE_H_
