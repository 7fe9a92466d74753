// Inline sends and receives: with MSG_DONTWAIT, on those kinds of sockets whose calls then wait for nothing. Nothing
// else is read or written inline. A call on a pipe waits for the pipe's mutex, which a splice may hold while it waits
// for a disk. A call on a file waits for extents, for the lock of the inode or for a page from swap, also with
// RWF_NOWAIT. The bytes of a short send count, and a thread sends the rest. See inline_call.h.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "inline/inline_parts.h"
#include "syscalls/dispose.h"
#include "syscalls/policy.h"

namespace acall {

namespace {

constexpr uint64_t kMaxBytes = 0x7ffff000;      // MAX_RW_COUNT: the kernel transfers no more in one call
constexpr uint64_t kMaxForPromises = 64 << 10;  // copied in ten microseconds: more would hold the event loop
constexpr uint64_t kMaxVector = 1024;
constexpr size_t kMaxControl = 2048;  // 253 descriptors (SCM_MAX_FD), credentials and a time stamp

// The flags that may be used inline. Not MSG_WAITALL, MSG_ERRQUEUE, MSG_OOB, MSG_FASTOPEN, MSG_ZEROCOPY.
constexpr uint64_t kKnownFlags =
    MSG_PEEK | MSG_TRUNC | MSG_NOSIGNAL | MSG_DONTROUTE | MSG_CONFIRM | MSG_MORE | MSG_EOR | MSG_CMSG_CLOEXEC;

// A transfer, as its call describes it.
struct Transfer {
  int fd;
  bool writes;
  bool is_vector;   // args[1]: iovecs, in the call's copies; args[2]: how many
  bool is_message;  // recvmsg, sendmsg: args[1] is a msghdr in the call's copies
  bool has_address;
  uint64_t flags;
  uint64_t total;
};

uint64_t total_of(const iovec* entries, uint64_t count) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (static_cast<int64_t>(entries[i].iov_len) < 0 || total + entries[i].iov_len > kMaxBytes) return kMaxBytes + 1;
    total += entries[i].iov_len;
  }
  return total;
}

iovec* vector_at(uint64_t address) { return reinterpret_cast<iovec*>(address); }
msghdr& message_at(uint64_t address) { return *reinterpret_cast<msghdr*>(address); }

// False: the call is no transfer, or has flags or a size that are left to the threads.
bool describe(const Call& call, Transfer* to) {
  const uint64_t* a = call.args;
  if (a[1] == 0) return false;
  *to = {static_cast<int>(a[0]), false, false, false, false, 0, 0};
  switch (call.nr) {
    case SYS_write:
      to->writes = true;
      [[fallthrough]];
    case SYS_read:
      to->total = a[2];
      break;
    case SYS_writev:
      to->writes = true;
      [[fallthrough]];
    case SYS_readv:
      to->is_vector = true;
      if (static_cast<uint32_t>(a[2]) > kMaxVector) return false;
      to->total = total_of(vector_at(a[1]), static_cast<uint32_t>(a[2]));
      break;
    case SYS_sendto:
      to->writes = true;
      [[fallthrough]];
    case SYS_recvfrom:
      to->flags = a[3];
      to->has_address = a[4] != 0;
      to->total = a[2];
      break;
    case SYS_sendmsg:
      to->writes = true;
      [[fallthrough]];
    case SYS_recvmsg: {
      const msghdr& message = message_at(a[1]);
      if (message.msg_iovlen > kMaxVector || message.msg_iov == nullptr) return false;
      to->is_message = true;
      to->flags = a[2];
      to->has_address = message.msg_name != nullptr;
      to->total = total_of(message.msg_iov, message.msg_iovlen);
      break;
    }
    default:
      return false;
  }
  return !(to->flags & ~kKnownFlags) && to->total > 0 && to->total <= kMaxBytes;
}

// Removes `done` bytes from the beginning of a vector.
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

// `done` more bytes are transferred: the call's arguments name the rest.
void advance(Call& call, const Transfer& transfer, uint64_t done) {
  call.transferred += done;
  if (transfer.is_message) {
    msghdr& message = message_at(call.args[1]);
    skip(message.msg_iov, message.msg_iovlen, done);
    message.msg_control = nullptr;  // sent with the first part
    message.msg_controllen = 0;
  } else if (transfer.is_vector) {
    iovec* entries = vector_at(call.args[1]);
    size_t count = static_cast<uint32_t>(call.args[2]);
    skip(entries, count, done);
    call.args[1] = reinterpret_cast<uint64_t>(entries);
    call.args[2] = count;
  } else {
    call.args[1] += done;
    call.args[2] -= done;
  }
}

// The value of a socket option; -1: the descriptor is no socket, or has no such option.
int option_of(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return inline_syscall(SYS_getsockopt, fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

// TLS in the kernel, for one: there a send waits for the send before it.
bool has_upper_protocol(int fd) {
  char name[16];
  socklen_t length = sizeof name;
  return inline_syscall(SYS_getsockopt, fd, IPPROTO_TCP, TCP_ULP, name, &length) == 0 && length > 0;
}

enum class Kind { kUnknown, kInternet, kUnix };

// kUnknown: a kind of socket that may wait. Netlink, for one, answers a request in the sender's call, under locks of
// the whole machine.
Kind kind_of(const Transfer& transfer) {
  const int domain = option_of(transfer.fd, SO_DOMAIN);
  if (domain == AF_UNIX) {
    // An address is a path, whose walk may wait for a disk; for SOCK_SEQPACKET a write(2) does more than a send.
    if ((transfer.writes && transfer.has_address) || option_of(transfer.fd, SO_TYPE) == SOCK_SEQPACKET)
      return Kind::kUnknown;
    return Kind::kUnix;
  }
  if (domain != AF_INET && domain != AF_INET6) return Kind::kUnknown;
  const int protocol = option_of(transfer.fd, SO_PROTOCOL);
  if (protocol == IPPROTO_UDP) return Kind::kInternet;
  return protocol == IPPROTO_TCP && !has_upper_protocol(transfer.fd) ? Kind::kInternet : Kind::kUnknown;
}

// Makes the call, or its twin that has flags. Returns the number of bytes or -errno.
int64_t transfer_once(const Call& call, const Transfer& transfer) {
  const uint64_t* a = call.args;
  const uint64_t flags = transfer.flags | MSG_DONTWAIT | (transfer.writes ? MSG_NOSIGNAL : 0);
  if (transfer.is_message) return inline_syscall(call.nr, a[0], a[1], flags);
  if (transfer.is_vector) {
    msghdr message{};
    message.msg_iov = vector_at(a[1]);
    message.msg_iovlen = static_cast<uint32_t>(a[2]);
    return inline_syscall(transfer.writes ? SYS_sendmsg : SYS_recvmsg, transfer.fd, &message, flags);
  }
  const bool named = call.nr == SYS_sendto || call.nr == SYS_recvfrom;
  return inline_syscall(transfer.writes ? SYS_sendto : SYS_recvfrom, a[0], a[1], a[2], flags, named ? a[4] : 0,
                        named ? a[5] : 0);
}

// Receives from a UNIX socket with room for descriptors, though the call has none. Otherwise the kernel would drop the
// descriptors of the message in this call, and to drop the last one of a file may wait for its disk. Pool threads close
// them.
int64_t receive_with_descriptors(Environment& environment, const Call& call, const Transfer& transfer) {
  const uint64_t* a = call.args;
  alignas(cmsghdr) char control[kMaxControl];
  iovec flat{reinterpret_cast<void*>(a[1]), a[2]};
  msghdr message{};
  message.msg_iov = transfer.is_vector ? vector_at(a[1]) : &flat;
  message.msg_iovlen = transfer.is_vector ? static_cast<uint32_t>(a[2]) : 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const int64_t got =
      inline_syscall(SYS_recvmsg, transfer.fd, &message, transfer.flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0 || message.msg_controllen == 0) return got;
  Leftovers leftovers;
  collect_rights(message, leftovers);
  for (uint32_t i = 0; i < leftovers.count(); ++i) dispose_close(environment, leftovers.at(i));
  return got;
}

bool inline_receive(Environment& environment, const Call& call, const Transfer& transfer, int64_t* result) {
  const Kind kind = kind_of(transfer);
  // With SO_RCVLOWAT above 1 the plain call would wait for more bytes than this one returns.
  if (kind == Kind::kUnknown || option_of(transfer.fd, SO_RCVLOWAT) != 1) return false;
  int64_t got;
  if (kind == Kind::kInternet || (transfer.is_message && message_at(call.args[1]).msg_controllen >= kMaxControl)) {
    got = transfer_once(call, transfer);
  } else if (transfer.is_message || transfer.has_address) {
    return false;
  } else {
    got = receive_with_descriptors(environment, call, transfer);
  }
  if (got < 0) return false;
  *result = got;
  return true;
}

bool inline_send(Call& call, const Transfer& transfer, int64_t* result) {
  if (kind_of(transfer) == Kind::kUnknown) return false;
  const int64_t got = transfer_once(call, transfer);
  if (got <= 0) return false;
  *result = got;
  if (static_cast<uint64_t>(got) >= transfer.total) return true;
  advance(call, transfer, static_cast<uint64_t>(got));
  return false;
}

}  // namespace

bool is_transfer(uint32_t nr) {
  switch (nr) {
    case SYS_read:
    case SYS_readv:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendmsg:
      return true;
    default:
      return false;
  }
}

bool inline_transfer(Environment& environment, Call& call, int64_t* result) {
  Transfer transfer;
  if (!describe(call, &transfer)) return false;
  if ((call.flags & Call::kPromise) && transfer.total > kMaxForPromises) return false;
  // The names of all calls that may be made here must be allowed: the caller's and its twins.
  if (transfer.writes) {
    return policy_allows_all({SYS_getsockopt, SYS_sendto, SYS_sendmsg}) && inline_send(call, transfer, result);
  }
  return policy_allows_all({SYS_getsockopt, SYS_recvfrom, SYS_recvmsg}) &&
         inline_receive(environment, call, transfer, result);
}

}  // namespace acall
