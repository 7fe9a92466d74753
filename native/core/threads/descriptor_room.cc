// How ops wait for a descriptor. See descriptor_room.h.
#include "threads/descriptor_room.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "threads/invoke.h"

namespace acall {

namespace {

constexpr time_t kPatienceSeconds = 1;
constinit DescriptorRoom room;

}  // namespace

DescriptorRoom& descriptor_room() { return room; }

void DescriptorRoom::enter() {
  Hold hold(lock_);
  ++inside_;
}

void DescriptorRoom::leave() {
  Hold hold(lock_);
  --inside_;
  others_go_on();
}

void DescriptorRoom::notify() {
  Hold hold(lock_);
  others_go_on();
}

// An op has closed a descriptor and goes on, or has ended. Under the lock.
void DescriptorRoom::others_go_on() {
  releases_.fetch_add(1, std::memory_order_relaxed);
  ++turns_;
  in_vain_ = false;
  if (Waiter* waiter = waiting_.pop(); waiter != nullptr) {
    // The waiter lies on the stack of a thread that takes the lock before it returns, so it is still there.
    waiter->word.store(1, std::memory_order_release);
    syscall(SYS_futex, &waiter->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  }
  attention_.store(waiting_.length() + (in_vain_ ? 1 : 0), std::memory_order_relaxed);
}

bool DescriptorRoom::wait(PoolThread& self, uint64_t seen) {
  Waiter waiter;
  uint64_t turns;
  {
    Hold hold(lock_);
    if (releases_.load(std::memory_order_relaxed) != seen) return true;
    if (inside_ - waiting_.length() <= 1 || in_vain_) return false;
    releases_.fetch_add(1, std::memory_order_relaxed);  // the descriptors that this op has closed
    turns = turns_;
    waiting_.push_back(waiter);
    attention_.store(waiting_.length(), std::memory_order_relaxed);
  }
  // Through invoke(): a cancel ends the wait, and the supervisor sees that the thread is blocked.
  const timespec patience{kPatienceSeconds, 0};
  const uint64_t args[6] = {reinterpret_cast<uint64_t>(&waiter.word),
                            FUTEX_WAIT | FUTEX_PRIVATE_FLAG,
                            0,
                            reinterpret_cast<uint64_t>(&patience),
                            0,
                            0};
  const int64_t result = invoke(self, SYS_futex, args);
  Hold hold(lock_);
  if (!waiting_.remove(waiter) || result != -ETIMEDOUT) return true;  // woken or cancelled
  if (turns_ != turns) return true;  // others went on: on a busy machine it takes long until it is this op's turn
  in_vain_ = true;
  attention_.store(waiting_.length() + 1, std::memory_order_relaxed);
  return false;
}

}  // namespace acall
