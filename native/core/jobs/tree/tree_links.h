// The set of files with several names that du has met: eight bytes for each, in tables that are at most four fifths
// full, one per device. Any thread; a lock guards it.
#ifndef ACALL_CORE_JOBS_TREE_TREE_LINKS_H_
#define ACALL_CORE_JOBS_TREE_TREE_LINKS_H_

#include <cstdint>

#include "base/intrusive_list.h"
#include "base/sync.h"

namespace acall {

class LinkSet {
 public:
  enum class Met { kFirst, kAgain, kNoMemory };
  Met insert(uint64_t device, uint64_t inode);
  // Frees all memory, when no other thread uses the set any more.
  void clear();

 private:
  struct Table {
    Table* next;
    uint64_t device;
    uint64_t* places;   // 0: free
    uint64_t capacity;  // a power of two
    uint64_t used;
    bool has_zero;  // inode 0, which stands for a free place
  };
  static bool grow(Table& table);

  Lock lock_;  // guards the tables
  Stack<Table> tables_;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_TREE_TREE_LINKS_H_
