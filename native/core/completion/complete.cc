// The completion path. See complete.h.
#include "completion/complete.h"

#include <utility>

#include "completion/environment_results.h"
#include "completion/ring.h"
#include "completion/waiters.h"
#include "op/environment.h"
#include "op/handle.h"

namespace acall {

namespace {

std::atomic<uint64_t> completed_elsewhere{0};
std::atomic<uint64_t> cancelled{0};

// The handle that the op uses, if its close has waited for this op.
OpenHandle* leave_handle(Operation& op) {
  OpenHandle* handle = std::exchange(op.handle, nullptr);
  return handle != nullptr && handle_leave(*handle) ? handle : nullptr;
}

}  // namespace

void count_completed() { completed_elsewhere.fetch_add(1, std::memory_order_relaxed); }
void count_cancelled() { cancelled.fetch_add(1, std::memory_order_relaxed); }

CompletionCounts completion_counts() {
  return {completed_elsewhere.load(std::memory_order_relaxed), cancelled.load(std::memory_order_relaxed)};
}

void complete(Operation& op, int64_t return_code, Linked linked) {
  Environment& environment = *op.environment.load(std::memory_order_relaxed);
  uint32_t facts = op.facts.load(std::memory_order_relaxed);
  const BackEnd& kind = op.kind();
  if (linked == Linked::kYes) count_completed();
  if (linked == Linked::kYes && kind.dropped != nullptr) kind.dropped(op);
  if (!(facts & kOpDropCopies)) op.call.copy_back(return_code);
  // Before the result can be seen: who has it finds the descriptor unused by this op.
  OpenHandle* closing = leave_handle(op);
  if (op.slot != nullptr) {
    std::atomic_ref<uint64_t>(op.slot->return_code)
        .store(static_cast<uint64_t>(return_code), std::memory_order_relaxed);
    // release: the return code is there before the cookie; pairs with the reader's acquire load of the cookie.
    std::atomic_ref<uint64_t>(op.slot->cookie).store(op.cookie, std::memory_order_release);
  }
  bool bell = false, watched = false;
  Ring* ring = op.ring.load(std::memory_order_relaxed);
  const uint32_t programs = kind.is_awaited ? 1 : 0;
  if (ring != nullptr && (facts & kOpNoCompletion)) {
    ring_forget(*ring, 1, programs);
  } else if (ring != nullptr) {
    bell = ring->core_owned;
    watched = ring_store(*ring, static_cast<uint64_t>(return_code), op.cookie,
                         op.call.pin_count ? op.call.pins[0] : nullptr, programs);
  }
  // release: slot and ring are stored before the id counts as complete; pairs with the acquire loads in waiters.cc.
  uint64_t before = op.state.fetch_add(kDone - kReturned, std::memory_order_acq_rel);
  if (before & kWaited) wake_id_waiters(op);
  if (watched) ring_notify_watchers(*ring);
  op.call.drop();
  if (closing != nullptr) handle_send_close(*closing);
  // The bell rings before the count goes down: an event loop that finds no op that keeps it alive, and no bell pending,
  // has seen every result.
  if (bell) environment_bell(environment);
  // seq_cst: see environment_bell().
  if ((op.keeps_alive.exchange(0, std::memory_order_relaxed) & 1) &&
      environment.keeping_alive.fetch_sub(1, std::memory_order_seq_cst) == 1) {
    environment_bell(environment);  // in the turn that follows, the loop may find that nothing keeps it alive
  }
  if (linked == Linked::kYes) {
    operation_unlinked(op);
  } else {
    operation_table().release(&op);
  }
  environment_release(environment);
}

void operation_drop_resources(Operation& op) {
  op.call.drop();
  if (OpenHandle* closing = leave_handle(op)) handle_send_close(*closing);
}

void operation_unlinked(Operation& op) {
  if (op.releases.fetch_add(1, std::memory_order_acq_rel) == 1) operation_table().release(&op);
}

}  // namespace acall
