// The one way in. See launch.h.
#include "launch/launch.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "completion/complete.h"
#include "completion/environment_results.h"
#include "completion/ring.h"

namespace acall {

namespace {

std::atomic<uint64_t> launched{0};

}  // namespace

void Launch::give_up(Operation& op) {
  uint64_t state = op.state.load(std::memory_order_acquire);
  while (state & kQueued) {
    if (!op.state.compare_exchange_weak(state, (state & ~kPhaseMask) | kReturned, std::memory_order_acq_rel)) continue;
    count_completed();
    complete(op, op.call.not_made(-EAGAIN), Linked::kNo);
    return;
  }
  operation_unlinked(op);  // it was cancelled meanwhile
}

Launch::~Launch() {
  dispatch(true);
  if (expected_ > 0) ring_forget(*ring_, expected_);
  while (Operation* op = refused_.pop()) {
    operation_drop_resources(*op);
    operation_table().release(op);
  }
  while (free_ != nullptr) operation_table().release(std::exchange(free_, free_->next));
  for (; records_ > 0; --records_) environment_release(environment_);
}

uint32_t Launch::allocate(uint32_t wanted) {
  const uint32_t got = operation_table().allocate(wanted, &free_);
  if (got > 0) environment_reference(environment_, got);
  records_ += got;
  return got;
}

void Launch::refuse(Operation& op) { refused_.push(op); }

bool Launch::into(Ring& ring, uint32_t ops) {
  if (!ring_expect(ring, ops)) return false;
  ring_ = &ring;
  expected_ = ops;
  return true;
}

void Launch::dispatch(bool leave) {
  if (accepted_ > 0) launched.fetch_add(std::exchange(accepted_, 0), std::memory_order_relaxed);
  leave = leave && entered_;
  if (!for_pool_.is_empty()) {
    threads_submit_pool(for_pool_, leave);
  } else if (leave) {
    threads_leave();
  }
}

void Launch::write_id(const Operation& op, uint64_t address) {
  if (address == 0) return;
  const acall_id id = operation_table().id_of(op);
  memcpy(reinterpret_cast<void*>(address), &id, sizeof id);
}

void Launch::complete_here(Operation& op, int64_t result, uint64_t id_address) {
  bind(op, false);
  op.state.store((op.sequence() << kStateBits) | kReturned, std::memory_order_release);
  write_id(op, id_address);  // before complete(): until slot and ring are stored, the id is not complete
  count_completed();
  complete(op, result, Linked::kNo);
}

bool launch_detached(Environment& environment, const BackEnd& kind, void* extra, uint64_t cookie, const Call& call) {
  Launch launch(environment);
  if (!launch.enter() || launch.allocate(1) == 0) return false;
  Operation& op = launch.next();
  op.is_a(kind);
  op.extra = extra;
  op.cookie = cookie;
  op.call = call;
  op.facts.store(kOpPool | kOpDropCopies | kOpDetached, std::memory_order_relaxed);
  launch.publish(op, false);
  launch.send(op);
  return true;
}

uint64_t launched_ops() { return launched.load(std::memory_order_relaxed); }

}  // namespace acall
