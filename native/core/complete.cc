// The completion path. See complete.h.
#include "complete.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "arenas.h"
#include "attempt.h"
#include "block.h"
#include "cancel.h"
#include "dispose.h"
#include "engine.h"
#include "environment.h"
#include "handle.h"
#include "program.h"
#include "ring.h"
#include "waiters.h"
#include "worker.h"

namespace acall {

namespace {

std::atomic<uint64_t> completed_elsewhere{0};
std::atomic<uint64_t> cancelled{0};

}  // namespace

// Length words and their kind, and a message's control bytes, from our copies to the caller's memory. Where the kernel
// refuses a size it says which one it wants; what else fails leaves them alone.
void operation_copy_back(Operation& op, int64_t return_code) {
  const bool size_refused = return_code == -E2BIG || return_code == -ERANGE || return_code == -EOVERFLOW;
  if (op.copies == nullptr || (return_code < 0 && !size_refused)) return;
  Block& block = *op.copies;
  for (uint32_t i = 0; i < block.copy_back_count; ++i) {
    const CopyBack& copy = block.copy_backs[i];
    uint64_t length = copy.length;
    if (copy.used_at != CopyBack::kWhole) {
      uint64_t used;
      memcpy(&used, block.data() + copy.used_at, sizeof used);
      if (used < length) length = used;
    }
    memcpy(reinterpret_cast<void*>(copy.to), block.data() + copy.from, length);
  }
}

void count_completed() { completed_elsewhere.fetch_add(1, std::memory_order_relaxed); }
void count_cancelled() { cancelled.fetch_add(1, std::memory_order_relaxed); }

CompletionCounts completion_counts() {
  return {completed_elsewhere.load(std::memory_order_relaxed), cancelled.load(std::memory_order_relaxed)};
}

void finish(Operation& op, Worker& self, int64_t return_code) {
  // From kRunning to kReturned, the other bits as they are. acq_rel: pairs with the cancellers and the ending
  // environment.
  uint64_t before = op.state.fetch_add(kReturned - kRunning, std::memory_order_acq_rel);
  if (before & kCancelling) cancel_settle(op, self);
  Leftovers leftovers;
  if (before & kUnwanted) {
    leftovers.take(op, return_code);
    if (return_code >= 0) return_code = -ECANCELED;  // nobody closes a second time
  }
  if ((before & kAbandoned) && environment_settle_abandoned(op)) leftovers.take(op, return_code);
  if (self.own) {
    count_completed();
  } else {
    self.completed.store(self.completed.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  complete(op, return_code, Linked::kNo);
  if (before & (kUnwanted | kAbandoned)) leftovers.close(self);
}

void complete(Operation& op, int64_t return_code, Linked linked) {
  Environment& environment = *op.environment.load(std::memory_order_relaxed);
  uint32_t facts = op.facts.load(std::memory_order_relaxed);
  if (linked == Linked::kYes) count_completed();
  if (linked == Linked::kYes && (facts & kOpProgram)) program_dropped(op);
  if (!(facts & kOpDropCopies)) operation_copy_back(op, return_code);
  if (op.slot != nullptr) {
    std::atomic_ref<uint64_t>(op.slot->return_code)
        .store(static_cast<uint64_t>(return_code), std::memory_order_relaxed);
    // release: the return code is there before the cookie; pairs with the reader's acquire load of the cookie.
    std::atomic_ref<uint64_t>(op.slot->cookie).store(op.cookie, std::memory_order_release);
  }
  bool bell = false, watched = false;
  Ring* ring = op.ring.load(std::memory_order_relaxed);
  const uint32_t programs = facts & kOpProgram ? 1 : 0;
  if (ring != nullptr && (facts & kOpNoCompletion)) {
    ring_forget(*ring, 1, programs);
  } else if (ring != nullptr) {
    bell = ring->core_owned;
    watched =
        ring_store(*ring, static_cast<uint64_t>(return_code), op.cookie, op.pin_count ? op.pins[0] : nullptr, programs);
  }
  // release: slot and ring are stored before the id counts as complete; pairs with the acquire loads in waiters.cc.
  uint64_t before = op.state.fetch_add(kDone - kReturned, std::memory_order_acq_rel);
  if (before & kWaited) wake_id_waiters(op);
  if (watched) ring_notify_watchers(*ring);
  operation_drop_resources(op);
  // The bell comes before the count goes down: a loop that finds nothing kept and no bell pending has seen every
  // result.
  if (bell) environment_bell(environment);
  // seq_cst: see environment_bell().
  if ((op.keeps_alive.exchange(0, std::memory_order_relaxed) & 1) &&
      environment.keeping_alive.fetch_sub(1, std::memory_order_seq_cst) == 1) {
    environment_bell(environment);  // a turn in which the loop may be let go; rings only if the last one has been heard
  }
  if (linked == Linked::kYes) {
    operation_unlinked(op);
  } else {
    engine_table().release(&op);
  }
  environment_release(environment);
}

void operation_drop_resources(Operation& op) {
  for (uint32_t i = 0; i < op.pin_count; ++i) arena_unpin(*op.pins[i]);
  for (uint32_t i = 0; i < op.more_pin_count; ++i) arena_unpin(*op.more_pins[i]);
  free(op.more_pins);
  block_release(op.block);
  block_release(op.copies);
  op.pin_count = op.more_pin_count = 0;
  op.more_pins = nullptr;
  op.block = op.copies = nullptr;
  if (op.handle != nullptr) handle_leave(*std::exchange(op.handle, nullptr));
}

void operation_unlinked(Operation& op) {
  if (op.releases.fetch_add(1, std::memory_order_acq_rel) == 1) engine_table().release(&op);
}

}  // namespace acall
