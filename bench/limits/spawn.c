// Times whole commands from vfork to exit, so that a rival's start-up counts and the harness's own process does not.
// The command's output goes to the file OUTPUT, truncated before each run; a command that fails ends the measurement.
// spawn WARMUP_RUNS WARMUP_MS RUNS RUNS_MS OUTPUT COMMAND [ARGS...]
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/wait.h>

#include "limit.h"

typedef struct {
  const char* output;
  char** command;
  char seen[96];
} Job;

static const char* body(void* context) {
  Job* job = context;
  int out = open(job->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (out < 0) die(job->output);
  pid_t child = vfork();
  if (child < 0) die("vfork");
  if (child == 0) {
    dup2(out, STDOUT_FILENO);
    execvp(job->command[0], job->command);
    _exit(127);
  }
  int status;
  struct rusage usage;
  while (wait4(child, &status, 0, &usage) < 0) {
    if (errno != EINTR) die("wait4");
  }
  close(out);
  if (!WIFEXITED(status) || WEXITSTATUS(status)) {
    fprintf(stderr, "%s ended with status 0x%x\n", job->command[0], (unsigned)status);
    exit(1);
  }
  snprintf(job->seen, sizeof job->seen, "\"maxRssKiB\":%ld", usage.ru_maxrss);
  return job->seen;
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 2);
  Job job = {.output = argv[5], .command = argv + 6};
  measure(budget, body, &job);
  return 0;
}
