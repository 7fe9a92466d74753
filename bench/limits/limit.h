// What every C limit program shares: the clock, the list of paths, and the loop that warms up, measures and prints JSON
// lines, {"ns": nanoseconds, "seen": {...}}: one for the first run of the process, one for each measured run. The Node
// drivers have the same budget (runs, and a time after which no further run is started), see ../harness/budget.mjs.
// Only main's thread enters measure().
#ifndef ACALL_BENCH_LIMIT_H_
#define ACALL_BENCH_LIMIT_H_

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  unsigned warmup_runs, warmup_ms, runs, runs_ms;
} Budget;

// Runs once and returns, as text, the JSON members that say what was seen: "\"files\":3,\"bytes\":9".
typedef const char* (*Body)(void* context);

static inline uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

_Noreturn static inline void die(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline void* must_alloc(size_t bytes) {
  void* memory = calloc(1, bytes ? bytes : 1);
  if (!memory) die("calloc");
  return memory;
}

// The first four arguments of every program, see run.mjs.
static inline Budget budget_of(int argc, char** argv, int needed) {
  if (argc < 5 + needed) {
    fprintf(stderr, "usage: %s WARMUP_RUNS WARMUP_MS RUNS RUNS_MS ...\n", argv[0]);
    exit(2);
  }
  Budget budget = {(unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4])};
  return budget;
}

static inline void print_run(uint64_t ns, const char* seen) {
  printf("{\"ns\":%" PRIu64 ",\"seen\":{%s}}\n", ns, seen);
}

// `before` runs ahead of each run, outside of its time; NULL: nothing does.
static inline void measure_after(Budget budget, void (*before)(void* context), Body body, void* context) {
  bool is_first = true;
  for (int measured = 0; measured <= 1; measured++) {
    const unsigned runs = measured ? budget.runs : budget.warmup_runs,
                   ms = measured ? budget.runs_ms : budget.warmup_ms;
    const uint64_t begin = now_ns();
    for (unsigned i = 0; i < runs && ((measured && i == 0) || now_ns() - begin < ms * UINT64_C(1000000)); i++) {
      if (before) before(context);
      const uint64_t start = now_ns();
      const char* seen = body(context);
      const uint64_t ns = now_ns() - start;
      if (is_first) print_run(ns, seen);
      if (measured) print_run(ns, seen);
      is_first = false;
    }
  }
}

static inline void measure(Budget budget, Body body, void* context) { measure_after(budget, NULL, body, context); }

// Starts `threads` - 1 threads on `work`, does a share on this one, and joins them.
static inline void on_threads(unsigned threads, void* (*work)(void*), void* context) {
  pthread_t started[64];
  if (threads < 1 || threads > 64) threads = 1;
  for (unsigned i = 1; i < threads; i++) {
    if (pthread_create(&started[i], NULL, work, context)) die("pthread_create");
  }
  work(context);
  for (unsigned i = 1; i < threads; i++) pthread_join(started[i], NULL);
}

typedef struct {
  const char** path;
  size_t count;
} Paths;

// Reads a file of NUL-terminated paths.
static inline Paths load_paths(const char* file) {
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info)) die(file);
  char* text = must_alloc((size_t)info.st_size + 1);
  for (off_t at = 0; at < info.st_size;) {
    ssize_t got = read(fd, text + at, (size_t)(info.st_size - at));
    if (got <= 0) die(file);
    at += got;
  }
  close(fd);
  Paths paths = {NULL, 0};
  for (off_t i = 0; i < info.st_size; i++) paths.count += text[i] == 0;
  paths.path = must_alloc(paths.count * sizeof(char*));
  char* next = text;
  for (size_t i = 0; i < paths.count; i++) {
    paths.path[i] = next;
    next += strlen(next) + 1;
  }
  return paths;
}

#endif  // ACALL_BENCH_LIMIT_H_
