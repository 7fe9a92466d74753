// Inline calls: made on the submitting thread in ways that cannot block (with ACALL_SUBMIT_INLINE, and in the promise
// layer by default). Such a call either has the result that the plain call would have had, or nothing has happened,
// except that some bytes may have been transferred, which the call remembers. docs/inline.md lists the calls and the
// results that count.
//
// "Cannot block" is about the kernel: an inline call takes no lock whose holder may wait for a disk or for another
// party, and needs nothing of a file system that is not in memory.
//
// Entered by submitting threads, with no lock held. Only counters are shared.
#ifndef ACALL_CORE_INLINE_INLINE_CALL_H_
#define ACALL_CORE_INLINE_INLINE_CALL_H_

#include <linux/stat.h>

#include <cstdint>

#include "op/call.h"
#include "syscalls/policy_table.h"

namespace acall {

struct Environment;

// After policy_admit(): marks a call that may be made inline (Call::kInline).
void inline_mark(Call& call, const SyscallRule* rule);

// Makes a marked call inline, which no other thread sees yet. False: the call must go to a thread; when a part of its
// bytes has been transferred, its arguments name the rest, and Call::whole() adds the part to the result.
bool inline_run(Environment& environment, Call& call, int64_t* result);

// An inline statx. `flags`: AT_SYMLINK_NOFOLLOW, and AT_EMPTY_PATH, with which an empty path is the descriptor `dirfd`
// itself. False: the stat must go to a thread.
bool inline_stat(Environment& environment, int dirfd, const char* path, uint32_t flags, uint32_t mask,
                 struct statx* into, int64_t* result);

// Counts an inline stat that never became an op.
void inline_count(bool hit);
struct InlineCounts {
  uint64_t hits;    // calls that were made inline
  uint64_t misses;  // marked calls that went to a thread
  uint64_t direct;  // how many of the hits never became an op
};
InlineCounts inline_counts();

}  // namespace acall

#endif  // ACALL_CORE_INLINE_INLINE_CALL_H_
