// The limit of a cancel: a thread blocks in read(2) of a pipe, a signal without SA_RESTART ends the call, and the
// thread stores that in memory, which the main thread polls. cancel WARMUP_RUNS WARMUP_MS RUNS RUNS_MS ROUNDS
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "limit.h"

static int ends[2];
static atomic_int thread_id;
static atomic_uint interrupted;

static void ignore(int number) { (void)number; }

static void* work(void* unused) {
  (void)unused;
  char byte;
  atomic_store(&thread_id, (int)syscall(SYS_gettid));
  for (;;) {
    if (read(ends[0], &byte, 1) < 0 && errno == EINTR) atomic_fetch_add(&interrupted, 1);
  }
  return NULL;
}

static void until_blocked(void) {
  char path[64], text[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", atomic_load(&thread_id));
  for (int number = -1; number != SYS_read;) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) die(path);
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got < 0 ? 0 : got] = 0;
    number = text[0] >= '0' && text[0] <= '9' ? atoi(text) : -1;
  }
}

typedef struct {
  unsigned rounds;
  pthread_t thread;
  uint64_t* times;
  char seen[96];
} Job;

static int by_value(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

static const char* body(void* context) {
  Job* job = context;
  for (unsigned i = 0; i < job->rounds; i++) {
    until_blocked();
    unsigned before = atomic_load(&interrupted);
    uint64_t begin = now_ns();
    pthread_kill(job->thread, SIGRTMIN);
    while (atomic_load(&interrupted) == before) {
    }
    job->times[i] = now_ns() - begin;
  }
  qsort(job->times, job->rounds, sizeof *job->times, by_value);
  snprintf(job->seen, sizeof job->seen, "\"cancels\":%u,\"p50\":%.3f,\"p99\":%.3f", job->rounds,
           (double)job->times[job->rounds / 2] / 1e3, (double)job->times[job->rounds * 99 / 100] / 1e3);
  return job->seen;
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 1);
  static Job job;
  job.rounds = (unsigned)atoi(argv[5]);
  if (job.rounds < 1) return 2;
  job.times = must_alloc(job.rounds * sizeof *job.times);
  struct sigaction action = {.sa_handler = ignore};
  if (sigaction(SIGRTMIN, &action, NULL) || pipe(ends)) die("sigaction, pipe");
  if (pthread_create(&job.thread, NULL, work, NULL)) die("pthread_create");
  while (atomic_load(&thread_id) == 0) {
  }
  measure(budget, body, &job);
  return 0;
}
