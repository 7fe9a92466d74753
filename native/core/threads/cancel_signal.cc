// The signal that makes a call come back: which one it is, and its handler. See cancel.h; the labels are in
// native/arch.
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/signals.h"
#include "threads/cancel.h"

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

// Node and the sanitizers use no real-time signal.
constexpr int kLeastSignal = 35;
constexpr int kMostSignal = 64;

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

// Only what we have sent stops a call. Somebody else's signal of that number is a handler that has run, and no more.
void on_cancel_signal(int, siginfo_t* info, void* context) {
  if (info->si_code != SI_TKILL || info->si_pid != getpid()) return;
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

}  // namespace

int cancel_install() {
  int first = cancel_signal();
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
    if (error == 0) choose_cancel_signal(signal);
    if (error != -EBUSY) break;
  }
  return error;
}

bool cancel_handler_is_ours() {
  KernelSigaction current{};
  return kernel_sigaction(cancel_signal(), nullptr, &current) == 0 && current.handler == on_cancel_signal;
}

}  // namespace acall
