// The limit of a trivial call: getppid(2) in a loop, OPS of them shared by 1..64 threads.
// getppid WARMUP_RUNS WARMUP_MS RUNS RUNS_MS OPS THREADS
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>

#include "limit.h"

typedef struct {
  uint64_t ops;
  unsigned threads;
  atomic_ullong right;
  char seen[48];
} Job;

static void* work(void* context) {
  Job* job = context;
  long parent = getppid();
  uint64_t right = 0;
  for (uint64_t i = 0; i < job->ops / job->threads; i++) right += syscall(SYS_getppid) == parent;
  atomic_fetch_add(&job->right, right);
  return NULL;
}

static const char* body(void* context) {
  Job* job = context;
  atomic_store(&job->right, 0);
  on_threads(job->threads, work, job);
  snprintf(job->seen, sizeof job->seen, "\"ops\":%llu", atomic_load(&job->right));
  return job->seen;
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 2);
  static Job job;
  job.ops = strtoull(argv[5], NULL, 10);
  job.threads = (unsigned)atoi(argv[6]);
  if (job.threads < 1 || job.threads > 64) return 2;
  measure(budget, body, &job);
  return 0;
}
