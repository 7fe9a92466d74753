// Preloaded: takes the signals that ACALL_TEST_TAKEN names (`61`, `35-64`) before anybody else does, as a library in the same
// process might; or the one that ACALL_TEST_TAKEN_LATER names, when SIGUSR2 comes. Ignores those that ACALL_TEST_IGNORED names.
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>

static int later;

static void handle(int number) { (void)number; }

static void take(int number) {
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
  sigaction(number, &action, NULL);
}

static void ignore(int number) { signal(number, SIG_IGN); }

static void each(const char* range, void (*act)(int number)) {
  if (range == NULL) return;
  char* end = NULL;
  const long first = strtol(range, &end, 10);
  const long last = *end == '-' ? strtol(end + 1, NULL, 10) : first;
  for (long number = first; number <= last; ++number) act((int)number);
}

static void take_later(int number) {
  (void)number;
  take(later);
}

__attribute__((constructor)) static void begin(void) {
  const char* then = getenv("ACALL_TEST_TAKEN_LATER");
  struct sigaction action = {.sa_handler = take_later};
  each(getenv("ACALL_TEST_TAKEN"), take);
  each(getenv("ACALL_TEST_IGNORED"), ignore);
  if (then == NULL) return;
  later = atoi(then);
  sigaction(SIGUSR2, &action, NULL);
}
