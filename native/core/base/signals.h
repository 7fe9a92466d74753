// The signals that nobody may block, or wait for, on a thread of ours or in a call of ours.
#ifndef ACALL_CORE_BASE_SIGNALS_H_
#define ACALL_CORE_BASE_SIGNALS_H_

#include <cstdint>

namespace acall {

// The one that interrupts calls. Chosen once, before the first of our threads starts: cancel.h.
int cancel_signal();
void choose_cancel_signal(int signal);

// Signals that no mask or set of a call may hold, as bits of a kernel sigset: ours, and those between the kernel's
// first real-time signal and libc's SIGRTMIN, by which libc reaches every thread (set*id waits for an answer from each)
// and cancels.
uint64_t reserved_signals();

}  // namespace acall

#endif  // ACALL_CORE_BASE_SIGNALS_H_
