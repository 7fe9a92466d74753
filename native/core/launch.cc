// The one way in. See launch.h.
#include "launch.h"

#include <cerrno>
#include <utility>

#include "complete.h"
#include "environment.h"
#include "ring.h"
#include "threads.h"

namespace acall {

namespace {

std::atomic<uint64_t> launched{0};

// A published op that no thread can be had for after all.
void give_up(Operation& op) {
  uint64_t state = op.state.load(std::memory_order_acquire);
  while (state & kQueued) {
    if (!op.state.compare_exchange_weak(state, (state & ~kPhaseMask) | kReturned, std::memory_order_acq_rel)) continue;
    count_completed();
    complete(op, op.call.not_made(-EAGAIN), Linked::kNo);
    return;
  }
  operation_unlinked(op);  // cancelled meanwhile
}

}  // namespace

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

bool Launch::enter() {
  if (!entered_) entered_ = threads_enter();
  return entered_;
}

uint32_t Launch::allocate(uint32_t wanted) {
  const uint32_t got = operation_table().allocate(wanted, &free_);
  if (got > 0) environment_reference(environment_, got);
  records_ += got;
  return got;
}

Operation& Launch::next() {
  Operation& op = *std::exchange(free_, free_->next);
  op.environment.store(&environment_, std::memory_order_relaxed);
  return op;
}

void Launch::refuse(Operation& op) { refused_.push(op); }

bool Launch::into(Ring& ring, uint32_t ops) {
  if (!ring_expect(ring, ops)) return false;
  ring_ = &ring;
  expected_ = ops;
  return true;
}

void Launch::keep_alive(uint32_t ops) { environment_keep_alive(environment_, ops); }

void Launch::bind(Operation& op, bool keeps_alive) {
  op.keeps_alive.store((op.sequence() << kStateBits) | (keeps_alive ? 1 : 0), std::memory_order_relaxed);
  --records_;
  ++accepted_;
}

void Launch::publish(Operation& op, bool keeps_alive, uint64_t phase) {
  if (expected_ > 0) {
    op.ring.store(ring_, std::memory_order_relaxed);
    --expected_;
  }
  bind(op, keeps_alive);
  OperationTable::publish(op, phase);
}

void Launch::send(Operation& op) {
  if (!enter()) return give_up(op);
  if (!(op.facts.load(std::memory_order_relaxed) & kOpPool)) return threads_submit_own(&op);
  for_pool_.push_back(op);
}

void Launch::flush() { dispatch(false); }

void Launch::dispatch(bool leave) {
  if (accepted_ > 0) launched.fetch_add(std::exchange(accepted_, 0), std::memory_order_relaxed);
  leave = leave && entered_;
  if (!for_pool_.is_empty()) {
    threads_submit_pool(for_pool_, leave);
  } else if (leave) {
    threads_leave();
  }
}

void Launch::complete_here(Operation& op, int64_t result) {
  bind(op, false);
  op.state.store((op.sequence() << kStateBits) | kReturned, std::memory_order_release);
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
