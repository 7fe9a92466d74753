// The steps from a result to complete(). See finish.h.
#include "threads/finish.h"

#include <cerrno>

#include "completion/complete.h"
#include "op/environment.h"
#include "threads/cancel.h"
#include "threads/leftovers.h"
#include "threads/pool_thread.h"

namespace acall {

namespace {

void collect(const Operation& op, int64_t return_code, Leftovers& into) {
  const BackEnd& kind = op.kind();
  if (return_code >= 0 && kind.collect != nullptr) kind.collect(op.call, op.extra, return_code, into);
}

}  // namespace

void finish(Operation& op, PoolThread& self, int64_t return_code) {
  // From kRunning to kReturned, the other bits as they are. acq_rel: pairs with the cancellers and the ending
  // environment.
  uint64_t before = op.state.fetch_add(kReturned - kRunning, std::memory_order_acq_rel);
  if (before & kCancelling) cancel_settle(op, self);
  Leftovers leftovers;
  if (before & kUnwanted) {
    collect(op, return_code, leftovers);
    if (return_code >= 0) return_code = -ECANCELED;  // so that nobody closes the descriptors a second time
  }
  if ((before & kAbandoned) && environment_settle_abandoned(op)) collect(op, return_code, leftovers);
  if (self.own) {
    count_completed();
  } else {
    self.completed.store(self.completed.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  complete(op, return_code, Linked::kNo);
  if (before & (kUnwanted | kAbandoned)) leftovers.close(self);
}

void finish_begun(Operation& op, int64_t return_code) {
  uint64_t before = op.state.fetch_add(kReturned - kRunning, std::memory_order_acq_rel);
  if (before & kCancelling) cancel_pass();
  if (before & kAbandoned) environment_settle_abandoned(op);  // the result of such an op carries no descriptors
  count_completed();
  complete(op, return_code, Linked::kNo);
}

}  // namespace acall
