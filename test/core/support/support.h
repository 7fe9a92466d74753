// Support for all tests of the core: an environment with registered memory, submissions of one line each, pipes that
// hold an op at a chosen place, and waits that end by a completion and never by the clock.
#ifndef ACALL_TEST_CORE_SUPPORT_H_
#define ACALL_TEST_CORE_SUPPORT_H_

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "base/seams.h"
#include "engine.h"

namespace support {

// gcc defines macros, clang has features.
#if defined(__has_feature)
inline constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
inline constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#elif defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true, kAddressSanitizer = false;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr bool kThreadSanitizer = false, kAddressSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false, kAddressSanitizer = false;
#endif

inline constexpr uint32_t kPool = ACALL_SUBMIT_THREAD_POOL;
inline constexpr uint32_t kOwn = 0;

inline uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

inline timespec span_ns(int64_t nanoseconds) {
  return {static_cast<time_t>(nanoseconds / 1'000'000'000), static_cast<long>(nanoseconds % 1'000'000'000)};
}

inline uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// splitmix64: the same numbers in every run.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t value = (state_ += 0x9e3779b97f4a7c15ull);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
  }
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(next() % limit); }

 private:
  uint64_t state_;
};

// An environment and one arena of `bytes`. What alloc() hands out lives as long as the house.
class House {
 public:
  explicit House(size_t bytes = 1 << 20) : size_(bytes) {
    acall::engine_start();
    acall::EnvironmentHooks hooks;
    hooks.context = this;
    hooks.ring_bell = [](void* self) { static_cast<House*>(self)->bells.fetch_add(1); };
    hooks.hold_arena = [](void* self, void*, bool hold) {
      static_cast<House*>(self)->holds.fetch_add(hold ? 1 : -1);
      return true;
    };
    memory_ =
        static_cast<unsigned char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    environment = acall::environment_attach(hooks);
    arena = acall::arena_add(*environment, begin(), bytes, nullptr);
  }
  ~House() {
    detach();
    munmap(memory_, size_);
  }
  House(const House&) = delete;
  House& operator=(const House&) = delete;

  void detach() {
    if (environment == nullptr) return;
    acall::environment_detach(environment, false);
    if (arena != nullptr) acall::arena_drop(arena);
    environment = nullptr;
    arena = nullptr;
  }

  uintptr_t begin() const { return reinterpret_cast<uintptr_t>(memory_); }
  size_t size() const { return size_; }

  void* alloc(size_t bytes, size_t align = 16) {
    used_ = (used_ + align - 1) & ~(align - 1);
    if (used_ + bytes > size_) abort();
    void* result = memory_ + used_;
    used_ += bytes;
    return result;
  }
  template <typename T>
  T* make(size_t count = 1) {
    return static_cast<T*>(alloc(sizeof(T) * count));
  }
  char* text(const char* what) {
    char* copy = static_cast<char*>(alloc(strlen(what) + 1));
    strcpy(copy, what);
    return copy;
  }
  acall_completion_ring* ring(uint32_t nr) {
    auto* result =
        static_cast<acall_completion_ring*>(alloc(sizeof(acall_completion_ring) + sizeof(acall_completion) * nr, 8));
    result->nr = nr;
    return result;
  }

  int64_t submit(const acall_submission* submissions, uint32_t nr, acall::SubmitError* error = nullptr) {
    acall::SubmitError ignored;
    return acall::engine_submit(*environment, submissions, nr, error ? error : &ignored);
  }
  int64_t submit(const acall_submission& submission) { return submit(&submission, 1); }

  acall::Environment* environment = nullptr;
  acall::Arena* arena = nullptr;
  std::atomic<int> bells{0};
  std::atomic<int> holds{0};

 private:
  unsigned char* memory_;
  size_t size_;
  size_t used_ = 0;
};

inline acall_submission call(uint32_t flags, long nr, std::initializer_list<uint64_t> args = {}) {
  acall_submission submission{};
  submission.nr = static_cast<uint32_t>(nr);
  submission.flags = flags;
  int i = 0;
  for (uint64_t arg : args) submission.args[i++] = arg;
  return submission;
}

inline acall_submission into_ring(acall_submission submission, acall_completion_ring* ring, uint64_t cookie) {
  submission.completion_ring_pointer = address_of(ring);
  submission.cookie = cookie;
  return submission;
}

inline acall_submission into_slot(acall_submission submission, acall_completion* slot, uint64_t cookie) {
  submission.completion_pointer = address_of(slot);
  submission.cookie = cookie;
  return submission;
}

inline acall_submission with_id(acall_submission submission, acall_id* id) {
  submission.id_pointer = address_of(id);
  return submission;
}

inline acall::WaitLimits for_ever() { return {}; }

// Blocks until the op is complete.
inline int64_t wait_for(const acall_id& id) { return acall::wait_for_ids(&id, 1, for_ever()); }

inline bool is_complete(const acall_id& id) {
  timespec poll{0, 0};
  acall::WaitLimits limits;
  limits.timeout = &poll;
  return acall::wait_for_ids(&id, 1, limits) == 1;
}

inline int64_t result_of(const acall_completion& slot) {
  // acquire pairs with the release store of the cookie in complete().
  if (std::atomic_ref<uint64_t>(const_cast<uint64_t&>(slot.cookie)).load(std::memory_order_acquire) == 0)
    return INT64_MIN;
  return static_cast<int64_t>(slot.return_code);
}

// One op with an id and a slot in the house's memory.
struct Ticket {
  acall_id* id;
  acall_completion* slot;
  explicit Ticket(House& house) : id(house.make<acall_id>()), slot(house.make<acall_completion>()) {}
  int64_t submit(House& house, acall_submission submission) {
    return house.submit(with_id(into_slot(submission, slot, 1), id));
  }
  int64_t wait() {
    wait_for(*id);
    return result_of(*slot);
  }
  int cancel() { return acall::engine_cancel(*id); }
};

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close(read_end);
    if (write_end >= 0) close(write_end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void write_bytes(size_t count = 1) {
    static const char zeros[4096] = {};
    if (write(write_end, zeros, count) != static_cast<ssize_t>(count)) abort();
  }
};

// A ring of `nr` slots in the house, with the record that an AcallCompletionRing would hold.
struct TestRing {
  acall_completion_ring* memory;
  acall::Ring* record = nullptr;
  TestRing(House& house, uint32_t nr) : memory(house.ring(nr)) {
    if (acall::ring_acquire(address_of(memory), nr, 0, acall::RingUse::kFreshObject, &record) != 0) abort();
  }
  ~TestRing() { acall::ring_release_object(*record); }
  TestRing(const TestRing&) = delete;
  TestRing& operator=(const TestRing&) = delete;

  uint32_t wait(uint32_t min, uint32_t tail = 0) {
    return static_cast<uint32_t>(acall::wait_for_ring(*record, tail, min, for_ever()));
  }
  uint32_t drain(acall_completion* into, uint32_t max) { return acall::ring_drain(*record, into, max); }
  uint64_t overflows() {
    acall::Hold hold(record->lock);
    return record->overflows;
  }
  uint32_t backlog() {
    acall::Hold hold(record->lock);
    return record->backlog_count;
  }
  uint32_t head() { return std::atomic_ref<uint32_t>(memory->head).load(std::memory_order_acquire); }
  std::atomic_ref<uint64_t> cookie(uint32_t slot) { return std::atomic_ref<uint64_t>(memory->comps[slot].cookie); }
};

// Spins until a condition holds that another thread brings about. It proves nothing: the check that matters follows.
template <typename Condition>
void until(Condition condition) {
  while (!condition()) sched_yield();
}

inline acall::Counters counters() { return acall::engine_counters(); }

// The state letter of a thread of acall, from /proc ('S': it sleeps in the kernel).
inline char thread_state(pid_t tid) {
  char path[64];
  char text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return 0;
  text[got] = 0;
  const char* end = strrchr(text, ')');
  return end ? end[2] : 0;
}

// How many threads of this process have the name.
inline uint32_t threads_named(const char* name) {
  uint32_t count = 0;
  DIR* tasks = opendir("/proc/self/task");
  while (dirent* entry = readdir(tasks)) {
    char path[300];
    char text[32] = {};
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got > 0 && text[got - 1] == '\n') text[got - 1] = 0;
    count += strcmp(text, name) == 0;
  }
  closedir(tasks);
  return count;
}

// A house with a ring of the core, as the promise layer has.
struct Promises {
  House house;
  acall::Ring* ring;
  Promises() { ring = acall::ring_make_core_owned(64); }
  ~Promises() {
    house.detach();
    acall::ring_destroy_core_owned(ring);
  }
};

// A door at which fake calls wait: pass() blocks until open(n) has let n calls through.
class Gate {
 public:
  Gate() { sem_init(&semaphore_, 0, 0); }
  ~Gate() { sem_destroy(&semaphore_); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  void pass() {
    inside_.fetch_add(1);
    while (sem_wait(&semaphore_) != 0) {
    }
    inside_.fetch_sub(1);
  }
  void open(uint32_t count = 1) {
    for (uint32_t i = 0; i < count; ++i) sem_post(&semaphore_);
  }
  uint32_t inside() const { return inside_.load(); }

 private:
  sem_t semaphore_;
  std::atomic<uint32_t> inside_{0};
};

using FakeSyscall = int64_t (*)(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]);

// Restores the seams that a test has replaced.
class WithSeams {
 public:
  WithSeams() : saved_(acall::seams) {}
  ~WithSeams() { acall::seams = saved_; }
  WithSeams(const WithSeams&) = delete;
  WithSeams& operator=(const WithSeams&) = delete;
  const acall::Seams& real() const { return saved_; }

 private:
  acall::Seams saved_;
};

}  // namespace support

#endif  // ACALL_TEST_CORE_SUPPORT_H_
