// The choice of the cancel signal. See signals.h.
#include "base/signals.h"

#include <csignal>

namespace acall {

namespace {

constexpr int kDefaultSignal = 61;  // above what libc (32..34), Java and Go use
int chosen_signal = kDefaultSignal;

}  // namespace

int cancel_signal() { return chosen_signal; }
void choose_cancel_signal(int signal) { chosen_signal = signal; }

uint64_t reserved_signals() {
  constexpr int kFirstRealTime = 32;
  uint64_t bits = 1ull << (chosen_signal - 1);
  for (int signal = kFirstRealTime; signal < SIGRTMIN; ++signal) bits |= 1ull << (signal - 1);
  return bits;
}

}  // namespace acall
