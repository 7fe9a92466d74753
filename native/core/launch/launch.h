// The one way in: an op gets its record, its ring and its place among those that keep the event loop alive, becomes
// visible, and goes to the threads; what was not accepted is given back. One Launch is one submission, of one op or of
// many, on the stack of the thread that makes it: the environment's, or one that holds an op of the environment.
#ifndef ACALL_CORE_LAUNCH_LAUNCH_H_
#define ACALL_CORE_LAUNCH_LAUNCH_H_

#include <cstdint>
#include <utility>

#include "base/intrusive_list.h"
#include "op/environment.h"
#include "op/operation.h"
#include "threads/threads.h"

namespace acall {

struct Ring;

class Launch {
 public:
  explicit Launch(Environment& environment) : environment_(environment) {}
  ~Launch();
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  // Stays with the threads until the launch is over, so that there is one for whatever it sends. False: no thread of
  // ours lives and none can be started.
  bool enter() {
    if (!entered_) entered_ = threads_enter();
    return entered_;
  }

  // Takes up to `wanted` records, all those before being in use. Returns how many; fewer only when memory is short.
  uint32_t allocate(uint32_t wanted);
  // One of them, to be filled by the caller.
  Operation& next() {
    Operation& op = *std::exchange(free_, free_->next);
    op.environment.store(&environment_, std::memory_order_relaxed);
    return op;
  }
  // Not accepted after all. What the op holds is let go of when the launch is over.
  void refuse(Operation& op);

  // So many ops of the launch complete in this ring of the core's. False: no memory.
  bool into(Ring& ring, uint32_t ops);
  // The environment's thread: so many of the ops to be published keep the event loop alive.
  void keep_alive(uint32_t ops) { environment_keep_alive(environment_, ops); }
  // The op is accepted: from here on others can see it, cancel it, and wait for it. Nobody runs it before send().
  void publish(Operation& op, bool keeps_alive, uint64_t phase = kQueued) {
    if (expected_ > 0) {
      op.ring.store(ring_, std::memory_order_relaxed);
      --expected_;
    }
    bind(op, keeps_alive);
    OperationTable::publish(op, phase);
  }
  // Both, for one op.
  void accept(Operation& op, bool keeps_alive) {
    if (keeps_alive) keep_alive(1);
    publish(op, keeps_alive);
  }
  // A published op, to the threads. Ops for the pool go there together, at the end of the launch or with flush(). An op
  // for which no thread can be had completes with -EAGAIN, here.
  void send(Operation& op) {
    if (!enter()) {
      give_up(op);
    } else if (op.facts.load(std::memory_order_relaxed) & kOpPool) {
      for_pool_.push_back(op);
    } else {
      threads_submit_own(&op);
    }
  }
  void flush() { dispatch(false); }

  // Instead of publish(): nobody else has seen the op, and the calling thread has its result.
  void complete_here(Operation& op, int64_t result, uint64_t id_address = 0);

  // An accepted op's id, to where its submitter wants it (0: nowhere). From here on others can wait for it.
  static void write_id(const Operation& op, uint64_t address);

 private:
  void bind(Operation& op, bool keeps_alive) {
    op.keeps_alive.store((op.sequence() << kStateBits) | (keeps_alive ? 1 : 0), std::memory_order_relaxed);
    --records_;
    ++accepted_;
  }
  static void give_up(Operation& op);
  void dispatch(bool leave);

  Environment& environment_;
  Ring* ring_ = nullptr;
  Operation* free_ = nullptr;  // allocated and not taken, linked by `next`
  Stack<Operation> refused_;   // taken and not accepted
  uint32_t records_ = 0;       // allocated and not accepted: each has a reference of the environment
  uint32_t expected_ = 0;      // by the ring, and not accepted
  uint32_t accepted_ = 0;      // and not yet counted
  Queue<Operation> for_pool_;
  bool entered_ = false;
};

// An op that nobody waits for, on a pool thread, also after the environment's end. The memory of the call goes to it if
// it is taken; false: it is not.
bool launch_detached(Environment& environment, const BackEnd& kind, void* extra, uint64_t cookie, const Call& call);

// Ops that have ever been accepted.
uint64_t launched_ops();

}  // namespace acall

#endif  // ACALL_CORE_LAUNCH_LAUNCH_H_
