// The limit of `readFiles`: every file of a list into memory of its own, on 1..64 threads that claim chunks. open, fstat,
// read, close, as node:fs does; the buffers are kept until the run ends, as a caller of readFiles keeps his. Threads
// share one counter; each writes its own rows. read WARMUP_RUNS WARMUP_MS RUNS RUNS_MS PATHS_FILE THREADS
#define _GNU_SOURCE
#include <stdatomic.h>

#include "limit.h"

enum { kChunk = 64 };

typedef struct {
  Paths paths;
  unsigned threads;
  atomic_size_t next;
  char** data;
  size_t* length;
  char seen[96];
} Job;

static void read_one(Job* job, size_t i) {
  const char* path = job->paths.path[i];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info)) die(path);
  char* data = malloc(info.st_size ? (size_t)info.st_size : 1);
  if (!data) die("malloc");
  size_t length = 0;
  while (length < (size_t)info.st_size) {
    ssize_t got = read(fd, data + length, (size_t)info.st_size - length);
    if (got <= 0) die(path);
    length += (size_t)got;
  }
  close(fd);
  job->data[i] = data;
  job->length[i] = length;
}

static void* work(void* context) {
  Job* job = context;
  for (;;) {
    size_t begin = atomic_fetch_add_explicit(&job->next, kChunk, memory_order_relaxed);
    if (begin >= job->paths.count) return NULL;
    size_t end = begin + kChunk < job->paths.count ? begin + kChunk : job->paths.count;
    for (size_t i = begin; i < end; i++) read_one(job, i);
  }
}

static const char* body(void* context) {
  Job* job = context;
  for (size_t i = 0; i < job->paths.count; i++) free(job->data[i]);  // of the run before: reused, as by a collector
  atomic_store(&job->next, 0);
  on_threads(job->threads, work, job);
  size_t bytes = 0;
  for (size_t i = 0; i < job->paths.count; i++) bytes += job->length[i];
  snprintf(job->seen, sizeof job->seen, "\"files\":%zu,\"bytes\":%zu", job->paths.count, bytes);
  return job->seen;
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 2);
  static Job job;
  job.paths = load_paths(argv[5]);
  job.threads = (unsigned)atoi(argv[6]);
  job.data = must_alloc(job.paths.count * sizeof *job.data);
  job.length = must_alloc(job.paths.count * sizeof *job.length);
  measure(budget, body, &job);
  return 0;
}
