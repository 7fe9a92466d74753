// Preloaded: takes the signal that ACALL_TEST_TAKEN names before anybody else does, as a library in the same process might.
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>

static void handle(int number) { (void)number; }

__attribute__((constructor)) static void take(void) {
  const char* text = getenv("ACALL_TEST_TAKEN");
  struct sigaction action = {.sa_handler = handle};
  if (text != NULL) sigaction(atoi(text), &action, NULL);
}
