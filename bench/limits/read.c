// The limit of `readFiles`: every file of a list, whole, on 1..64 threads that claim chunks and keep what they read:
// open, read until nothing comes, close, and a copy of the right size. Threads share one counter and write their own
// rows. `cold` first drops what the kernel has of the files, outside of the time. read WARMUP_RUNS WARMUP_MS RUNS
// RUNS_MS PATHS_FILE THREADS warm|cold
#define _GNU_SOURCE
#include <stdatomic.h>

#include "limit.h"

enum { kChunk = 16, kScratch = 64 * 1024 };

typedef struct {
  char* data;
  ssize_t length;
} Content;

typedef struct {
  Paths paths;
  unsigned threads;
  bool cold;
  atomic_size_t next;
  Content* content;
  char seen[96];
} Job;

static void one(Content* into, const char* path, char* scratch) {
  into->length = -1;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t total = 0;
  for (;;) {
    ssize_t got = read(fd, scratch + total, (size_t)(kScratch - total));
    if (got < 0 || total + got == kScratch) die(path);  // the tree has small files
    if (got == 0) break;
    total += got;
  }
  close(fd);
  into->data = malloc(total > 0 ? (size_t)total : 1);
  if (!into->data) die("malloc");
  memcpy(into->data, scratch, (size_t)total);
  into->length = total;
}

static void* work(void* context) {
  Job* job = context;
  char* scratch = must_alloc(kScratch);
  for (;;) {
    size_t begin = atomic_fetch_add_explicit(&job->next, kChunk, memory_order_relaxed);
    if (begin >= job->paths.count) break;
    size_t end = begin + kChunk < job->paths.count ? begin + kChunk : job->paths.count;
    for (size_t i = begin; i < end; i++) one(&job->content[i], job->paths.path[i], scratch);
  }
  free(scratch);
  return NULL;
}

static void forget(void) {
  sync();
  int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "3", 1) != 1) die("/proc/sys/vm/drop_caches");
  close(fd);
}

static const char* body(void* context) {
  Job* job = context;
  atomic_store(&job->next, 0);
  on_threads(job->threads, work, job);
  size_t files = 0, bytes = 0;
  for (size_t i = 0; i < job->paths.count; i++) {
    if (job->content[i].length < 0) continue;
    files++;
    bytes += (size_t)job->content[i].length;
  }
  snprintf(job->seen, sizeof job->seen, "\"files\":%zu,\"bytes\":%zu", files, bytes);
  return job->seen;
}

static void let_go(void* context) {
  Job* job = context;
  for (size_t i = 0; i < job->paths.count; i++) {
    free(job->content[i].data);
    job->content[i].data = NULL;
  }
  if (job->cold) forget();
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 3);
  static Job job;
  job.paths = load_paths(argv[5]);
  job.threads = (unsigned)atoi(argv[6]);
  job.cold = strcmp(argv[7], "cold") == 0;
  job.content = must_alloc(job.paths.count * sizeof *job.content);
  measure_after(budget, let_go, body, &job);
  return 0;
}
