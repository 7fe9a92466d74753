// The errors of a traversal: what it could not read or remove. The first ones are kept for the caller, all are counted.
// Entered by job threads and by the environment's thread; Job::lock guards the list.
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

// The owner's lock guards all of it but the count, which is atomic.
class ErrorList {
 public:
  explicit ErrorList(uint32_t most) : most_(most) {}
  bool is_empty() const { return kept_.is_empty(); }
  // False: the list is full, and the record stays the caller's.
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
  const uint32_t most_;  // how many are ever kept
  std::atomic<uint64_t> count_{0};
  Queue<TreeError> kept_;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_ERRORS_H_
