// The functions that the seams call in production. See seams.h.
#include "base/seams.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace acall {

namespace {

int64_t enter_kernel(CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  return acall_syscall_cp(reinterpret_cast<const volatile uint32_t*>(&word), nr, args);
}

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// All signals are blocked while the thread is cloned, so the new thread receives none before it unblocks the cancel
// signal itself.
int start_detached(size_t stack_bytes, void* (*entry)(void*), void* argument) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return EAGAIN;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // A size below the system's minimum (128 KiB on arm64) is refused, and the thread would get eight megabytes.
  const long least = sysconf(_SC_THREAD_STACK_MIN);
  if (least > 0 && static_cast<size_t>(least) > stack_bytes) stack_bytes = static_cast<size_t>(least);
  pthread_attr_setstacksize(&attributes, stack_bytes);
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, entry, argument);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  pthread_attr_destroy(&attributes);
  return error;
}

}  // namespace

constinit Seams seams = {enter_kernel, monotonic_ns, start_detached, malloc};

}  // namespace acall
