// The choice of the signal that interrupts calls, and its handler. See cancel.h; the labels are in native/arch.
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

// Real-time signals, of which Node and the sanitizers use none.
constexpr int kMinSignal = 35;
constexpr int kMaxSignal = 64;

// The kernel's structure for rt_sigaction. libc's wrapper is not used: ThreadSanitizer would defer the handler while a
// thread is in a raw system call.
struct KernelSigaction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
#if defined(__x86_64__)
  void (*restorer)();
#endif
  uint64_t mask;
};

// Only a signal that this process has sent to the thread cancels a call; any other signal of that number does nothing.
void on_cancel_signal(int, siginfo_t* info, void* context) {
  if (info->si_code != SI_TKILL || info->si_pid != getpid()) return;
  auto* interrupted = static_cast<ucontext_t*>(context);
#if defined(__x86_64__)
  auto pc = static_cast<uintptr_t>(interrupted->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  auto pc = static_cast<uintptr_t>(interrupted->uc_mcontext.pc);
#endif
  // Between the labels nothing has happened yet: the call is left through acall_cp_cancel. Behind them the result of
  // the kernel stands.
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

// A signal is free when it has no handler: it is ignored, which a process may inherit, or it would end the process.
bool is_free(const KernelSigaction& action) {
  const auto handler = reinterpret_cast<uintptr_t>(action.handler);
  return action.handler == on_cancel_signal || handler == reinterpret_cast<uintptr_t>(SIG_DFL) ||
         handler == reinterpret_cast<uintptr_t>(SIG_IGN);
}

// 0, or -EBUSY: the signal has a handler of other code.
int take_signal(int signal, const KernelSigaction& action) {
  KernelSigaction old{};
  if (int error = kernel_sigaction(signal, nullptr, &old); error != 0) return error;
  if (!is_free(old)) return -EBUSY;
  if (int error = kernel_sigaction(signal, &action, &old); error != 0) return error;
  if (is_free(old)) return 0;
  // Other code, perhaps a copy of acall in another thread, has taken the signal between the two calls, and keeps it. A
  // signal of that copy meanwhile runs this handler, which does nothing, and the copy sends it again.
  kernel_sigaction(signal, &old, nullptr);
  return -EBUSY;
}

}  // namespace

int cancel_install() {
  int first = cancel_signal();
  if (const char* wanted = getenv("ACALL_SIGNAL")) {  // NOLINT(concurrency-mt-unsafe): once, before any thread
    char* end = nullptr;
    long number = strtol(wanted, &end, 10);
    if (end != wanted && *end == '\0' && number >= kMinSignal && number <= kMaxSignal) {
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
  // Downward, and then from the top: other code, or another copy of acall, may have taken some.
  constexpr int kSignals = kMaxSignal - kMinSignal + 1;
  int error = -EBUSY;
  for (int i = 0; i < kSignals; ++i) {
    const int signal = kMinSignal + (first - kMinSignal - i + kSignals) % kSignals;
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
