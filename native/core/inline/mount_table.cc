// How mountinfo is parsed (proc_pid_mountinfo(5)). See mount_table.h.
#include "inline/mount_table.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/seams.h"

namespace acall {

namespace {

using Text = std::string_view;

// Local file systems: an inode in memory is enough for their stat. Not in the list are file systems that ask a server
// or a daemon (nfs, cifs, 9p, fuse, ceph, ...), that compute the answer (proc, sysfs), that take locks whose holders
// wait for a disk (zfs), and all others.
constexpr Text kLocal[] = {"ext4",  "ext3", "ext2",  "xfs",    "btrfs",    "f2fs",     "tmpfs",
                           "ramfs", "vfat", "exfat", "rootfs", "devtmpfs", "squashfs", "iso9660"};

// Not local, but their stat needs no more than memory either: because of them no mount must be found before statx.
constexpr Text kSilent[] = {"proc",      "sysfs",   "cgroup",     "cgroup2", "devpts",      "mqueue",    "debugfs",
                            "tracefs",   "pstore",  "securityfs", "bpf",     "binfmt_misc", "configfs",  "efivarfs",
                            "hugetlbfs", "fusectl", "nsfs",       "autofs",  "selinuxfs",   "rpc_pipefs"};

template <size_t Count>
bool is_one_of(const Text (&names)[Count], Text name) {
  return std::find(names, names + Count, name) != names + Count;
}

Text take_until(Text& rest, char separator) {
  const size_t at = rest.find(separator);
  const Text part = rest.substr(0, at);
  rest = at == Text::npos ? Text{} : rest.substr(at + 1);
  return part;
}

bool take_number(Text text, uint64_t* value) {
  *value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return false;
    *value = *value * 10 + static_cast<uint64_t>(digit - '0');
  }
  return !text.empty();
}

struct Line {
  Mount mount{};
  Text type;
  Text options;  // of the file system
};

// "36 35 98:0 /root /mount/point rw,noatime master:1 ... - ext3 /dev/root rw,errors=continue"
bool parse_line(Text text, Line* line) {
  uint64_t major, minor;
  if (!take_number(take_until(text, ' '), &line->mount.id)) return false;
  take_until(text, ' ');  // parent
  Text device = take_until(text, ' ');
  if (!take_number(take_until(device, ':'), &major) || !take_number(device, &minor)) return false;
  line->mount.major = static_cast<uint32_t>(major);
  line->mount.minor = static_cast<uint32_t>(minor);
  while (!text.empty() && take_until(text, ' ') != "-") {
  }
  line->type = take_until(text, ' ');
  take_until(text, ' ');  // source
  line->options = text;
  return !line->type.empty();
}

// Stores in `path` a path that mountinfo has escaped. False: it is too long, relative, or contains a backslash, which
// overlayfs escapes in ways that differ between versions.
bool unescape(Text from, char* path, size_t room) {
  size_t length = 0;
  if (from.empty() || from[0] != '/') return false;
  while (!from.empty()) {
    char letter = from[0];
    if (letter == '\\') {
      if (from.size() < 4) return false;
      letter = static_cast<char>((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
      from.remove_prefix(3);
      if (letter == '\\') return false;
    }
    from.remove_prefix(1);
    if (length + 1 >= room) return false;
    path[length++] = letter;
  }
  path[length] = 0;
  return true;
}

// The paths of layers are those that the mounting process saw. In a container they lead nowhere, and the overlay is not
// local.
bool layer_is_local(Text text, const MountTable& table) {
  char path[4096];
  struct statx found;
  if (!unescape(text, path, sizeof path)) return false;
  if (syscall(SYS_statx, AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_TYPE, &found) != 0) return false;
  if (!(found.stx_mask & STATX_MNT_ID)) return false;
  const Mount* mount = mount_table_find(table, found.stx_mnt_id);
  return mount != nullptr && mount->local;
}

bool overlay_is_local(Text options, const MountTable& table) {
  bool seen = false;
  while (!options.empty()) {
    Text value = take_until(options, ',');
    const Text name = take_until(value, '=');
    if (name == "upperdir" || name == "lowerdir+" || name == "datadir+") {
      if (!layer_is_local(value, table)) return false;
      seen = true;
    } else if (name == "lowerdir") {
      while (!value.empty()) {
        if (value[0] == ':') value.remove_prefix(1);  // "::" stands before data-only layers
        if (!layer_is_local(take_until(value, ':'), table)) return false;
        seen = true;
      }
    }
  }
  return seen;
}

template <typename Visitor>
bool each_line(const char* mountinfo, Visitor visit) {
  for (Text rest(mountinfo); !rest.empty();) {
    Line line;
    if (!parse_line(take_until(rest, '\n'), &line)) return false;
    visit(line);
  }
  return true;
}

}  // namespace

bool mount_table_parse(const char* mountinfo, MountTable* table) {
  uint32_t lines = 0;
  if (!each_line(mountinfo, [&](const Line&) { ++lines; })) return false;
  table->mounts = static_cast<Mount*>(seams.allocate(sizeof(Mount) * (lines + 1)));
  if (table->mounts == nullptr) return false;
  each_line(mountinfo, [&](Line& line) {
    Mount& mount = table->mounts[table->count++] = line.mount;
    mount.local = is_one_of(kLocal, line.type);
    mount.many_devices = line.type == "btrfs" || line.type == "overlay";
    if (!mount.local && line.type != "overlay" && !is_one_of(kSilent, line.type)) table->loud = true;
  });
  std::sort(table->mounts, table->mounts + table->count, [](const Mount& a, const Mount& b) { return a.id < b.id; });
  // Overlays come last, in the order in which they were mounted: their layers are on mounts, perhaps on overlays.
  each_line(mountinfo, [&](Line& line) {
    if (line.type != "overlay") return;
    auto* mount = const_cast<Mount*>(mount_table_find(*table, line.mount.id));
    if (overlay_is_local(line.options, *table)) {
      mount->local = true;
    } else {
      table->loud = true;
    }
  });
  return true;
}

void mount_table_free(MountTable* table) {
  free(table->mounts);
  *table = {};
}

const Mount* mount_table_find(const MountTable& table, uint64_t id) {
  const Mount* begin = table.mounts;
  const Mount* end = begin + table.count;
  const Mount* found =
      std::lower_bound(begin, end, id, [](const Mount& mount, uint64_t wanted) { return mount.id < wanted; });
  return found != end && found->id == id ? found : nullptr;
}

}  // namespace acall
