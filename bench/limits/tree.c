// The limit of `walk` and `du`: a tree by getdents64(2), its paths kept in memory (walk) or its blocks summed (du).
// Threads take directories from one stack; `lock` guards the stack, the number of busy threads and the set of links.
// tree WARMUP_RUNS WARMUP_MS RUNS RUNS_MS ROOT THREADS walk|du
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/syscall.h>

#include "limit.h"

enum { kBuffer = 256 * 1024, kPathMax = 4096 };

struct linux_dirent64 {
  uint64_t d_ino;
  int64_t d_off;
  uint16_t d_reclen;
  uint8_t d_type;
  char d_name[];
};

typedef struct {
  uint64_t dev, ino;  // ino 0: an empty place.
} Link;

typedef struct {
  const char* root;
  unsigned threads;
  bool sum;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  char** stack;  // Directories to read; each owned by the stack.
  size_t depth, room;
  unsigned busy;  // Directories being read: the end is an empty stack with nobody busy.
  Link* links;    // Open addressing, a power of two.
  size_t links_used, links_room;
  uint64_t entries, bytes, text_bytes;
  char seen[96];
} Job;

// What one thread found, added to the job at its end.
typedef struct {
  uint64_t entries, bytes;
  char* text;
  size_t used, room;
} Share;

static void push(Job* job, const char* path) {
  char* copy = strdup(path);
  if (!copy) die("strdup");
  pthread_mutex_lock(&job->lock);
  if (job->depth == job->room) {
    job->room = job->room ? job->room * 2 : 64;
    job->stack = realloc(job->stack, job->room * sizeof(char*));
    if (!job->stack) die("realloc");
  }
  job->stack[job->depth++] = copy;
  pthread_cond_signal(&job->changed);
  pthread_mutex_unlock(&job->lock);
}

// The next directory, now counted as busy; NULL when the tree is done.
static char* take(Job* job) {
  pthread_mutex_lock(&job->lock);
  while (job->depth == 0 && job->busy > 0) pthread_cond_wait(&job->changed, &job->lock);
  char* path = job->depth ? job->stack[--job->depth] : NULL;
  if (path) job->busy++;
  pthread_mutex_unlock(&job->lock);
  return path;
}

static void done(Job* job, char* path) {
  free(path);
  pthread_mutex_lock(&job->lock);
  if (--job->busy == 0 && job->depth == 0) pthread_cond_broadcast(&job->changed);
  pthread_mutex_unlock(&job->lock);
}

static bool insert(Link* links, size_t room, Link link) {
  size_t at = (link.ino * UINT64_C(0x9E3779B97F4A7C15) ^ link.dev) & (room - 1);
  for (; links[at].ino; at = (at + 1) & (room - 1)) {
    if (links[at].ino == link.ino && links[at].dev == link.dev) return false;
  }
  links[at] = link;
  return true;
}

// True the first time that a file with several names is met.
static bool first_link(Job* job, uint64_t dev, uint64_t ino) {
  pthread_mutex_lock(&job->lock);
  if (job->links_used * 2 >= job->links_room) {
    size_t room = job->links_room ? job->links_room * 2 : 1024;
    Link* links = must_alloc(room * sizeof *links);
    for (size_t i = 0; i < job->links_room; i++) {
      if (job->links[i].ino) insert(links, room, job->links[i]);
    }
    free(job->links);
    job->links = links;
    job->links_room = room;
  }
  bool first = insert(job->links, job->links_room, (Link){dev, ino});
  job->links_used += first;
  pthread_mutex_unlock(&job->lock);
  return first;
}

static void keep(Share* share, const char* path, size_t length) {
  if (share->room - share->used < length + 1) {
    share->room = share->room ? share->room * 2 : 1 << 20;
    share->text = realloc(share->text, share->room);
    if (!share->text) die("realloc");
  }
  memcpy(share->text + share->used, path, length + 1);
  share->used += length + 1;
}

static void read_directory(Job* job, Share* share, const char* directory, char* buffer) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) die(directory);
  struct stat info;
  char path[kPathMax];
  size_t prefix = strlen(directory);
  memcpy(path, directory, prefix);
  path[prefix++] = '/';
  if (job->sum) {
    if (fstat(fd, &info)) die(directory);
    share->bytes += (uint64_t)info.st_blocks * 512;
  }
  long got;
  while ((got = syscall(SYS_getdents64, fd, buffer, kBuffer)) > 0) {
    for (long at = 0; at < got;) {
      struct linux_dirent64* entry = (struct linux_dirent64*)(buffer + at);
      at += entry->d_reclen;
      const char* name = entry->d_name;
      if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) continue;
      size_t length = strlen(name);
      if (prefix + length >= kPathMax) die("path too long");
      memcpy(path + prefix, name, length + 1);
      share->entries++;
      bool is_directory = entry->d_type == DT_DIR;
      if (entry->d_type == DT_UNKNOWN || (job->sum && !is_directory)) {
        if (fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW)) die(path);
        is_directory = S_ISDIR(info.st_mode);
        if (job->sum && !is_directory && (info.st_nlink == 1 || first_link(job, info.st_dev, info.st_ino))) {
          share->bytes += (uint64_t)info.st_blocks * 512;
        }
      }
      if (is_directory) push(job, path);
      if (!job->sum) keep(share, path, prefix + length);
    }
  }
  if (got < 0) die(directory);
  close(fd);
}

static void* work(void* context) {
  Job* job = context;
  Share share = {0};
  char* buffer = must_alloc(kBuffer);
  for (char* directory; (directory = take(job));) {
    read_directory(job, &share, directory, buffer);
    done(job, directory);
  }
  free(buffer);
  pthread_mutex_lock(&job->lock);
  job->entries += share.entries;
  job->bytes += share.bytes;
  job->text_bytes += share.used;
  pthread_mutex_unlock(&job->lock);
  free(share.text);
  return NULL;
}

static const char* body(void* context) {
  Job* job = context;
  job->entries = job->bytes = job->text_bytes = 0;
  free(job->links);
  job->links = NULL;
  job->links_used = job->links_room = 0;
  push(job, job->root);
  on_threads(job->threads, work, job);
  snprintf(job->seen, sizeof job->seen, "\"entries\":%" PRIu64 ",\"%s\":%" PRIu64, job->entries,
           job->sum ? "bytes" : "pathBytes", job->sum ? job->bytes : job->text_bytes);
  return job->seen;
}

int main(int argc, char** argv) {
  Budget budget = budget_of(argc, argv, 3);
  static Job job = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  job.root = argv[5];
  job.threads = (unsigned)atoi(argv[6]);
  job.sum = strcmp(argv[7], "du") == 0;
  measure(budget, body, &job);
  return 0;
}
