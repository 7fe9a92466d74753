// Copies of memory that the kernel must not read again: changes after the submission have no effect, and what the
// kernel writes is copied back.
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <vector>

#include "base/signals.h"
#include "check.h"
#include "descriptors.h"
#include "engine.h"
#include "support.h"
#include "syscalls/dispose.h"
#include "threads/cancel.h"

using namespace support;

namespace {

Gate gate;
int64_t (*real_syscall)(acall::CancelWord&, uint32_t, const uint64_t*);

// Holds every call before the kernel.
int64_t delayed(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  gate.pass();
  return real_syscall(word, nr, args);
}

class Delayed {
 public:
  Delayed() {
    real_syscall = seams_.real().syscall;
    acall::seams.syscall = delayed;
  }

 private:
  WithSeams seams_;
};

uint64_t fd_arg(int fd) { return static_cast<uint64_t>(fd); }

struct Sockets {
  int ends[2];
  explicit Sockets(int type = SOCK_STREAM) {
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) abort();
  }
  ~Sockets() {
    close(ends[0]);
    close(ends[1]);
  }
};

}  // namespace

TEST("a vector that changes after the submission is used as it was") {
  House house;
  Delayed delayed;
  Pipe pipe;
  auto* vector = house.make<iovec>(2);
  char* first = house.text("hello, ");
  char* second = house.text("world");
  vector[0] = {first, 7};
  vector[1] = {second, 5};
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(kPool, SYS_writev, {fd_arg(pipe.write_end), address_of(vector), 2})), 1);
  until([] { return gate.inside() == 1; });
  vector[0] = {reinterpret_cast<void*>(0x1000), 1 << 20};
  vector[1] = {stderr, 4096};
  gate.open();
  CHECK_EQ(ticket.wait(), 12);
  char text[32] = {};
  CHECK_EQ(read(pipe.read_end, text, sizeof text), 12);
  CHECK_EQ(static_cast<const char*>(text), "hello, world");
}

TEST("a message that changes after the submission is used as it was, and its lengths come back") {
  House house;
  Delayed delayed;
  Sockets sockets;
  auto* message = house.make<msghdr>();
  auto* vector = house.make<iovec>();
  char* data = static_cast<char*>(house.alloc(64));
  char* control = static_cast<char*>(house.alloc(256));
  *vector = {data, 64};
  message->msg_iov = vector;
  message->msg_iovlen = 1;
  message->msg_control = control;
  message->msg_controllen = 256;
  message->msg_name = house.alloc(128);
  message->msg_namelen = 128;
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(kPool, SYS_recvmsg, {fd_arg(sockets.ends[0]), address_of(message), 0})), 1);
  until([] { return gate.inside() == 1; });
  msghdr original = *message;
  message->msg_iov = reinterpret_cast<iovec*>(8);
  message->msg_iovlen = 1000;
  message->msg_control = reinterpret_cast<void*>(16);
  vector->iov_base = nullptr;
  // The message has a descriptor.
  int sent = open("/dev/null", O_RDONLY | O_CLOEXEC);
  msghdr out{};
  iovec out_vector{const_cast<char*>("abc"), 3};
  alignas(cmsghdr) char out_control[CMSG_SPACE(sizeof(int))] = {};
  out.msg_iov = &out_vector;
  out.msg_iovlen = 1;
  out.msg_control = out_control;
  out.msg_controllen = sizeof out_control;
  cmsghdr* part = CMSG_FIRSTHDR(&out);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(part), &sent, sizeof sent);
  CHECK_EQ(sendmsg(sockets.ends[1], &out, 0), 3);
  gate.open();
  CHECK_EQ(ticket.wait(), 3);
  CHECK_EQ(memcmp(data, "abc", 3), 0);
  CHECK(message->msg_controllen >= CMSG_LEN(sizeof(int)) && message->msg_controllen <= CMSG_SPACE(sizeof(int)));
  CHECK_EQ(message->msg_namelen, 0u);    // the other end has no name
  CHECK_EQ(message->msg_iovlen, 1000u);  // not copied back
  message->msg_control = original.msg_control;
  int received;
  memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(message)), sizeof received);
  CHECK(fcntl(received, F_GETFD) >= 0);
  close(received);
  close(sent);
}

namespace {

// Holds the thread after its call, before the result is known.
int64_t held_up(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  const int64_t result = real_syscall(word, nr, args);
  if (nr == SYS_recvmsg) gate.pass();
  return result;
}

// A message with two descriptors, on its way to a promise, whose control bytes lie in the arena.
struct Incoming {
  Promises promises;
  Sockets sockets{SOCK_DGRAM};
  int victim = dup(sockets.ends[0]);
  msghdr* message = promises.house.make<msghdr>();
  char* control = static_cast<char*>(promises.house.alloc(CMSG_SPACE(2 * sizeof(int))));
  acall::ResultCarrier carrier;
  acall_id id{};

  Incoming() {
    auto* vector = promises.house.make<iovec>();
    *vector = {promises.house.alloc(16), 16};
    *message = {};
    message->msg_iov = vector;
    message->msg_iovlen = 1;
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(2 * sizeof(int));
    put_descriptors(sockets.ends[0], sockets.ends[1]);
    if (sendmsg(sockets.ends[1], message, 0) != 16) abort();
    memset(control, 0, message->msg_controllen);
  }
  ~Incoming() { close(victim); }
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  void put_descriptors(int first, int second) {
    const int both[2] = {first, second};
    msghdr whole{};
    whole.msg_control = control;
    whole.msg_controllen = CMSG_SPACE(sizeof both);
    cmsghdr* part = CMSG_FIRSTHDR(&whole);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof both);
    memcpy(CMSG_DATA(part), both, sizeof both);
  }

  void receive() {
    acall::PromiseCall call;
    call.nr = SYS_recvmsg;
    call.flags = kPool;
    call.cookie = 1;
    call.args[0] = fd_arg(sockets.ends[0]);
    call.args[1] = address_of(message);
    call.carrier = &carrier;
    CHECK_EQ(acall::engine_submit_call(*promises.house.environment, *promises.ring, call, &id), 0);
  }

  int64_t result() {
    acall_completion completion{};
    until([&] { return acall::ring_drain(*promises.ring, &completion, 1) == 1; });
    return static_cast<int64_t>(completion.return_code);
  }

  // As a caller does who knows that the op has ended.
  void use_again() { put_descriptors(victim, victim); }
};

}  // namespace

TEST("the control bytes of a message lie in the caller's memory when its op is complete, and no more than have come") {
  Incoming incoming;
  const int before = open_descriptors();
  memset(incoming.control, 0x55, CMSG_SPACE(2 * sizeof(int)));
  incoming.message->msg_controllen = CMSG_SPACE(sizeof(int)) - 4;  // room for one
  incoming.receive();
  CHECK_EQ(incoming.result(), 16);
  CHECK_EQ(open_descriptors(), before + 1);
  CHECK_EQ(incoming.message->msg_controllen, CMSG_LEN(sizeof(int)));
  CHECK(incoming.message->msg_flags & MSG_CTRUNC);
  int received;
  const cmsghdr* part = CMSG_FIRSTHDR(incoming.message);
  if (part == nullptr) abort();
  memcpy(&received, CMSG_DATA(part), sizeof received);
  CHECK_EQ(close(received), 0);
  CHECK_EQ(incoming.control[CMSG_LEN(sizeof(int))], 0x55);
  incoming.carrier.forget();
}

TEST(
    "descriptors of a message that nobody takes are closed, and no others, whatever has become of the caller's bytes") {
  Incoming incoming;
  const int before = open_descriptors();
  incoming.receive();
  CHECK_EQ(incoming.result(), 16);
  CHECK_EQ(open_descriptors(), before + 2);
  incoming.use_again();
  acall::dispose_later(*incoming.promises.house.environment, incoming.carrier, 16);
  until([&] { return open_descriptors() == before; });
  CHECK(fcntl(incoming.victim, F_GETFD) >= 0);
}

TEST("the same when its promise is given up while the thread that got it is held up") {
  Delayed delayed;
  acall::seams.syscall = held_up;
  Incoming incoming;
  const int before = open_descriptors();
  incoming.receive();
  until([] { return gate.inside() == 1; });
  CHECK_EQ(open_descriptors(), before + 2);
  acall::cancel_unwanted(&incoming.id, 1);
  incoming.use_again();
  gate.open();
  CHECK_EQ(incoming.result(), -ECANCELED);
  until([&] { return open_descriptors() == before; });
  CHECK(fcntl(incoming.victim, F_GETFD) >= 0);
  incoming.carrier.forget();
}

TEST("a flag that the kernel sets in a message comes back") {
  House house;
  Sockets sockets(SOCK_DGRAM);
  auto* message = house.make<msghdr>();
  auto* vector = house.make<iovec>();
  *vector = {house.alloc(16), 2};
  message->msg_iov = vector;
  message->msg_iovlen = 1;
  if (send(sockets.ends[1], "12345", 5, 0) != 5) abort();
  Ticket ticket(house);
  ticket.submit(house, call(kOwn, SYS_recvmsg, {fd_arg(sockets.ends[0]), address_of(message), 0}));
  CHECK_EQ(ticket.wait(), 2);
  CHECK(message->msg_flags & MSG_TRUNC);
}

TEST("a length word is copied in, checked there, and copied back") {
  House house;
  Delayed delayed;
  Sockets sockets;
  auto* name = static_cast<sockaddr_un*>(house.alloc(sizeof(sockaddr_un)));
  auto* length = house.make<uint32_t>();
  *length = sizeof *name;
  auto* guard = house.make<uint64_t>(64);
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house,
                         call(kPool, SYS_getsockname, {fd_arg(sockets.ends[0]), address_of(name), address_of(length)})),
           1);
  until([] { return gate.inside() == 1; });
  *length = 1 << 30;
  gate.open();
  CHECK_EQ(ticket.wait(), 0);
  CHECK_EQ(*length, sizeof(sa_family_t));
  CHECK_EQ(name->sun_family, AF_UNIX);
  // A length word that is larger than the buffer.
  *length = static_cast<uint32_t>(house.size()) + 1;
  CHECK_EQ(house.submit(call(kPool, SYS_getsockname, {fd_arg(sockets.ends[0]), address_of(name), address_of(length)})),
           -EFAULT);
  // A call that fails leaves the word alone.
  *length = 16;
  Ticket failing(house);
  failing.submit(house, call(kPool, SYS_getsockname, {fd_arg(-1), address_of(name), address_of(length)}));
  until([] { return gate.inside() == 1; });
  *length = 17;
  gate.open();
  CHECK_EQ(failing.wait(), -EBADF);
  CHECK_EQ(*length, 17u);
  for (int i = 0; i < 64; ++i) CHECK_EQ(guard[i], 0u);
}

TEST("a struct that tells its size is copied, and a larger size written later is not believed") {
  House house;
  Delayed delayed;
  char* path = house.text("/dev/null");
  auto* how = house.make<open_how>();
  how->flags = O_RDONLY | O_CLOEXEC;
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house,
                         call(kPool, SYS_openat2, {fd_arg(AT_FDCWD), address_of(path), address_of(how), sizeof *how})),
           1);
  until([] { return gate.inside() == 1; });
  how->flags = O_PATH | O_DIRECTORY;
  how->resolve = ~uint64_t{0};
  gate.open();
  int64_t fd = ticket.wait();
  CHECK(fd >= 0);
  CHECK_EQ(fcntl(static_cast<int>(fd), F_GETFL) & (O_PATH | O_ACCMODE), O_RDONLY);
  close(static_cast<int>(fd));
}

TEST("signal masks are copied without the cancel signal and the original stays") {
  House house;
  Delayed delayed;
  Pipe pipe;
  auto* mask = house.make<uint64_t>();
  *mask = ~uint64_t{0};
  auto* entry = house.make<pollfd>();
  *entry = {pipe.read_end, POLLIN, 0};
  Ticket ticket(house);
  ticket.submit(house, call(kPool, SYS_ppoll, {address_of(entry), 1, 0, address_of(mask), 8}));
  until([] { return gate.inside() == 1; });
  CHECK_EQ(*mask, ~uint64_t{0});
  gate.open();
  until([] { return gate.inside() == 0; });
  CHECK_EQ(ticket.cancel(), 0);
  int64_t result = ticket.wait();
  CHECK(result == -EINTR || result == -ECANCELED);
  CHECK_EQ(*mask, ~uint64_t{0});
}

TEST("a vector may span more arenas than an op has room for, and all stay pinned") {
  House house;
  constexpr int kArenas = 60;
  std::vector<void*> pages;
  std::vector<acall::Arena*> arenas;
  auto* vector = house.make<iovec>(kArenas);
  for (int i = 0; i < kArenas; ++i) {
    pages.push_back(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(static_cast<char*>(pages.back()) + 4096, 4096, PROT_NONE);  // no two are neighbours
    arenas.push_back(acall::arena_add(*house.environment, reinterpret_cast<uintptr_t>(pages.back()), 4096, nullptr));
    *static_cast<char*>(pages.back()) = static_cast<char>('A' + i);
    vector[i] = {pages.back(), 1};
  }
  Delayed delayed;
  Pipe pipe;
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(kPool, SYS_writev, {fd_arg(pipe.write_end), address_of(vector), kArenas})), 1);
  for (acall::Arena* arena : arenas) CHECK_EQ(arena->pins.load(), 1u);
  gate.open();
  CHECK_EQ(ticket.wait(), kArenas);
  until([&] { return house.environment->references.load(std::memory_order_acquire) == 1; });
  for (acall::Arena* arena : arenas) CHECK_EQ(arena->pins.load(), 0u);
  char text[kArenas];
  CHECK_EQ(read(pipe.read_end, text, sizeof text), kArenas);
  for (int i = 0; i < kArenas; ++i) CHECK_EQ(text[i], 'A' + i);
  // One of them lies outside: nothing stays pinned.
  vector[kArenas - 1].iov_base = reinterpret_cast<void*>(4096);
  CHECK_EQ(house.submit(call(kPool, SYS_writev, {fd_arg(pipe.write_end), address_of(vector), kArenas})), -EFAULT);
  for (acall::Arena* arena : arenas) CHECK_EQ(arena->pins.load(), 0u);
  acall::environment_turn(*house.environment);
  for (acall::Arena* arena : arenas) acall::arena_drop(arena);
  for (void* page : pages) munmap(page, 8192);
}

TEST("vectors that the kernel refuses are passed on for it to refuse") {
  House house(1 << 20);
  Pipe pipe;
  auto* vector = house.make<iovec>(1100);
  for (int i = 0; i < 1100; ++i) vector[i] = {house.begin() ? reinterpret_cast<void*>(house.begin()) : nullptr, 1};
  auto result = [&](uint64_t address, uint64_t count) {
    Ticket ticket(house);
    int64_t accepted = ticket.submit(house, call(kPool, SYS_writev, {fd_arg(pipe.write_end), address, count}));
    return accepted == 1 ? ticket.wait() : accepted;
  };
  CHECK_EQ(result(address_of(vector), 1024), 1024);
  CHECK_EQ(result(address_of(vector), 1025), -EINVAL);
  CHECK_EQ(result(8, 1025), -EINVAL);
  CHECK_EQ(result(address_of(vector), 0), 0);
  CHECK_EQ(result(0, 3), -EFAULT);
  vector[1].iov_len = SIZE_MAX;
  CHECK_EQ(result(address_of(vector), 2), -EINVAL);
  vector[1] = {nullptr, 0};
  CHECK_EQ(result(address_of(vector), 2), 1);
  vector[1] = {nullptr, 5};
  CHECK(result(address_of(vector), 2) <= 1);  // -EFAULT or the first byte, as the kernel likes
}

namespace {

// Refuses a size and stores the size that it wants, as the kernel does.
int64_t wants_more(acall::CancelWord&, uint32_t nr, const uint64_t args[6]) {
  const uint32_t wanted = 48;
  if (nr == SYS_getsockopt) {
    memcpy(reinterpret_cast<void*>(args[4]), &wanted, sizeof wanted);
    return -ERANGE;
  }
  memcpy(reinterpret_cast<void*>(args[2]), &wanted, sizeof wanted);
  return nr == SYS_name_to_handle_at ? -EOVERFLOW : -EBADF;
}

}  // namespace

TEST("the size that the kernel wants comes back with its refusal") {
  House house;
  WithSeams seams;
  acall::seams.syscall = wants_more;
  auto* length = house.make<uint32_t>();
  Ticket option(house), handle(house);
  CHECK_EQ(option.submit(house, call(kPool, SYS_getsockopt, {0, SOL_SOCKET, 59, 0, address_of(length)})), 1);
  CHECK_EQ(option.wait(), -ERANGE);
  CHECK_EQ(*length, 48u);
  auto* sized = house.make<uint32_t>(2);
  char* path = house.text("/");
  CHECK_EQ(handle.submit(house,
                         call(kPool, SYS_name_to_handle_at, {fd_arg(-100), address_of(path), address_of(sized), 0, 0})),
           1);
  CHECK_EQ(handle.wait(), -EOVERFLOW);
  CHECK_EQ(sized[0], 48u);
}

namespace {

uint64_t mask_seen;
int64_t look_at_mask(acall::CancelWord&, uint32_t nr, const uint64_t args[6]) {
  uint64_t address = 0;
  switch (nr) {
    case SYS_ppoll:
      address = args[3];
      break;
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_io_uring_enter:
      address = args[4];
      break;
    case SYS_pselect6:
    case SYS_io_pgetevents:
      memcpy(&address, reinterpret_cast<const void*>(args[5]), sizeof address);
      break;
    case SYS_signalfd4:
      address = args[1];
      break;
    default:
      address = args[0];
  }
  memcpy(&mask_seen, reinterpret_cast<const void*>(address), sizeof mask_seen);
  return 0;
}

}  // namespace

TEST("no set that a call is given holds our signal or those that libc keeps for itself") {
  House house;
  WithSeams seams;
  acall::seams.syscall = look_at_mask;
  auto* mask = house.make<uint64_t>(2);
  auto* pack = house.make<uint64_t>(2);
  mask[0] = ~uint64_t{0};
  pack[0] = address_of(mask);
  pack[1] = 8;
  const uint64_t set = address_of(mask);
  const acall_submission calls[] = {
      call(kPool, SYS_ppoll, {0, 0, 0, set, 8}),
      call(kPool, SYS_pselect6, {0, 0, 0, 0, 0, address_of(pack)}),
      call(kPool, SYS_epoll_pwait, {0, 0, 0, 0, set, 8}),
      call(kPool, SYS_epoll_pwait2, {0, 0, 0, 0, set, 8}),
      call(kPool, SYS_rt_sigsuspend, {set, 8}),
      call(kPool, SYS_rt_sigtimedwait, {set, 0, 0, 8}),
      call(kPool, SYS_signalfd4, {~uint64_t{0}, set, 8, 0}),
      call(kPool, SYS_io_pgetevents, {0, 0, 0, 0, 0, address_of(pack)}),
      call(kPool | ACALL_SUBMIT_UNSAFE, SYS_io_uring_enter, {0, 0, 0, 0, set, 8}),
  };
  uint64_t reserved = 1ull << (acall::cancel_signal() - 1);
  for (int signal = 32; signal < SIGRTMIN; ++signal) reserved |= 1ull << (signal - 1);
  CHECK(reserved & (1ull << 31) && reserved & (1ull << 32));  // 32 and 33
  for (const acall_submission& entry : calls) {
    mask_seen = 0;
    Ticket ticket(house);
    CHECK_EQ(ticket.submit(house, entry), 1);
    CHECK_EQ(ticket.wait(), 0);
    CHECK_EQ(mask_seen, ~reserved);
    CHECK_EQ(mask[0], ~uint64_t{0});  // the caller's mask stays as it is
  }
}
