// The table made from /proc/self/mountinfo: which mounts are local, and when a stat may need more than memory.
#include "inline/mount_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <string>

#include "check.h"
#include "inline/mounts.h"
#include "support.h"
#include "temporary.h"

namespace {

bool local(const std::string& text, uint64_t id) { return acall::mounts_would_be_local(text.c_str(), id); }

bool loud(const std::string& text) {
  acall::MountTable table;
  CHECK(acall::mount_table_parse(text.c_str(), &table));
  const bool result = table.loud;
  acall::mount_table_free(&table);
  return result;
}

std::string line(uint64_t id, const std::string& type, const std::string& options = "rw") {
  return std::to_string(id) + " 1 0:" + std::to_string(id) + " / /mnt/" + std::to_string(id) +
         " rw,relatime shared:3 - " + type + " source " + options + "\n";
}

// The mount of a folder of this machine and its line: calls on layers in it are really made.
std::string own_line(uint64_t* id, const std::string& path = "/tmp") {
  struct statx found;
  if (syscall(SYS_statx, AT_FDCWD, path.c_str(), 0, STATX_TYPE, &found) != 0) abort();
  *id = found.stx_mnt_id;
  return line(*id, "ext4");
}

}  // namespace

TEST("file systems of this machine are local, others are not") {
  const char* locals[] = {"ext2",  "ext3",  "ext4", "xfs",   "btrfs",    "f2fs",
                          "tmpfs", "ramfs", "vfat", "exfat", "squashfs", "iso9660"};
  const char* others[] = {"nfs",        "nfs4",    "cifs",     "smb3", "9p",     "ceph",  "fuse",
                          "fuse.sshfs", "fuseblk", "virtiofs", "afs",  "proc",   "sysfs", "gfs2",
                          "ocfs2",      "zfs",     "lustre",   "ext5", "overlay"};
  for (const char* type : locals) CHECK(local(line(7, type), 7));
  for (const char* type : others) CHECK(!local(line(7, type), 7));
}

TEST("what may ask somebody else makes the table loud") {
  CHECK(!loud(line(5, "ext4") + line(6, "proc") + line(7, "cgroup2") + line(8, "autofs")));
  for (const char* type : {"nfs4", "9p", "fuse.sshfs", "cifs", "unheard-of"})
    CHECK(loud(line(5, "ext4") + line(6, type)));
}

TEST("a mount is found by its id among many, in any order") {
  std::string text;
  for (uint64_t id = 500; id > 0; --id) text += line(id * 3, id % 2 ? "tmpfs" : "nfs");
  for (uint64_t id = 1; id <= 500; ++id) CHECK_EQ(local(text, id * 3), id % 2 == 1);
  CHECK(!local(text, 4));
  CHECK(!local(text, 0));
}

TEST("optional fields may be none or several") {
  CHECK(local("36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw,errors=continue\n", 36));
  CHECK(local("36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 master:2 propagate_from:3 - ext3 /dev/root rw\n", 36));
}

TEST("an overlay is as local as its layers") {
  uint64_t own;
  const std::string base = own_line(&own) + line(900, "nfs");
  const auto overlay = [&](const std::string& options) { return local(base + line(901, "overlay", options), 901); };
  CHECK(overlay("rw,lowerdir=/tmp,upperdir=/tmp,workdir=/tmp"));
  CHECK(overlay("ro,lowerdir=/tmp:/tmp:/tmp"));
  CHECK(overlay("ro,lowerdir+=/tmp,lowerdir+=/tmp,datadir+=/tmp"));
  CHECK(overlay("ro,lowerdir=/tmp::/tmp,metacopy=on"));
  CHECK(!overlay("rw"));
  CHECK(!overlay("rw,lowerdir=/tmp:/nonexistent-layer,upperdir=/tmp"));
  CHECK(!overlay("rw,lowerdir=/tmp:l/RELATIVE,upperdir=/tmp"));
  CHECK(!overlay("rw,lowerdir=/tmp,upperdir=/proc"));
  CHECK(!overlay("rw,lowerdir=/proc:/tmp,upperdir=/tmp"));
  CHECK(!overlay("rw,lowerdir=/lower/a\\134:b"));
  CHECK(loud(base + line(901, "overlay", "rw,lowerdir=/proc")));
  CHECK(!loud(own_line(&own) + line(901, "overlay", "ro,lowerdir=/tmp")));
}

TEST("escaped names of layers are read as they are") {
  uint64_t own;
  const std::string base = own_line(&own, support::temporary_root());
  const std::string home = support::make_temporary(), folder = home + "/layer, with\ttab";
  CHECK_EQ(mkdir(folder.c_str(), 0700), 0);
  std::string escaped;
  for (char letter : folder) {
    const char* escape = letter == ' ' ? "\\040" : letter == '\t' ? "\\011" : letter == ',' ? "\\054" : nullptr;
    escape == nullptr ? escaped.append(1, letter) : escaped.append(escape);
  }
  CHECK(local(base + line(901, "overlay", ("ro,lowerdir=" + escaped).c_str()), 901));
  rmdir(folder.c_str());
  rmdir(home.c_str());
}

TEST("text that is no mountinfo is refused, not guessed at") {
  for (const char* text :
       {"garbage\n", "x 1 0:1 / / rw - ext4 s rw\n", "1 1 0 / / rw - ext4 s rw\n", "1 1 0:1 / / rw\n", "\n"}) {
    acall::MountTable table;
    CHECK(!acall::mount_table_parse(text, &table));
    acall::mount_table_free(&table);
  }
  CHECK(!local("", 1));
}
