// The one way in. An op gets its record and its ring, is counted among those that keep the event loop alive, becomes
// visible, and goes to the threads; records of ops that were not accepted are given back. A Launch is one submission,
// of one op or of many, on the stack of the thread that makes it: the environment's thread, or one that has a reference
// to the environment. No lock.
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

  // Makes sure that the supervisor runs, and that it stays until the launch is over. False: no thread of acall lives
  // and none can be started.
  bool enter() {
    if (!entered_) entered_ = threads_enter();
    return entered_;
  }

  // Takes up to `wanted` records, when next() has given all earlier ones. Returns how many; fewer only when memory is
  // short.
  uint32_t allocate(uint32_t wanted);
  // One of these records, to be filled by the caller.
  Operation& next() {
    Operation& op = *std::exchange(free_, free_->next);
    op.environment.store(&environment_, std::memory_order_relaxed);
    return op;
  }
  // The op is not accepted. Its memory and its handle are released when the launch is over.
  void refuse(Operation& op);

  // The next `ops` ops to be published complete in this ring of the core. False: no memory.
  bool into(Ring& ring, uint32_t ops);
  // The environment's thread: `ops` of the ops to be published keep the event loop alive.
  void keep_alive(uint32_t ops) { environment_keep_alive(environment_, ops); }
  // The op is accepted: from here on other threads can see, cancel and await it. No thread runs it before send().
  void publish(Operation& op, bool keeps_alive, uint64_t phase = kQueued) {
    if (expected_ > 0) {
      op.ring.store(ring_, std::memory_order_relaxed);
      --expected_;
    }
    bind(op, keeps_alive);
    OperationTable::publish(op, phase);
  }
  // keep_alive() and publish() for one op.
  void accept(Operation& op, bool keeps_alive) {
    if (keeps_alive) keep_alive(1);
    publish(op, keeps_alive);
  }
  // Sends a published op to the threads. Ops for the pool go there together, at the end of the launch or with flush().
  // An op for which no thread can be had completes here, with -EAGAIN.
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

  // Instead of publish(), for an op whose result the calling thread has and that no other thread has seen.
  void complete_here(Operation& op, int64_t result, uint64_t id_address = 0);

  // Writes an accepted op's id to `address`; 0: nowhere. From here on other threads can wait for the op.
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
  Operation* free_ = nullptr;  // records that next() has not given, linked by `next`
  Stack<Operation> refused_;
  uint32_t records_ = 0;   // allocated and not accepted: each has a reference of the environment
  uint32_t expected_ = 0;  // ops that the ring has counted and that are not yet accepted
  uint32_t accepted_ = 0;  // ops that are accepted and not yet in `launched`
  Queue<Operation> for_pool_;
  bool entered_ = false;
};

// Starts an op that nobody waits for and that runs on a pool thread, also after the environment's end. The op takes
// over the memory of the call. False: no memory, or no thread can be had; the memory stays the caller's.
bool launch_detached(Environment& environment, const BackEnd& kind, void* extra, uint64_t cookie, const Call& call);

// Ops that have ever been accepted.
uint64_t launched_ops();

}  // namespace acall

#endif  // ACALL_CORE_LAUNCH_LAUNCH_H_
