// Owner, group, ACL and mode of a new file. See file_tasks_resemble.h.
#include "files/file_tasks_resemble.h"

#include <fcntl.h>

namespace acall {

namespace {

constexpr char kAcl[] = "system.posix_acl_access";

bool has_no_acls(int64_t error) { return error == -ENODATA || error == -EOPNOTSUPP || error == -ENOSYS; }

// EINVAL: the ids are not mapped in this user namespace.
bool may_not_own(int64_t error) { return error == -EPERM || error == -EINVAL; }

}  // namespace

int64_t Resemblance::look(TaskCaller& call, const char* path) {
  const int64_t rc = call(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &old_);
  if (rc != 0) return rc;
  const int64_t length = S_ISREG(old_.stx_mode) ? call(SYS_lgetxattr, path, kAcl, acl_, kMaxAcl) : 0;
  // A filter forbids the call, or the ACL has hundreds of names.
  if (length == -EPERM || length == -ERANGE) {
    acl_length_ = -1;
  } else if (length >= 0) {
    acl_length_ = length;
  } else if (!has_no_acls(length)) {
    return length;
  }
  return 0;
}

int64_t Resemblance::own(TaskCaller& call, int fd) {
  // Removes an ACL that comes from the folder's default: it would take effect with the mode.
  int64_t rc = call(SYS_fremovexattr, fd, kAcl);
  if (rc == -EPERM) acl_length_ = -1;
  if (rc < 0 && rc != -EPERM && !has_no_acls(rc)) return rc;
  struct statx fresh;
  auto look = [&] { return call(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &fresh); };
  if (rc = look(); rc != 0) return rc;
  if (fresh.stx_uid != old_.stx_uid || fresh.stx_gid != old_.stx_gid) {
    rc = call(SYS_fchown, fd, old_.stx_uid, old_.stx_gid);
    if (may_not_own(rc)) {
      constexpr uint32_t kAsItIs = UINT32_MAX;
      if (rc = call(SYS_fchown, fd, kAsItIs, old_.stx_gid); rc == 0 || may_not_own(rc))
        rc = call(SYS_fchown, fd, old_.stx_uid, kAsItIs);
    }
    if (rc != 0 && !may_not_own(rc)) return rc;
    if (rc = look(); rc != 0) return rc;
  }
  has_owner_ = fresh.stx_uid == old_.stx_uid;
  has_group_ = fresh.stx_gid == old_.stx_gid;
  return 0;
}

int64_t Resemblance::open_up(TaskCaller& call, int fd) {
  uint32_t mode = old_.stx_mode & 07777u;
  if (!has_owner_ || !has_group_) mode &= ~(S_ISUID | S_ISGID);
  if (acl_length_ != 0) {
    // With another owner or group, entries of the ACL would apply to other users.
    int64_t rc = -EPERM;
    if (acl_length_ > 0 && has_owner_ && has_group_) rc = call(SYS_fsetxattr, fd, kAcl, acl_, acl_length_, 0);
    if (rc == -ECANCELED) return rc;
    if (rc != 0) mode &= ~(S_IRWXG | S_IRWXO);
  } else {
    // The old owner, or the members of the old group, are others now. Others may do no more than these might before.
    const uint32_t owner = mode >> 6 & 7, group = mode >> 3 & 7;
    uint32_t of_group = group, of_others = mode & 7;
    if (!has_group_) {
      of_others &= group;
      of_group = 0;
    }
    if (!has_owner_) {
      of_others &= owner;
      of_group &= owner;
    }
    mode = (mode & ~077u) | of_group << 3 | of_others;
  }
  const int64_t rc = mode == kPrivateMode ? 0 : call(SYS_fchmod, fd, mode);
  return rc == -EPERM ? 0 : rc;  // the file system has no modes
}

}  // namespace acall
