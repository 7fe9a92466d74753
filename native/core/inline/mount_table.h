// The text of /proc/self/mountinfo as a table by mount id. Plain data, no lock: mounts.cc owns it. Parsing looks at the
// layers of overlays, which may wait: threads of the pool only.
#ifndef ACALL_CORE_INLINE_MOUNT_TABLE_H_
#define ACALL_CORE_INLINE_MOUNT_TABLE_H_

#include <cstdint>

namespace acall {

struct Mount {
  uint64_t id;
  uint32_t major, minor;
  bool local;         // of a file system that is known to live on this machine, layers included
  bool many_devices;  // its files show other device numbers than the mount's (btrfs, overlay)
};

struct MountTable {
  Mount* mounts = nullptr;  // sorted by id
  uint32_t count = 0;
  bool loud = false;  // on some mount a statx with AT_STATX_DONT_SYNC may leave memory
};

// False: no memory, or not the format that is known since Linux 2.6.26.
bool mount_table_parse(const char* mountinfo, MountTable* table);
void mount_table_free(MountTable* table);
const Mount* mount_table_find(const MountTable& table, uint64_t id);

}  // namespace acall

#endif  // ACALL_CORE_INLINE_MOUNT_TABLE_H_
