// The limit of `statMany`: every path of a list into columns, by stat(2) or statx(2), on 1..64 threads that claim
// chunks. `cached` makes the calls of an inline stat of acall: openat2(2) RESOLVE_CACHED, statx(2), close(2). Threads
// share the columns (each writes its own rows) and one counter.
// stat WARMUP_RUNS WARMUP_MS RUNS RUNS_MS PATHS_FILE THREADS stat|statx|cached [LIMIT]
#define _GNU_SOURCE
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "limit.h"

enum { kMask = STATX_BASIC_STATS | STATX_BTIME };  // what libuv asks for
enum { kChunk = 256 };  // Large enough that the counter's cache line rests, small enough to end evenly.

typedef struct {
  Paths paths;
  unsigned threads;
  enum { kStat, kStatx, kCached } by;
  atomic_size_t next;
  int32_t* error;
  double *size, *blocks, *atime_ms, *mtime_ms, *ctime_ms, *birthtime_ms;
  uint64_t *ino, *dev;
  uint32_t *mode, *nlink, *uid, *gid;
  char seen[96];
} Job;

static double ms_of_statx(struct statx_timestamp t) { return (double)t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
static double ms_of(struct timespec t) { return (double)t.tv_sec * 1e3 + t.tv_nsec / 1e6; }

static void one_statx(Job* job, size_t i) {
  struct statx s;
  if (job->by == kCached) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, job->paths.path[i], &how, sizeof how);
    job->error[i] = fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, kMask, &s) ? -errno : 0;
    if (fd >= 0) close(fd);
  } else {
    job->error[i] = statx(AT_FDCWD, job->paths.path[i], 0, kMask, &s) ? -errno : 0;
  }
  if (job->error[i]) return;
  job->size[i] = (double)s.stx_size;
  job->blocks[i] = (double)s.stx_blocks;
  job->atime_ms[i] = ms_of_statx(s.stx_atime);
  job->mtime_ms[i] = ms_of_statx(s.stx_mtime);
  job->ctime_ms[i] = ms_of_statx(s.stx_ctime);
  job->birthtime_ms[i] = ms_of_statx(s.stx_btime);
  job->ino[i] = s.stx_ino;
  job->dev[i] = makedev(s.stx_dev_major, s.stx_dev_minor);
  job->mode[i] = s.stx_mode;
  job->nlink[i] = s.stx_nlink;
  job->uid[i] = s.stx_uid;
  job->gid[i] = s.stx_gid;
}

static void one_stat(Job* job, size_t i) {
  struct stat s;
  job->error[i] = stat(job->paths.path[i], &s) ? -errno : 0;
  if (job->error[i]) return;
  job->size[i] = (double)s.st_size;
  job->blocks[i] = (double)s.st_blocks;
  job->atime_ms[i] = ms_of(s.st_atim);
  job->mtime_ms[i] = ms_of(s.st_mtim);
  job->ctime_ms[i] = ms_of(s.st_ctim);
  job->ino[i] = s.st_ino;
  job->dev[i] = s.st_dev;
  job->mode[i] = s.st_mode;
  job->nlink[i] = (uint32_t)s.st_nlink;
  job->uid[i] = s.st_uid;
  job->gid[i] = s.st_gid;
}

static void* work(void* context) {
  Job* job = context;
  for (;;) {
    size_t begin = atomic_fetch_add_explicit(&job->next, kChunk, memory_order_relaxed);
    if (begin >= job->paths.count) return NULL;
    size_t end = begin + kChunk < job->paths.count ? begin + kChunk : job->paths.count;
    for (size_t i = begin; i < end; i++) {
      if (job->by == kStat) {
        one_stat(job, i);
      } else {
        one_statx(job, i);
      }
    }
  }
}

static const char* body(void* context) {
  Job* job = context;
  atomic_store(&job->next, 0);
  on_threads(job->threads, work, job);
  size_t files = 0;
  double bytes = 0;
  for (size_t i = 0; i < job->paths.count; i++) {
    if (job->error[i]) continue;
    files++;
    bytes += job->size[i];
  }
  snprintf(job->seen, sizeof job->seen, "\"files\":%zu,\"bytes\":%.0f", files, bytes);
  return job->seen;
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 3);
  static Job job;
  job.paths = load_paths(argv[5]);
  job.threads = (unsigned)atoi(argv[6]);
  job.by = strcmp(argv[7], "stat") == 0 ? kStat : strcmp(argv[7], "statx") == 0 ? kStatx : kCached;
  if (argc > 8 && (size_t)atol(argv[8]) < job.paths.count) job.paths.count = (size_t)atol(argv[8]);
  size_t n = job.paths.count;
  job.error = must_alloc(n * sizeof *job.error);
  double** doubles[] = {&job.size, &job.blocks, &job.atime_ms, &job.mtime_ms, &job.ctime_ms, &job.birthtime_ms};
  for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) *doubles[i] = must_alloc(n * sizeof(double));
  job.ino = must_alloc(n * sizeof *job.ino);
  job.dev = must_alloc(n * sizeof *job.dev);
  uint32_t** words[] = {&job.mode, &job.nlink, &job.uid, &job.gid};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) *words[i] = must_alloc(n * sizeof(uint32_t));
  measure(budget, body, &job);
  return 0;
}
