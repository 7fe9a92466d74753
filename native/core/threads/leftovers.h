// Descriptors that nobody takes, between the moment that they are known (the op's memory is still pinned) and the one
// that they are closed (the op is complete). close() may wait for a server, for ever, so it holds a thread of ours and
// nothing else. A Leftovers is owned by one thread; what got no thread is kept for the next one that closes anything.
#ifndef ACALL_CORE_THREADS_LEFTOVERS_H_
#define ACALL_CORE_THREADS_LEFTOVERS_H_

#include <cstddef>
#include <cstdint>

namespace acall {

struct Block;
struct PoolThread;

class Leftovers {
 public:
  void add(int fd);
  void add_all(const unsigned char* from, size_t count);  // ints that may be misaligned
  // More of them lie in `block`, of which a reference is taken: next(from) says one after the other, -1 at the end.
  void add_source(int (*next)(void* from), void* from, Block& block);
  // By a thread of ours: closes them, and what was stranded.
  void close(PoolThread& self);
  // There is neither a thread nor memory for one, and this thread must not wait: the next close() closes them.
  void strand();
  uint32_t count() const { return count_; }
  int at(uint32_t i) const { return numbers_[i]; }

 private:
  static constexpr uint32_t kMost = 256;  // a message brings 253 at most (SCM_MAX_FD)

  uint32_t count_ = 0;
  int numbers_[kMost];
  int (*next_)(void* from) = nullptr;
  void* from_ = nullptr;
  Block* block_ = nullptr;
};

}  // namespace acall

#endif  // ACALL_CORE_THREADS_LEFTOVERS_H_
