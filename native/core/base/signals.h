// The cancel signal, and the signals that no call of an op may block or wait for. Any thread may read; the cancel
// signal is chosen once, before the first of acall's threads starts.
#ifndef ACALL_CORE_BASE_SIGNALS_H_
#define ACALL_CORE_BASE_SIGNALS_H_

#include <cstdint>

namespace acall {

// The signal that interrupts calls. cancel_install() chooses it.
int cancel_signal();
void choose_cancel_signal(int signal);

// Signals that no mask or set of a call may contain, as bits of a kernel sigset: the cancel signal, and those between
// the kernel's first real-time signal and libc's SIGRTMIN. libc cancels threads with them and reaches every thread for
// set*id(), which waits for an answer from each.
uint64_t reserved_signals();

}  // namespace acall

#endif  // ACALL_CORE_BASE_SIGNALS_H_
