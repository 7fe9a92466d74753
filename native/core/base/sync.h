// Synchronisation for all of the core: a lock for regions of a few instructions, and a parker, where one thread sleeps
// until another wakes it. Both are plain data without a destructor, so that the engine can outlive exit().
#ifndef ACALL_CORE_BASE_SYNC_H_
#define ACALL_CORE_BASE_SYNC_H_

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>

namespace acall {

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A lock for a handful of instructions. A waiter spins for a short time and then sleeps on the word: where there are
// more threads than cores, spinning would keep the holder from its core. States: 0 free, 1 held, 2 held with sleepers.
class Lock {
 public:
  void lock() {
    uint32_t expected = 0;
    // acquire pairs with the release in unlock().
    if (word_.compare_exchange_strong(expected, 1, std::memory_order_acquire)) return;
    lock_slow();
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2) {
      syscall(SYS_futex, &word_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
    }
  }

 private:
  void lock_slow() {
    for (int spin = 0; spin < 60; ++spin) {
      uint32_t expected = 0;
      if (word_.load(std::memory_order_relaxed) == 0 &&
          word_.compare_exchange_weak(expected, 1, std::memory_order_acquire)) {
        return;
      }
      cpu_relax();
    }
    while (word_.exchange(2, std::memory_order_acquire) != 0) {
      syscall(SYS_futex, &word_, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, nullptr, nullptr, 0);
    }
  }
  std::atomic<uint32_t> word_{0};
};

class Hold {
 public:
  explicit Hold(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Hold() { lock_.unlock(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  Lock& lock_;
};

// One thread sleeps here, any thread wakes it. A wake that comes before the sleep is kept. States: 0 nothing, 1 woken,
// 2 asleep. A wake enters the kernel only when the thread sleeps.
class Parker {
 public:
  // Returns true when woken, false when it timed out first (timeout_ns 0: never).
  bool park(uint64_t timeout_ns) {
    uint32_t state = 0;
    // acquire pairs with the release in unpark(): what a waker wrote before the wake is seen after it.
    if (!word_.compare_exchange_strong(state, 2, std::memory_order_acquire)) {
      // An exchange and no store: a second wake may have come since, and what its waker wrote must be seen too.
      word_.exchange(0, std::memory_order_acquire);
      return true;
    }
    timespec limit{static_cast<time_t>(timeout_ns / 1'000'000'000), static_cast<long>(timeout_ns % 1'000'000'000)};
    for (;;) {
      long rc =
          syscall(SYS_futex, &word_, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, timeout_ns ? &limit : nullptr, nullptr, 0);
      const bool timed_out = rc == -1 && errno == ETIMEDOUT;
      if (timed_out || word_.load(std::memory_order_relaxed) != 2)
        return word_.exchange(0, std::memory_order_acquire) == 1;
    }
  }
  // Whether a wake has come. park() takes it.
  bool is_woken() const { return word_.load(std::memory_order_relaxed) == 1; }
  void unpark() {
    if (word_.exchange(1, std::memory_order_release) == 2) {
      syscall(SYS_futex, &word_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
    }
  }

 private:
  std::atomic<uint32_t> word_{0};
};

}  // namespace acall

#endif  // ACALL_CORE_BASE_SYNC_H_
