// The cancel signal. See cancel.h; the labels are in native/arch.
#include "cancel.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "attempt.h"
#include "complete.h"
#include "engine.h"
#include "invoke.h"
#include "threads.h"

extern "C" {
extern const char acall_cp_begin[];
extern const char acall_cp_end[];
extern const char acall_cp_cancel[];
#if defined(__x86_64__)
void acall_sigreturn();
#endif
}

namespace acall {

namespace {

// Above what libc (32..34), Java and Go use; Node and the sanitizers use no real-time signal.
constexpr int kDefaultSignal = 61;
constexpr int kLeastSignal = 35;
constexpr int kMostSignal = 64;
constexpr uint64_t kFirstRepeatNs = 500'000;
constexpr uint64_t kLastRepeatNs = 100'000'000;

int chosen_signal = kDefaultSignal;

Lock cancel_lock;
struct Pending {  // one op being cancelled; guarded by cancel_lock
  Operation* op;
  uint64_t due_ns;
  uint64_t interval_ns;
};
Pending* pending = nullptr;
uint32_t pending_count = 0;
uint32_t pending_capacity = 0;

// What the kernel takes for rt_sigaction; libc's wrapper is not used because ThreadSanitizer would defer the handler
// while a thread sits in a raw system call.
struct KernelSigaction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
#if defined(__x86_64__)
  void (*restorer)();
#endif
  uint64_t mask;
};

void on_cancel_signal(int, siginfo_t*, void* context) {
  auto* interrupted = static_cast<ucontext_t*>(context);
#if defined(__x86_64__)
  auto pc = static_cast<uintptr_t>(interrupted->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  auto pc = static_cast<uintptr_t>(interrupted->uc_mcontext.pc);
#endif
  // Before the instruction nothing has happened: leave by the other door. Behind it the kernel's answer stands.
  if (pc < reinterpret_cast<uintptr_t>(acall_cp_begin) || pc >= reinterpret_cast<uintptr_t>(acall_cp_end)) return;
#if defined(__x86_64__)
  interrupted->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(acall_cp_cancel));
#elif defined(__aarch64__)
  interrupted->uc_mcontext.pc = reinterpret_cast<uintptr_t>(acall_cp_cancel);
#endif
}

int kernel_sigaction(int signal, const KernelSigaction* action, KernelSigaction* old) {
  return syscall(SYS_rt_sigaction, signal, action, old, sizeof(uint64_t)) == 0 ? 0 : -errno;
}

// Nobody waits for a signal that is ignored, which a process may inherit, or that would end the process.
bool is_free(const KernelSigaction& action) {
  const auto handler = reinterpret_cast<uintptr_t>(action.handler);
  return action.handler == on_cancel_signal || handler == reinterpret_cast<uintptr_t>(SIG_DFL) ||
         handler == reinterpret_cast<uintptr_t>(SIG_IGN);
}

// 0, or -EBUSY: it has a handler of somebody else.
int take_signal(int signal, const KernelSigaction& action) {
  KernelSigaction old{};
  if (int error = kernel_sigaction(signal, nullptr, &old); error != 0) return error;
  if (!is_free(old)) return -EBUSY;
  if (int error = kernel_sigaction(signal, &action, &old); error != 0) return error;
  if (is_free(old)) return 0;
  // Somebody has taken it between the two calls, perhaps a copy of us in another thread: it is theirs. What they
  // send meanwhile finds our handler, which does nothing, and they send it again.
  kernel_sigaction(signal, &old, nullptr);
  return -EBUSY;
}

void send(Operation& op) {
  Worker* worker = op.worker.load(std::memory_order_acquire);
  if (worker == nullptr) return;
  // Seen by the stub before the instruction; the signal covers the rest.
  worker->cancel_word.store(1, std::memory_order_seq_cst);
  pid_t tid = worker->tid.load(std::memory_order_acquire);
  if (tid != 0) syscall(SYS_tgkill, getpid(), tid, chosen_signal);
}

void remember(Operation& op, uint64_t now_ns) {
  if (pending_count == pending_capacity) {
    uint32_t capacity = pending_capacity ? pending_capacity * 2 : 64;
    auto* grown = static_cast<Pending*>(realloc(pending, sizeof(Pending) * capacity));
    if (grown == nullptr) return;  // signalled once, which is enough but for a call that swallows the signal
    pending = grown;
    pending_capacity = capacity;
  }
  pending[pending_count++] = {&op, now_ns + kFirstRepeatNs, kFirstRepeatNs};
}

void forget(Operation& op) {
  for (uint32_t i = 0; i < pending_count; ++i) {
    if (pending[i].op != &op) continue;
    pending[i] = pending[--pending_count];
    return;
  }
}

}  // namespace

int cancel_signal() { return chosen_signal; }
uint64_t cancel_signal_bit() { return 1ull << (chosen_signal - 1); }

int cancel_install() {
  int first = kDefaultSignal;
  if (const char* wanted = getenv("ACALL_SIGNAL")) {  // NOLINT(concurrency-mt-unsafe): once, before any thread
    char* end = nullptr;
    long number = strtol(wanted, &end, 10);
    if (end != wanted && *end == '\0' && number >= kLeastSignal && number <= kMostSignal) {
      first = static_cast<int>(number);
    }
  }
  KernelSigaction action{};
  action.handler = on_cancel_signal;
  action.flags = SA_SIGINFO;  // no SA_RESTART: a call must come back
#if defined(__x86_64__)
  action.flags |= 0x04000000;  // SA_RESTORER
  action.restorer = acall_sigreturn;
#endif
  action.mask = ~0ull;
  // Downward, and from the top again: another copy of us, or somebody else, may have taken some.
  constexpr int kSignals = kMostSignal - kLeastSignal + 1;
  int error = -EBUSY;
  for (int i = 0; i < kSignals; ++i) {
    const int signal = kLeastSignal + (first - kLeastSignal - i + kSignals) % kSignals;
    error = take_signal(signal, action);
    if (error == 0) chosen_signal = signal;
    if (error != -EBUSY) break;
  }
  return error;
}

bool cancel_handler_is_ours() {
  KernelSigaction current{};
  return kernel_sigaction(chosen_signal, nullptr, &current) == 0 && current.handler == on_cancel_signal;
}

int cancel_operation(Operation& op, uint64_t sequence) {
  uint64_t now_ns = seams.now_ns();
  bool was_queued = false;
  JobFlag* job = nullptr;
  {
    Hold hold(cancel_lock);
    uint64_t state = op.state.load(std::memory_order_acquire);
    for (;;) {
      if (state >> kStateBits != sequence || (state & kDone)) return -ENOENT;
      if (state & kReturned) return -EALREADY;
      if (state & kCancelling) return 0;
      was_queued = state & kQueued;
      if (op.facts.load(std::memory_order_relaxed) & kOpJob) {
        // A helper in the queue still runs: the job counts on it. Only raise the flag.
        if (!op.state.compare_exchange_weak(state, state | kCancelling, std::memory_order_acq_rel)) continue;
        auto* flag = static_cast<JobFlag*>(op.extra);
        flag->cancelled.store(1, std::memory_order_seq_cst);
        if (was_queued) return 0;
        if (flag->interrupt != nullptr && !(op.facts.load(std::memory_order_relaxed) & kOpPool)) {
          job = flag;
          block_reference(*job->block);  // the op cannot end before we let go of the lock, and then this keeps the flag
        }
        break;
      }
      const uint32_t facts = op.facts.load(std::memory_order_relaxed);
      if (!was_queued && (facts & kOpUninterruptible) && !(facts & kOpProgram)) return -EALREADY;
      uint64_t wanted = was_queued ? (state & ~kPhaseMask) | kReturned : state | kCancelling;
      if (op.state.compare_exchange_weak(state, wanted, std::memory_order_seq_cst)) break;
    }
    // A program in an atom that is never interrupted looks at its state behind it. seq_cst: pairs with
    // Interpreter::show().
    constexpr uint32_t kInClose = kOpProgram | kOpUninterruptible;
    if (!was_queued && (op.facts.load(std::memory_order_seq_cst) & kInClose) != kInClose) {
      // The thread cannot pass cancel_settle() before we let go of the lock: op and worker stay what they are.
      send(op);
      remember(op, now_ns);
    }
  }
  count_cancelled();
  if (was_queued) {
    complete(op, cancelled_result(op), Linked::kYes);
  } else {
    supervisor_wake();
  }
  if (job != nullptr) {
    job->interrupt(*job);
    block_release(job->block);
  }
  return 0;
}

void cancel_forget(Operation& op) {
  Hold hold(cancel_lock);
  forget(op);
}

void cancel_settle(Operation& op, Worker& self) {
  {
    Hold hold(cancel_lock);
    forget(op);
    self.cancel_word.store(0, std::memory_order_relaxed);
  }
  // Nobody signals for this op any more. What was sent is delivered when this call returns to user space, at the
  // latest.
  syscall(SYS_getppid);
}

uint64_t cancel_repeat(uint64_t now_ns) {
  Hold hold(cancel_lock);
  uint64_t next_ns = UINT64_MAX;
  for (uint32_t i = 0; i < pending_count; ++i) {
    Pending& entry = pending[i];
    if (entry.due_ns <= now_ns) {
      send(*entry.op);
      if (entry.interval_ns < kLastRepeatNs) entry.interval_ns *= 2;
      entry.due_ns = now_ns + entry.interval_ns;
    }
    if (entry.due_ns - now_ns < next_ns) next_ns = entry.due_ns - now_ns;
  }
  return next_ns;
}

}  // namespace acall
