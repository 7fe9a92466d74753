// The text of /proc/self/mountinfo as a table by mount id. Plain data without a lock: mounts.cc owns the table. Parsing
// makes calls on the layers of overlays, which may wait, so only pool threads parse.
#ifndef ACALL_CORE_INLINE_MOUNT_TABLE_H_
#define ACALL_CORE_INLINE_MOUNT_TABLE_H_

#include <cstdint>

namespace acall {

struct Mount {
  uint64_t id;
  uint32_t major, minor;
  bool local;         // its file system is known to be on this machine, with all its layers
  bool many_devices;  // its files have other device numbers than the mount (btrfs, overlay)
};

struct MountTable {
  Mount* mounts = nullptr;  // sorted by id
  uint32_t count = 0;
  bool loud = false;  // on some mount a statx with AT_STATX_DONT_SYNC may need more than memory
};

// False: no memory, or the text is not in the format that Linux has had since 2.6.26.
bool mount_table_parse(const char* mountinfo, MountTable* table);
void mount_table_free(MountTable* table);
const Mount* mount_table_find(const MountTable& table, uint64_t id);

}  // namespace acall

#endif  // ACALL_CORE_INLINE_MOUNT_TABLE_H_
