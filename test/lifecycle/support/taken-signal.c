// Preloaded: takes the signal that ACALL_TEST_TAKEN names before anybody else does, as a library in the same process might; or
// the one that ACALL_TEST_TAKEN_LATER names, when SIGUSR2 comes.
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>

static int later;

static void handle(int number) { (void)number; }

static void take(int number) {
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
  sigaction(number, &action, NULL);
}

static void take_later(int number) {
  (void)number;
  take(later);
}

__attribute__((constructor)) static void begin(void) {
  const char* now = getenv("ACALL_TEST_TAKEN");
  const char* then = getenv("ACALL_TEST_TAKEN_LATER");
  struct sigaction action = {.sa_handler = take_later};
  if (now != NULL) take(atoi(now));
  if (then == NULL) return;
  later = atoi(then);
  sigaction(SIGUSR2, &action, NULL);
}
