// Own threads: one for each op that is not for the pool. When none can be had, ops wait in order. Entered by submitting
// threads, own threads and the supervisor; the lock of ThreadsState guards the queue. See threads.h.
#include "base/seams.h"
#include "completion/complete.h"
#include "threads/threads.h"
#include "threads/threads_state.h"

namespace acall {

namespace {

constexpr size_t kOwnStack = size_t{64} * 1024;

void* own_main(void* argument) {
  PoolThread self;  // on the stack: cancellers use it only under cancel_lock and while the op runs
  self.own = true;
  thread_begin(self, "acall-own");
  run_operation(*static_cast<Operation*>(argument), self);
  bool others_wait;
  {
    Hold hold(threads.lock);
    --threads.own_threads;
    others_wait = !threads.own_queue.is_empty();
  }
  if (others_wait) supervisor_wake();
  return nullptr;
}

// The caller has counted the thread. False: no thread can be had, and nothing has changed.
bool start_own_thread(Operation* op) { return seams.start_thread(kOwnStack, own_main, op) == 0; }

}  // namespace

bool own_start_waiting() {
  for (;;) {
    Operation* op;
    {
      Hold hold(threads.lock);
      if (threads.own_queue.is_empty()) return false;
      if (!threads.may_start_own()) return true;
      op = threads.own_queue.pop();
      if (!(op->state.load(std::memory_order_acquire) & kQueued)) {  // cancelled
        operation_unlinked(*op);
        continue;
      }
      ++threads.own_threads;
    }
    if (start_own_thread(op)) continue;
    Hold hold(threads.lock);
    --threads.own_threads;
    threads.own_queue.push_front(*op);
    return true;
  }
}

void threads_submit_own(Operation* op) {
  {
    Hold hold(threads.lock);
    if (!threads.own_queue.is_empty() || !threads.may_start_own()) {
      threads.own_queue.push_back(*op);
      op = nullptr;
    } else {
      ++threads.own_threads;
    }
  }
  if (op != nullptr) {
    if (start_own_thread(op)) return;
    Hold hold(threads.lock);
    --threads.own_threads;
    threads.own_queue.push_back(*op);
  }
  supervisor_wake();
}

}  // namespace acall
