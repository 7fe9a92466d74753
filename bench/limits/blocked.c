// The limit of many blocked calls: threads with stacks of 64 KiB, each in read(2) of a pipe that nothing comes through. All
// have blocked when /proc says so of each; resident memory is VmRSS.
// blocked WARMUP_RUNS WARMUP_MS RUNS RUNS_MS THREADS
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>

#include "limit.h"

static int ends[2];

typedef struct {
  unsigned threads;
  int* ids;
  atomic_uint started;
  char seen[96];
} Job;

static void* work(void* context) {
  Job* job = context;
  char byte;
  job->ids[atomic_fetch_add(&job->started, 1)] = (int)syscall(SYS_gettid);
  if (read(ends[0], &byte, 1) < 0) die("read");
  return NULL;
}

static long resident_kib(void) {
  long pages = 0;
  FILE* file = fopen("/proc/self/statm", "re");
  if (!file || fscanf(file, "%*d %ld", &pages) != 1) die("/proc/self/statm");
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool has_blocked(int id) {
  char path[64], text[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", id);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  text[got < 0 ? 0 : got] = 0;
  return text[0] >= '0' && text[0] <= '9' && atoi(text) == SYS_read;
}

static const char* body(void* context) {
  Job* job = context;
  long before = resident_kib();
  uint64_t begin = now_ns();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  for (unsigned i = 0; i < job->threads; i++) {
    pthread_t thread;
    if ((errno = pthread_create(&thread, &attributes, work, job))) die("pthread_create");
  }
  while (atomic_load(&job->started) < job->threads) usleep(100);
  for (unsigned i = 0; i < job->threads; i++) {
    while (!has_blocked(job->ids[i])) {
    }
  }
  double ms = (double)(now_ns() - begin) / 1e6;
  snprintf(job->seen, sizeof job->seen, "\"blocked\":%u,\"ms\":%.1f,\"each\":%.2f", job->threads, ms,
           (double)(resident_kib() - before) / job->threads);
  return job->seen;
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 1);
  static Job job;
  job.threads = (unsigned)atoi(argv[5]);
  if (job.threads < 1) return 2;
  job.ids = must_alloc(job.threads * sizeof *job.ids);
  if (pipe(ends)) die("pipe");
  measure(budget, body, &job);
  return 0;
}
