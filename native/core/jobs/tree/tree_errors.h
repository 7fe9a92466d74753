// What a traversal could not read, or remove: the first ones are kept for the caller, all are counted.
#ifndef ACALL_CORE_JOBS_TREE_TREE_ERRORS_H_
#define ACALL_CORE_JOBS_TREE_TREE_ERRORS_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "base/intrusive_list.h"
#include "wire.h"

namespace acall {

struct TreeError {
  TreeError* next;
  int error;  // positive errno
  TreeCall call;
  uint32_t path_length;
  char path[];
};

// Guarded by whoever owns it, but for the count.
class ErrorList {
 public:
  explicit ErrorList(uint32_t most) : most_(most) {}
  bool is_empty() const { return kept_.is_empty(); }
  // False: as many are kept as may be, and the record is still the caller's.
  bool add(TreeError& error) {
    if (count_.fetch_add(1, std::memory_order_relaxed) >= most_) return false;
    kept_.push_back(error);
    return true;
  }
  TreeError* take() { return kept_.take_all(); }
  void drop() {
    while (TreeError* error = kept_.pop()) free(error);
  }
  // Any thread, any time.
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  const uint32_t most_;  // of all that ever come
  std::atomic<uint64_t> count_{0};
  Queue<TreeError> kept_;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_ERRORS_H_
