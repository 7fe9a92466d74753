// Which mounts are of file systems that live on this machine, so that a look at a cached inode waits for nobody. Learnt
// from /proc/self/mountinfo by a thread of the pool, remembered by mount id, forgotten when the mounts of the namespace
// change. Asked by submitting threads; one lock guards what is remembered, and no call that can wait is made under it.
#ifndef ACALL_CORE_INLINE_MOUNTS_H_
#define ACALL_CORE_INLINE_MOUNTS_H_

#include <linux/stat.h>

#include <cstdint>

namespace acall {

struct Environment;

enum class MountsLook {
  kNotReady,  // not learnt yet (a thread of the pool is asked to), or not to be had on this system
  kQuiet,     // statx with AT_STATX_DONT_SYNC answers from memory on every mount there is
  kLoud,      // on some it may ask a server: find the mount of a descriptor before
};

// On the environment's thread, before it tries anything. Costs a call into the kernel once in a tick of its clock.
MountsLook mounts_look(Environment& environment);

// Whether the file that `found` describes (with its mount id) lies on a local file system.
bool mounts_is_local(const struct statx& found);

// The same by the mount alone, for a descriptor that has not been looked at: one more call, which never leaves memory.
bool mounts_descriptor_is_local(int fd);

// For tests: the mount table as in /proc/self/mountinfo, one line each. True if the mount with that id counts as local.
bool mounts_would_be_local(const char* mountinfo, uint64_t mount_id);

}  // namespace acall

#endif  // ACALL_CORE_INLINE_MOUNTS_H_
