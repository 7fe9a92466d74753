// Inline calls: made on the submitting thread by means that never block (ACALL_SUBMIT_INLINE, and the promise layer by
// default). Such a call either has the result that the plain call would have had, or nothing has happened but for bytes
// already transferred, which the call remembers. docs/inline.md lists the calls and the results that count.
//
// "Cannot block" is meant of the kernel: a call that is made here takes no lock that somebody holds who waits for a
// disk or for another party, and asks no file system but for what is in memory.
//
// Entered by submitting threads, with no lock held. Shared: counters.
#ifndef ACALL_CORE_INLINE_INLINE_CALL_H_
#define ACALL_CORE_INLINE_INLINE_CALL_H_

#include <linux/stat.h>

#include <cstdint>

#include "op/call.h"
#include "syscalls/policy_table.h"

namespace acall {

struct Environment;

// After policy_admit(): marks a call that is worth making inline (Call::kInline).
void inline_mark(Call& call, const SyscallRule* rule);

// Makes a marked call inline, which nobody else sees yet. False: it goes to a thread as if nothing had happened; when a
// part has been transferred, its arguments name the rest, and Call::whole() adds the part to the result.
bool inline_run(Environment& environment, Call& call, int64_t* result);

// statx of the promise layer. An empty path with AT_EMPTY_PATH is the descriptor `dirfd` itself. `flags`: that, and
// AT_SYMLINK_NOFOLLOW.
bool inline_stat(Environment& environment, int dirfd, const char* path, uint32_t flags, uint32_t mask,
                 struct statx* into, int64_t* result);

void inline_count(bool hit);
struct InlineCounts {
  uint64_t hits;    // completed at once
  uint64_t misses;  // tried in vain, or not yet to be tried
  uint64_t direct;  // of the hits, those that never became an op
};
InlineCounts inline_counts();

}  // namespace acall

#endif  // ACALL_CORE_INLINE_ATTEMPT_H_
