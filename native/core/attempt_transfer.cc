// Reads and writes without waiting: RWF_NOWAIT for files and pipes, MSG_DONTWAIT for sockets. A short transfer is the
// result where the plain call would have stopped there too (a read of a pipe or socket, the end of a file); otherwise
// the op keeps what it has got and a thread does the rest. See attempt.h.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "attempt_parts.h"
#include "engine.h"

namespace acall {

namespace {

constexpr uint64_t kHere = ~uint64_t{0};         // at the position of the open file
constexpr uint64_t kMostBytes = 0x7ffff000;      // MAX_RW_COUNT: the kernel transfers no more in one call
constexpr uint64_t kMostForPromises = 64 << 10;  // copied in ten microseconds: more would hold the event loop

// One transfer as its call describes it.
struct Transfer {
  int fd;
  bool writes;
  bool is_vector;   // args[1] are iovecs (of our own copy), args[2] how many
  bool is_message;  // recvmsg, sendmsg: args[1] is a msghdr of our own copy
  bool is_socket;   // the flags are args[flags_at]
  int flags_at;
  uint64_t offset;  // kHere, or where in the file
  uint64_t total;
};

uint64_t total_of(const iovec* entries, uint64_t count) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (static_cast<int64_t>(entries[i].iov_len) < 0 || total + entries[i].iov_len > kMostBytes) return kMostBytes + 1;
    total += entries[i].iov_len;
  }
  return total;
}

iovec* vector_at(uint64_t address) { return reinterpret_cast<iovec*>(address); }

// False: not of the kind, or of a form that is left to the threads.
bool describe(const Operation& op, Transfer* to) {
  const uint64_t* a = op.args;
  *to = {static_cast<int>(a[0]), false, false, false, false, 0, kHere, 0};
  switch (op.nr) {
    case SYS_write:
      to->writes = true;
      [[fallthrough]];
    case SYS_read:
      to->total = a[2];
      break;
    case SYS_pwrite64:
      to->writes = true;
      [[fallthrough]];
    case SYS_pread64:
      to->total = a[2];
      to->offset = a[3];
      break;
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
      to->writes = true;
      [[fallthrough]];
    case SYS_readv:
    case SYS_preadv:
    case SYS_preadv2:
      to->is_vector = true;
      break;
    case SYS_sendto:
      to->writes = true;
      [[fallthrough]];
    case SYS_recvfrom:
      to->is_socket = true;
      to->flags_at = 3;
      to->total = a[2];
      break;
    case SYS_sendmsg:
      to->writes = true;
      [[fallthrough]];
    case SYS_recvmsg:
      to->is_socket = to->is_message = true;
      to->flags_at = 2;
      break;
    default:
      return false;
  }
  const bool has_offset = op.nr == SYS_preadv || op.nr == SYS_pwritev || op.nr == SYS_preadv2 || op.nr == SYS_pwritev2;
  const bool has_flags = op.nr == SYS_preadv2 || op.nr == SYS_pwritev2;
  if (has_offset) to->offset = a[3];
  if (has_flags && a[5] != 0) return false;
  // -1 means the position to preadv2 and pwritev2 alone; the others refuse what is negative.
  if (to->offset != kHere && static_cast<int64_t>(to->offset) < 0) return false;
  if (to->offset == kHere && (op.nr == SYS_pread64 || op.nr == SYS_pwrite64 || (has_offset && !has_flags)))
    return false;
  if (a[1] == 0) return false;
  if (to->is_vector) {
    if (static_cast<uint32_t>(a[2]) > 1024) return false;
    to->total = total_of(vector_at(a[1]), static_cast<uint32_t>(a[2]));
  } else if (to->is_message) {
    const auto& message = *reinterpret_cast<const msghdr*>(a[1]);
    if (message.msg_iovlen > 1024 || message.msg_iov == nullptr) return false;
    to->total = total_of(message.msg_iov, message.msg_iovlen);
  }
  if (to->is_socket && (a[to->flags_at] & (MSG_WAITALL | MSG_DONTWAIT | MSG_ERRQUEUE))) return false;
  return to->total > 0 && to->total <= kMostBytes;
}

// Leaves `done` bytes out of the beginning of a vector.
void skip(iovec*& entries, size_t& count, uint64_t done) {
  while (count > 0 && done >= entries->iov_len) {
    done -= entries->iov_len;
    ++entries;
    --count;
  }
  if (count > 0) {
    entries->iov_base = static_cast<char*>(entries->iov_base) + done;
    entries->iov_len -= done;
  }
}

// The op's arguments name what is left after `done` more bytes.
void advance(Operation& op, Transfer& transfer, uint64_t done) {
  op.transferred += done;
  transfer.total -= done;
  if (transfer.is_message) {
    auto& message = *reinterpret_cast<msghdr*>(op.args[1]);
    skip(message.msg_iov, message.msg_iovlen, done);
    message.msg_control = nullptr;  // went with the first part
    message.msg_controllen = 0;
  } else if (transfer.is_vector) {
    iovec* entries = vector_at(op.args[1]);
    size_t count = static_cast<uint32_t>(op.args[2]);
    skip(entries, count, done);
    op.args[1] = reinterpret_cast<uint64_t>(entries);
    op.args[2] = count;
  } else {
    op.args[1] += done;
    op.args[2] -= done;
  }
  if (transfer.offset == kHere) return;
  transfer.offset += done;
  op.args[3] = transfer.offset;
}

// The back end of an op that has got a part already.
int64_t run_rest(Operation& op, Worker& self) {
  const int64_t result = run_syscall(op, self);
  return static_cast<int64_t>(op.transferred) + (result > 0 ? result : 0);
}

// A write may raise SIGPIPE or SIGXFSZ; on a thread of ours nobody hears them, so nobody may hear them here.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigemptyset(&ours_);
    sigaddset(&ours_, SIGPIPE);
    sigaddset(&ours_, SIGXFSZ);
    sigset_t pending;
    if (sigpending(&pending) == 0) {
      for (int signal : {SIGPIPE, SIGXFSZ}) {
        if (sigismember(&pending, signal)) sigdelset(&ours_, signal);  // somebody else's: not to be taken away
      }
    }
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGPIPE);
    sigaddset(&both, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &both, &before_);
  }
  ~SignalsHeld() {
    if (raised) {
      const timespec none{};
      while (sigtimedwait(&ours_, nullptr, &none) > 0) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  bool raised = false;

 private:
  sigset_t ours_, before_;
};

// One try of what is left. A length of bytes or -errno.
int64_t try_once(const Operation& op, const Transfer& transfer) {
  const uint64_t* a = op.args;
  if (transfer.is_message) {
    const uint64_t flags = a[2] | MSG_DONTWAIT | (transfer.writes ? MSG_NOSIGNAL : 0);
    return attempt_syscall(op.nr, a[0], a[1], flags);
  }
  if (transfer.is_socket) {
    const uint64_t flags = a[3] | MSG_DONTWAIT | (transfer.writes ? MSG_NOSIGNAL : 0);
    return attempt_syscall(op.nr, a[0], a[1], a[2], flags, a[4], a[5]);
  }
  iovec flat{reinterpret_cast<void*>(a[1]), a[2]};
  const iovec* entries = transfer.is_vector ? vector_at(a[1]) : &flat;
  const uint64_t count = transfer.is_vector ? static_cast<uint32_t>(a[2]) : 1;
  if (!transfer.writes) return attempt_syscall(SYS_preadv2, a[0], entries, count, transfer.offset, 0, RWF_NOWAIT);
  SignalsHeld held;
  const int64_t result = attempt_syscall(SYS_pwritev2, a[0], entries, count, transfer.offset, 0, RWF_NOWAIT);
  held.raised = result == -EPIPE || result == -EFBIG;
  return result;
}

// A stream socket that gives nothing before so many bytes are there cannot be asked for fewer.
bool waits_for_more_than_a_byte(int fd) {
  int least = 1;
  socklen_t length = sizeof least;
  return attempt_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVLOWAT, &least, &length) == 0 && least > 1;
}

mode_t type_of(int fd) {
  struct statx found;
  const uint32_t flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  return attempt_syscall(SYS_statx, fd, "", flags, STATX_TYPE, &found) == 0 ? found.stx_mode & S_IFMT : 0;
}

// 5.9 and 5.10 return 0 to RWF_NOWAIT where the file has not ended: preadv2(2), BUGS.
bool end_of_file_is_true() {
  static const bool known = [] {
    utsname name;
    if (uname(&name) != 0) return false;
    char* rest = nullptr;
    const long major = strtol(name.release, &rest, 10);
    const long minor = *rest == '.' ? strtol(rest + 1, nullptr, 10) : 0;
    return major > 5 || (major == 5 && minor >= 11);
  }();
  return known;
}

bool may_try_read(const Transfer& transfer) {
  if (transfer.offset != kHere) return true;
  if (!transfer.is_socket && positions_are_held() && has_position(transfer.fd)) return false;
  return !waits_for_more_than_a_byte(transfer.fd);
}

// Appending writes are whole or not at all for other writers of the file; synchronous ones wait.
bool may_try_write(const Transfer& transfer, bool* non_blocking) {
  const int64_t flags = attempt_syscall(SYS_fcntl, transfer.fd, F_GETFL);
  if (flags < 0) return false;
  *non_blocking = flags & O_NONBLOCK;
  if (transfer.is_socket) return true;
  if (flags & (O_APPEND | O_DSYNC | O_SYNC | O_DIRECT)) return false;
  return transfer.offset != kHere || !positions_are_held() || !has_position(transfer.fd);
}

bool attempt_read(Operation& op, Transfer& transfer, int64_t* result) {
  if (!may_try_read(transfer)) return false;
  bool is_file = transfer.offset != kHere;
  for (;;) {
    const int64_t got = try_once(op, transfer);
    if (got < 0 || (got == 0 && !transfer.is_socket && !end_of_file_is_true())) return false;
    *result = static_cast<int64_t>(op.transferred) + got;
    if (got == 0 || static_cast<uint64_t>(got) >= transfer.total || transfer.is_socket) return true;
    if (!is_file) {
      const mode_t type = type_of(transfer.fd);
      is_file = type == S_IFREG || type == S_IFBLK;
      if (!is_file) return true;
    }
    advance(op, transfer, static_cast<uint64_t>(got));  // the end of the file, or of what is in memory: once more tells
    op.run = run_rest;
  }
}

bool attempt_write(Operation& op, Transfer& transfer, int64_t* result) {
  bool non_blocking = false;
  if (!may_try_write(transfer, &non_blocking)) return false;
  const int64_t got = try_once(op, transfer);
  if (got <= 0) return false;
  *result = got;
  if (static_cast<uint64_t>(got) >= transfer.total) return true;
  if (non_blocking && (transfer.is_socket || type_of(transfer.fd) != S_IFREG)) return true;
  advance(op, transfer, static_cast<uint64_t>(got));
  op.run = run_rest;
  return false;
}

}  // namespace

bool has_position(int fd) {
  // Nothing is read. What has no position refuses to read at one.
  return attempt_syscall(SYS_preadv2, fd, 0, 0, 0, 0, 0) != -ESPIPE;
}

bool is_transfer(uint32_t nr) {
  switch (nr) {
    case SYS_read:
    case SYS_pread64:
    case SYS_readv:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_sendto:
    case SYS_sendmsg:
      return true;
    default:
      return false;
  }
}

bool attempt_transfer(Operation& op, int64_t* result) {
  Transfer transfer;
  if (!describe(op, &transfer)) return false;
  if ((op.facts.load(std::memory_order_relaxed) & kOpPromise) && transfer.total > kMostForPromises) return false;
  return transfer.writes ? attempt_write(op, transfer, result) : attempt_read(op, transfer, result);
}

}  // namespace acall
