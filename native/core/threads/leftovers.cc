// How descriptors that nobody takes are closed. See leftovers.h.
#include "threads/leftovers.h"

#include <sys/syscall.h>

#include <atomic>
#include <cstring>
#include <utility>

#include "base/block.h"
#include "base/sync.h"
#include "threads/invoke.h"

namespace acall {

namespace {

// Limit of memory: descriptors for whose close no op could be launched. When the list is full, further ones stay open.
constexpr uint32_t kMaxStranded = 1024;
Lock stranded_lock;
int stranded[kMaxStranded];               // guarded by stranded_lock
std::atomic<uint32_t> stranded_count{0};  // likewise; read without it as a hint

// By invoke_always(): a cancel does not prevent the close, and the supervisor sees a thread that waits in it.
void close_one(PoolThread& self, int fd) {
  const uint64_t args[6] = {static_cast<uint32_t>(fd)};
  invoke_always(self, SYS_close, args);
}

// -1: there is none.
int take_stranded() {
  if (stranded_count.load(std::memory_order_relaxed) == 0) return -1;
  Hold hold(stranded_lock);
  const uint32_t count = stranded_count.load(std::memory_order_relaxed);
  if (count == 0) return -1;
  stranded_count.store(count - 1, std::memory_order_relaxed);
  return stranded[count - 1];
}

}  // namespace

void Leftovers::add(int fd) {
  if (count_ < kMaxCount) numbers_[count_++] = fd;
}

void Leftovers::add_all(const unsigned char* from, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    int fd;
    memcpy(&fd, from + i * sizeof fd, sizeof fd);
    add(fd);
  }
}

void Leftovers::add_source(int (*next)(void* from), void* from, Block& block) {
  next_ = next;
  from_ = from;
  block_ = &block;
  block_reference(block);
}

void Leftovers::close(PoolThread& self) {
  while (count_ > 0) close_one(self, numbers_[--count_]);
  if (next_ != nullptr) {
    for (int fd; (fd = next_(from_)) >= 0;) close_one(self, fd);
  }
  next_ = nullptr;
  block_release(std::exchange(block_, nullptr));
  for (int fd; (fd = take_stranded()) >= 0;) close_one(self, fd);
}

void Leftovers::strand() {
  if (next_ != nullptr) {
    for (int fd; (fd = next_(from_)) >= 0;) add(fd);
  }
  next_ = nullptr;
  block_release(std::exchange(block_, nullptr));
  Hold hold(stranded_lock);
  uint32_t count = stranded_count.load(std::memory_order_relaxed);
  while (count_ > 0 && count < kMaxStranded) stranded[count++] = numbers_[--count_];
  stranded_count.store(count, std::memory_order_relaxed);
}

}  // namespace acall
