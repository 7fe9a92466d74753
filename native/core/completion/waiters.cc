// Threads that block for completions. See waiters.h.
#include "completion/waiters.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/seams.h"
#include "base/signals.h"
#include "completion/ring.h"

namespace acall {

namespace {

Lock id_waiters_lock;  // guards Operation::waiters of every op

// The eventfd of the calling thread, made at its first wait and closed with the thread.
struct ThreadEvent {
  int fd = -1;
  ~ThreadEvent() {
    if (fd >= 0) close(fd);
  }
};
thread_local ThreadEvent thread_event;

bool open_event(Waiter& waiter) {
  if (thread_event.fd < 0) thread_event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  waiter.event_fd = thread_event.fd;
  return waiter.event_fd >= 0;
}

void clear_event(const Waiter& waiter) {
  uint64_t count;
  while (read(waiter.event_fd, &count, sizeof count) > 0) {
  }
}

// Sleeps until the waiter is woken (0), the wait times out (-ETIME), or a signal or the end of the environment comes
// (-EINTR). While the thread is not in ppoll, the signals of both masks, the old and the wanted one, are blocked; ppoll
// applies the wanted mask atomically.
class Sleep {
 public:
  explicit Sleep(const WaitLimits& limits) : limits_(limits) {
    if (limits.timeout) {
      deadline_ns_ = seams.now_ns() + static_cast<uint64_t>(limits.timeout->tv_nsec) +
                     (static_cast<uint64_t>(limits.timeout->tv_sec) > kFarSeconds
                          ? kFarSeconds * 1'000'000'000
                          : static_cast<uint64_t>(limits.timeout->tv_sec) * 1'000'000'000);
    }
    if (limits.sigmask) {
      uint64_t wanted = *limits.sigmask & ~reserved_signals();
      sigemptyset(&mask_);
      for (int signal = 1; signal <= 64; ++signal) {
        if (wanted >> (signal - 1) & 1) sigaddset(&mask_, signal);
      }
      pthread_sigmask(SIG_BLOCK, &mask_, &old_);
    }
  }
  ~Sleep() {
    if (limits_.sigmask) pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }
  Sleep(const Sleep&) = delete;
  Sleep& operator=(const Sleep&) = delete;

  bool polls_only() const { return limits_.timeout && limits_.timeout->tv_sec == 0 && limits_.timeout->tv_nsec == 0; }

  int sleep(const Waiter& waiter) {
    for (;;) {
      uint64_t slice = limits_.liveness.still_alive ? kLivenessSliceNs : UINT64_MAX;
      if (limits_.timeout) {
        uint64_t now = seams.now_ns();
        if (now >= deadline_ns_) return -ETIME;
        if (deadline_ns_ - now < slice) slice = deadline_ns_ - now;
      }
      timespec span{static_cast<time_t>(slice / 1'000'000'000), static_cast<long>(slice % 1'000'000'000)};
      pollfd event{waiter.event_fd, POLLIN, 0};
      int ready = ppoll(&event, 1, slice == UINT64_MAX ? nullptr : &span, limits_.sigmask ? &mask_ : nullptr);
      if (ready > 0) {
        clear_event(waiter);
        return 0;
      }
      if (ready < 0) return -EINTR;
      if (limits_.liveness.still_alive && !limits_.liveness.still_alive(limits_.liveness.context)) return -EINTR;
    }
  }

 private:
  static constexpr uint64_t kFarSeconds = 1'000'000'000;  // 31 years: longer time-outs are cut, so that none overflows
  const WaitLimits& limits_;
  uint64_t deadline_ns_ = 0;
  sigset_t mask_;
  sigset_t old_;
};

bool is_valid(const timespec* timeout) {
  return timeout == nullptr || (timeout->tv_sec >= 0 && timeout->tv_nsec >= 0 && timeout->tv_nsec <= 999'999'999);
}

void unlink_all(IdWaiter* nodes, uint32_t count) {
  Hold hold(id_waiters_lock);
  for (uint32_t i = 0; i < count; ++i) nodes[i].op->waiters.remove(nodes[i]);
}

// Links the node unless the op is complete. Under id_waiters_lock, which complete() takes when it finds kWaited.
bool link_node(IdWaiter& node) {
  uint64_t state = node.op->state.load(std::memory_order_acquire);
  for (;;) {
    if (state >> kStateBits != node.sequence || (state & kDone)) return false;
    if (node.op->state.compare_exchange_weak(state, state | kWaited, std::memory_order_acq_rel)) break;
  }
  node.op->waiters.push(node);
  return true;
}

}  // namespace

void Waiter::wake() {
  uint64_t one = 1;
  ssize_t written = write(event_fd, &one, sizeof one);
  static_cast<void>(written);  // EAGAIN: the counter is full, and the waiter awake
}

void wake_id_waiters(Operation& op) {
  Hold hold(id_waiters_lock);
  for (const IdWaiter& node : op.waiters) node.waiter->wake();
  // The record starts its next op without waiters. The nodes keep their links, and unlink_all() of their threads finds
  // them in no list.
  op.waiters.clear();
}

int64_t wait_for_ids(const acall_id* ids, uint32_t nr, const WaitLimits& limits) {
  if (!is_valid(limits.timeout)) return -EINVAL;
  if (nr == 0) return 0;
  OperationTable& table = operation_table();
  bool complete = false;
  for (uint32_t i = 0; i < nr; ++i) {
    Operation* op;
    uint64_t sequence;
    OperationTable::Found found = table.find(ids[i], &op, &sequence);
    if (found == OperationTable::Found::kNever) return -EINVAL;
    if (found == OperationTable::Found::kComplete) complete = true;
  }
  if (complete) return 1;
  Sleep sleep(limits);
  if (sleep.polls_only()) return 0;
  Waiter waiter;
  if (!open_event(waiter)) return -EAGAIN;
  auto* nodes = static_cast<IdWaiter*>(seams.allocate(sizeof(IdWaiter) * nr));
  if (nodes == nullptr) return -EAGAIN;
  uint32_t linked = 0;
  {
    Hold hold(id_waiters_lock);
    for (; linked < nr; ++linked) {
      IdWaiter& node = nodes[linked];
      node.waiter = &waiter;
      if (table.find(ids[linked], &node.op, &node.sequence) != OperationTable::Found::kLive || !link_node(node)) {
        complete = true;
        break;
      }
    }
  }
  int64_t result = 1;
  while (!complete) {
    int slept = sleep.sleep(waiter);
    for (uint32_t i = 0; i < nr && !complete; ++i) {
      uint64_t state = nodes[i].op->state.load(std::memory_order_acquire);
      complete = state >> kStateBits != nodes[i].sequence || (state & kDone);
    }
    if (complete || slept == 0) continue;
    result = slept == -ETIME ? 0 : slept;
    break;
  }
  unlink_all(nodes, linked);
  clear_event(waiter);  // a wake that came after the last check must not end the thread's next wait
  free(nodes);
  return result;
}

int64_t wait_for_ring(Ring& ring, uint32_t tail, uint32_t min, const WaitLimits& limits, bool for_programs) {
  if (!is_valid(limits.timeout)) return -EINVAL;
  uint32_t count;
  auto is_over = [&] {
    bool full;
    uint32_t programs;
    count = ring_count_since(ring, tail, &full, &programs);
    return count >= min || full || (for_programs && programs == 0);
  };
  if (is_over()) return count;
  Sleep sleep(limits);
  if (sleep.polls_only()) return count;
  Waiter waiter;
  if (!open_event(waiter)) return -EAGAIN;
  RingWaiter node{&waiter, tail, min, for_programs, nullptr};
  {
    Hold hold(ring.lock);
    ring.waiters.push(node);
  }
  int64_t result;
  for (;;) {
    if (is_over()) {
      result = count;
      break;
    }
    int slept = sleep.sleep(waiter);
    if (slept == 0) continue;
    result = is_over() || slept == -ETIME ? static_cast<int64_t>(count) : slept;
    break;
  }
  {
    Hold hold(ring.lock);
    ring.waiters.remove(node);
  }
  clear_event(waiter);
  return result;
}

}  // namespace acall
