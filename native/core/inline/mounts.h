// Which mounts are of file systems on this machine, where a stat of a cached inode waits for nothing. A pool thread
// learns that from /proc/self/mountinfo; it is known by mount id until the mounts of the namespace change. Entered by
// submitting threads. mounts_lock guards the table, and no call that can wait is made under it.
#ifndef ACALL_CORE_INLINE_MOUNTS_H_
#define ACALL_CORE_INLINE_MOUNTS_H_

#include <linux/stat.h>

#include <cstdint>

namespace acall {

struct Environment;

enum class MountsLook {
  kNotReady,  // not learnt yet (a pool thread is on it), or it cannot be learnt on this system
  kQuiet,     // statx with AT_STATX_DONT_SYNC answers from memory on every mount
  kLoud,      // on some mounts it may ask a server: the mount of a descriptor must be found first
};

// On the environment's thread, before an inline stat. Enters the kernel once per tick of its coarse clock.
MountsLook mounts_look(Environment& environment);

// Whether the file of a stat result (with its mount id) is on a local file system.
bool mounts_is_local(const struct statx& found);

// The same for a descriptor without a stat result, by its mount alone: one more call, which never needs more than
// memory.
bool mounts_descriptor_is_local(int fd);

// For tests: whether the mount with that id is local, by a text as in /proc/self/mountinfo.
bool mounts_would_be_local(const char* mountinfo, uint64_t mount_id);

}  // namespace acall

#endif  // ACALL_CORE_INLINE_MOUNTS_H_
