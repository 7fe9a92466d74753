// Leftovers: descriptors that nobody takes. They are collected while the op's memory is still pinned, and closed when
// the op is complete: close() may wait for a server for ever, and then it holds up one pool thread and nothing else. A
// Leftovers is used by one thread. Descriptors for which there was no thread are stranded, in a list of the process
// that a lock guards, until a thread closes leftovers again.
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
  void add_all(const unsigned char* from, size_t count);  // ints, which may be misaligned
  // Adds the descriptors that next(from) returns one after the other, -1 at the end. `from` lies in `block`, of which
  // one reference is taken.
  void add_source(int (*next)(void* from), void* from, Block& block);
  // On a pool thread or an own thread: closes these descriptors and all that are stranded.
  void close(PoolThread& self);
  // On a thread that must not wait, when no op could be launched: the next close(), on any thread, closes them.
  void strand();
  uint32_t count() const { return count_; }
  int at(uint32_t i) const { return numbers_[i]; }

 private:
  static constexpr uint32_t kMaxCount = 256;  // a message brings 253 at most (SCM_MAX_FD)

  uint32_t count_ = 0;
  int numbers_[kMaxCount];
  int (*next_)(void* from) = nullptr;
  void* from_ = nullptr;
  Block* block_ = nullptr;
};

}  // namespace acall

#endif  // ACALL_CORE_THREADS_LEFTOVERS_H_
