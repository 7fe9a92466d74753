// How mounts are learnt and looked up. See mounts.h.
#include "inline/mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/seams.h"
#include "base/sync.h"
#include "inline/mount_table.h"
#include "launch/launch.h"
#include "threads/descriptor_room.h"

namespace acall {

namespace {

enum class State : uint32_t { kUnknown, kLearning, kKnown, kUnavailable };

constexpr size_t kFirstRead = size_t{16} * 1024;
constexpr size_t kMaxRead = size_t{64} * 1024 * 1024;
constexpr int kDescriptors = 1024;
constexpr int kHandleFid = 0x200;  // AT_HANDLE_FID, Linux 6.5: also for file systems that cannot be exported

std::atomic<State> state{State::kUnknown};
std::atomic<int64_t> looked_at{0};  // when the mounts were last found unchanged, by the coarse clock
std::atomic<int> handle_flags{AT_EMPTY_PATH | kHandleFid};

Lock mounts_lock;
MountTable table;    // guarded by mounts_lock
int mountinfo = -1;  // likewise; opened once and kept: poll() on it shows changes

int64_t tick() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// Whether mounts have changed since the last call. Under mounts_lock.
bool has_changed() {
  pollfd request{mountinfo, POLLPRI, 0};
  return poll(&request, 1, 0) != 0;  // 1: changed; -1: perhaps
}

// Whether the kernel, and a filter, allow openat2 with RESOLVE_CACHED.
bool can_open_cached() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_CACHED;
  const long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
  if (fd >= 0) close(static_cast<int>(fd));
  return fd >= 0 || errno == EAGAIN || errno == EMFILE || errno == ENFILE;
}

// The whole file, NUL-terminated; nullptr: no memory, or it cannot be read.
char* read_all(int fd) {
  size_t room = kFirstRead, length = 0;
  auto* text = static_cast<char*>(seams.allocate(room));
  while (text != nullptr) {
    const ssize_t got = pread(fd, text + length, room - length - 1, static_cast<off_t>(length));
    if (got == 0) {
      text[length] = 0;
      return text;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got > 0) length += static_cast<size_t>(got);
    if (got > 0 && room - length > 1) continue;
    auto* grown = got < 0 || room >= kMaxRead ? nullptr : static_cast<char*>(realloc(text, room * 2));
    if (grown == nullptr) break;
    text = grown;
    room *= 2;
  }
  free(text);
  return nullptr;
}

// A descriptor table that grows waits for a grace period of the kernel, some 10 ms, in the call that needs the number.
// So the table grows here and not in an inline stat. It never shrinks.
void grow_descriptor_table(int fd) {
  const int far = fcntl(fd, F_DUPFD_CLOEXEC, kDescriptors - 1);
  if (far >= 0) close(far);  // it fails when the process's limit is lower: then the table needs no more room
}

// BackEnd::run. On a pool thread, since it makes calls that may wait (on the layers of overlays).
int64_t learn(Operation&, PoolThread&) {
  int fd;
  {
    Hold hold(mounts_lock);
    fd = mountinfo;
  }
  DescriptorGuest guest;
  if (fd < 0) fd = can_open_cached() ? open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC) : -1;
  if (fd >= 0) grow_descriptor_table(fd);
  char* text = fd < 0 ? nullptr : read_all(fd);
  MountTable fresh;
  const bool learnt = text != nullptr && mount_table_parse(text, &fresh);
  free(text);
  Hold hold(mounts_lock);
  mountinfo = fd;
  if (learnt) {
    std::swap(table, fresh);
    looked_at.store(0, std::memory_order_relaxed);  // the first mounts_look() finds changes since the reading
  }
  mount_table_free(&fresh);
  // release: the table is stored before; pairs with the acquire in mounts_look().
  state.store(learnt ? State::kKnown : State::kUnavailable, std::memory_order_release);
  return 0;
}

constexpr BackEnd kLearning{.run = learn};

void ask_learner(Environment& environment) {
  State expected = State::kUnknown;
  if (!state.compare_exchange_strong(expected, State::kLearning, std::memory_order_acq_rel)) return;
  // Detached: nobody waits for this op, and it runs also when its environment ends meanwhile.
  if (!launch_detached(environment, kLearning, nullptr, 0, Call{}))
    state.store(State::kUnknown, std::memory_order_relaxed);
}

}  // namespace

MountsLook mounts_look(Environment& environment) {
  const State now = state.load(std::memory_order_acquire);
  if (now != State::kKnown) {
    if (now == State::kUnknown) ask_learner(environment);
    return MountsLook::kNotReady;
  }
  const int64_t at = tick();
  Hold hold(mounts_lock);
  if (at != looked_at.load(std::memory_order_relaxed)) {
    if (has_changed()) {
      state.store(State::kUnknown, std::memory_order_relaxed);
      return MountsLook::kNotReady;  // the next mounts_look() starts to learn them again
    }
    looked_at.store(at, std::memory_order_relaxed);
  }
  return table.loud ? MountsLook::kLoud : MountsLook::kQuiet;
}

bool mounts_is_local(const struct statx& found) {
  if (!(found.stx_mask & STATX_MNT_ID)) return false;
  Hold hold(mounts_lock);
  const Mount* mount = mount_table_find(table, found.stx_mnt_id);
  if (mount == nullptr) {
    looked_at.store(0, std::memory_order_relaxed);  // the mount is new since the last tick, or of another namespace
    return false;
  }
  // The id of a mount may be used again as soon as the mount is gone; its device number is used again later.
  return mount->local &&
         (mount->many_devices || (mount->major == found.stx_dev_major && mount->minor == found.stx_dev_minor));
}

bool mounts_descriptor_is_local(int fd) {
  struct {
    file_handle handle;
    unsigned char bytes[8];
  } room{};
  int mount_id = 0;
  for (;;) {
    const int flags = handle_flags.load(std::memory_order_relaxed);
    room.handle.handle_bytes = 0;  // no handle fits: the call fails with EOVERFLOW and still stores the mount id
    if (syscall(SYS_name_to_handle_at, fd, "", &room, &mount_id, flags) == 0 || errno == EOVERFLOW) break;
    if (errno != EINVAL || !(flags & kHandleFid)) return false;
    handle_flags.store(AT_EMPTY_PATH, std::memory_order_relaxed);
  }
  Hold hold(mounts_lock);
  const Mount* mount = mount_table_find(table, static_cast<uint64_t>(mount_id));
  if (mount == nullptr) looked_at.store(0, std::memory_order_relaxed);
  return mount != nullptr && mount->local;
}

bool mounts_would_be_local(const char* mountinfo_text, uint64_t mount_id) {
  MountTable parsed;
  const Mount* mount = mount_table_parse(mountinfo_text, &parsed) ? mount_table_find(parsed, mount_id) : nullptr;
  const bool local = mount != nullptr && mount->local;
  mount_table_free(&parsed);
  return local;
}

}  // namespace acall
