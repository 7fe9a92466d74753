// Reads, writes and messages with ACALL_SUBMIT_INLINE: what is transferred during acall_submit, and what a thread
// finishes.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <string>
#include <vector>

#include "check.h"
#include "inline_support.h"
#include "support.h"

using namespace support;

TEST("files and pipes are read and written by a thread, in memory or not") {
  House house;
  Folder folder;
  folder.file("file", 10'000);
  const int file = open_file(folder / "file", O_RDWR), memory = memfd_create("attempt", MFD_CLOEXEC);
  CHECK_EQ(ftruncate(memory, 10'000), 0);
  Pipe pipe;
  auto* into = static_cast<char*>(house.alloc(16384));
  auto* vector = house.make<iovec>(2);
  vector[0] = {into, 4};
  vector[1] = {into + 8, 4};
  const uint64_t v = address_of(vector), b = address_of(into);
  for (int fd : {file, memory}) {
    const auto f = static_cast<uint64_t>(fd);
    const struct {
      long nr;
      std::initializer_list<uint64_t> args;
      int64_t expected;
    } calls[] = {{SYS_pread64, {f, b, 16384, 0}, 10'000},
                 {SYS_pread64, {f, b, 16, 10'000}, 0},
                 {SYS_read, {f, b, 16}, 16},
                 {SYS_readv, {f, v, 2}, 8},
                 {SYS_preadv, {f, v, 2, 0, 0}, 8},
                 {SYS_preadv2, {f, v, 2, ~uint64_t{0}, 0, 0}, 8},
                 {SYS_lseek, {f, 0, SEEK_CUR}, 32},
                 {SYS_write, {f, b, 16}, 16},
                 {SYS_pwrite64, {f, b, 16, 0}, 16},
                 {SYS_writev, {f, v, 2}, 8},
                 {SYS_pwritev, {f, v, 2, 0, 0}, 8},
                 {SYS_lseek, {f, 0, SEEK_CUR}, 56}};
    for (const auto& one : calls) {
      const Tried tried = try_call(house, one.nr, one.args);
      CHECK(!tried.at_once);
      CHECK_EQ(tried.result, one.expected);
    }
    close(fd);
  }
  pipe.write_bytes(10);
  const Tried tried = try_call(house, SYS_read, {static_cast<uint64_t>(pipe.read_end), b, 64});
  CHECK(!tried.at_once);
  CHECK_EQ(tried.result, 10);
}

TEST("refusals of the kernel are the kernel's, from a thread") {
  House house;
  Pipe pipe;
  auto* into = house.alloc(64);
  const Tried bad = try_call(house, SYS_read, {static_cast<uint64_t>(-1), address_of(into), 64});
  CHECK(!bad.at_once);
  CHECK_EQ(bad.result, -EBADF);
  const Tried seek = try_call(house, SYS_pread64, {static_cast<uint64_t>(pipe.read_end), address_of(into), 64, 0});
  CHECK_EQ(seek.result, -ESPIPE);
  const Tried negative =
      try_call(house, SYS_pread64,
               {static_cast<uint64_t>(open_file("/etc/passwd", O_RDONLY)), address_of(into), 64, ~uint64_t{0}});
  CHECK_EQ(negative.result, -EINVAL);
}

TEST("a write that a socket has no room for is finished by a thread, and completes with the sum") {
  House house(8 << 20);
  Stream stream;
  const size_t size = 2'000'000;
  auto* from = static_cast<char*>(house.alloc(size));
  for (size_t i = 0; i < size; ++i) from[i] = static_cast<char>(i * 31);
  Ticket ticket(house);
  CHECK_EQ(
      ticket.submit(house, call(kInline, SYS_write, {static_cast<uint64_t>(stream.ends[0]), address_of(from), size})),
      1);
  CHECK(!is_complete(*ticket.id));
  std::vector<char> got(size);
  size_t have = 0;
  while (have < size) {
    const ssize_t n = read(stream.ends[1], got.data() + have, size - have);
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  CHECK_EQ(have, size);
  CHECK_EQ(memcmp(got.data(), from, size), 0);
  CHECK_EQ(ticket.wait(), static_cast<int64_t>(size));
}

TEST("a gathered write is finished in the middle of its vector") {
  House house(8 << 20);
  Stream stream;
  const size_t part = 300'001, parts = 5;
  auto* from = static_cast<char*>(house.alloc(part * parts));
  for (size_t i = 0; i < part * parts; ++i) from[i] = static_cast<char>(i * 17);
  auto* vector = house.make<iovec>(parts);
  for (size_t i = 0; i < parts; ++i) vector[i] = {from + i * part, part};
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house,
                         call(kInline, SYS_writev, {static_cast<uint64_t>(stream.ends[0]), address_of(vector), parts})),
           1);
  std::vector<char> got(part * parts);
  size_t have = 0;
  while (have < got.size()) {
    const ssize_t n = read(stream.ends[1], got.data() + have, got.size() - have);
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  CHECK_EQ(have, got.size());
  CHECK_EQ(memcmp(got.data(), from, got.size()), 0);
  CHECK_EQ(ticket.wait(), static_cast<int64_t>(got.size()));
  CHECK(vector[2].iov_base == from + 2 * part && vector[2].iov_len == part);
}

TEST("a cancel in the middle of such a write completes with the part that went") {
  House house(8 << 20);
  Stream stream;
  const size_t size = 2'000'000;
  auto* from = house.alloc(size);
  Ticket ticket(house);
  CHECK_EQ(
      ticket.submit(house, call(kInline, SYS_write, {static_cast<uint64_t>(stream.ends[0]), address_of(from), size})),
      1);
  CHECK_EQ(ticket.cancel(), 0);
  const int64_t went = ticket.wait();
  CHECK(went > 0 && went < static_cast<int64_t>(size));
}

TEST("an end that nobody reads raises no signal here") {
  House house;
  Pipe pipe;
  auto* from = house.alloc(8);
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  close(ends[1]);
  close(pipe.read_end);
  static std::atomic<int> heard{0};
  struct sigaction action {
  }, before;
  action.sa_handler = [](int) { heard.fetch_add(1); };
  sigaction(SIGPIPE, &action, &before);
  for (int fd : {pipe.write_end, ends[0]}) {
    const Tried tried = try_call(house, SYS_write, {static_cast<uint64_t>(fd), address_of(from), 8});
    CHECK(!tried.at_once);
    CHECK_EQ(tried.result, -EPIPE);
  }
  const Tried sent = try_call(house, SYS_sendto, {static_cast<uint64_t>(ends[0]), address_of(from), 8, 0, 0, 0});
  CHECK_EQ(sent.result, -EPIPE);
  sigset_t pending;
  sigpending(&pending);
  CHECK(!sigismember(&pending, SIGPIPE));
  CHECK_EQ(heard.load(), 0);
  sigaction(SIGPIPE, &before, nullptr);
  close(ends[0]);
  pipe.read_end = open_file("/dev/null", O_RDONLY);
}

TEST("sockets give and take what they can; more than a byte at least is left to a thread") {
  House house;
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  auto* buffer = house.alloc(4096);
  const uint64_t left = static_cast<uint64_t>(ends[0]), right = static_cast<uint64_t>(ends[1]);
  Tried tried = try_call(house, SYS_sendto, {left, address_of(buffer), 100, 0, 0, 0});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, 100);
  tried = try_call(house, SYS_recvfrom, {right, address_of(buffer), 60, MSG_PEEK, 0, 0});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, 60);
  tried = try_call(house, SYS_recvfrom, {right, address_of(buffer), 4096, 0, 0, 0});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, 100);
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(kInline, SYS_recvfrom, {right, address_of(buffer), 100, MSG_WAITALL, 0, 0})), 1);
  CHECK_EQ(write(ends[0], buffer, 40), 40);
  CHECK(!is_complete(*ticket.id));
  CHECK_EQ(write(ends[0], buffer, 60), 60);
  CHECK_EQ(ticket.wait(), 100);
  close(ends[0]);
  close(ends[1]);

  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  CHECK_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  CHECK_EQ(listen(listener, 1), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const int server = accept(listener, nullptr, nullptr);
  const int least = 50;
  CHECK_EQ(setsockopt(server, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least), 0);
  CHECK_EQ(send(client, buffer, 10, 0), 10);
  pollfd readable{client, POLLOUT, 0};
  poll(&readable, 1, -1);
  for (long nr : {long{SYS_recvfrom}, long{SYS_read}}) {
    Ticket waiting(house);
    CHECK_EQ(
        waiting.submit(house, call(kInline, nr, {static_cast<uint64_t>(server), address_of(buffer), 4096, 0, 0, 0})),
        1);
    CHECK(!is_complete(*waiting.id));
    CHECK_EQ(send(client, buffer, 50, 0), 50);
    CHECK(waiting.wait() >= 50);
    if (nr == SYS_recvfrom) CHECK_EQ(send(client, buffer, 10, 0), 10);
  }
  for (int fd : {listener, client, server}) close(fd);
}

TEST("descriptors that a receive has no room for are closed by a thread") {
  House house;
  Stream stream;
  Pipe pipe;
  char byte = 'x';
  iovec vector{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(rights), &pipe.write_end, sizeof(int));
  auto* into = house.alloc(16);
  for (long nr : {long{SYS_read}, long{SYS_recvfrom}}) {
    CHECK_EQ(sendmsg(stream.ends[0], &message, 0), 1);
    const Tried tried = try_call(house, nr, {static_cast<uint64_t>(stream.ends[1]), address_of(into), 16, 0, 0, 0});
    CHECK(tried.at_once);
    CHECK_EQ(tried.result, 1);
  }
  close(pipe.write_end);
  pipe.write_end = -1;
  CHECK_EQ(read(pipe.read_end, &byte, 1), 0);  // end of file: all descriptors of the other end are closed
}

TEST("messages come with their addresses and descriptors") {
  House house;
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  auto* data = static_cast<char*>(house.alloc(64));
  auto* vector = house.make<iovec>(2);
  vector[0] = {data, 10};
  vector[1] = {data + 10, 20};
  // Room for as many descriptors as a message may have. The kernel closes those that find no room, so a thread must
  // make the call.
  auto* control = static_cast<char*>(house.alloc(2048));
  auto* message = house.make<msghdr>();
  *message = {};
  message->msg_iov = vector;
  message->msg_iovlen = 2;
  message->msg_control = control;
  message->msg_controllen = CMSG_SPACE(sizeof(int));
  cmsghdr* rights = CMSG_FIRSTHDR(message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(rights), &ends[0], sizeof(int));
  Tried tried = try_call(house, SYS_sendmsg, {static_cast<uint64_t>(ends[0]), address_of(message), 0});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, 30);
  memset(control, 0, CMSG_SPACE(sizeof(int)));
  message->msg_controllen = 2048;
  tried = try_call(house, SYS_recvmsg, {static_cast<uint64_t>(ends[1]), address_of(message), 0});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, 30);
  CHECK_EQ(message->msg_controllen, CMSG_SPACE(sizeof(int)));
  int passed;
  memcpy(&passed, CMSG_DATA(rights), sizeof(int));
  CHECK(passed > 2 && fcntl(passed, F_GETFD) >= 0);
  close(passed);
  close(ends[0]);
  close(ends[1]);
}

namespace {

std::atomic<int> threads_left{0};
int (*real_start)(size_t, void* (*)(void*), void*) = nullptr;
int start_some(size_t stack, void* (*entry)(void*), void* argument) {
  return threads_left.fetch_sub(1) > 0 ? real_start(stack, entry, argument) : EAGAIN;
}

}  // namespace

TEST("cancelled in the queue with a part transferred, it completes with that part") {
  House house(8 << 20);
  until([] { return counters().threads == 0; });
  WithSeams seams;
  real_start = seams.real().start_thread;
  threads_left.store(1);  // the supervisor
  acall::seams.start_thread = start_some;
  Stream stream;
  const size_t size = 2'000'000;
  auto* from = house.alloc(size);
  Ticket ticket(house);
  CHECK_EQ(
      ticket.submit(house, call(kInline, SYS_write, {static_cast<uint64_t>(stream.ends[0]), address_of(from), size})),
      1);
  CHECK_EQ(counters().queued, 1u);
  CHECK_EQ(ticket.cancel(), 0);
  const int64_t went = ticket.wait();
  CHECK(went > 0 && went < static_cast<int64_t>(size));
}

TEST("where no thread can be had at all, what is tried in vain is -EAGAIN and what succeeds is not") {
  House house;
  until([] { return counters().threads == 0; });
  WithSeams seams;
  threads_left.store(0);
  acall::seams.start_thread = start_some;
  Pipe pipe;
  auto* into = house.alloc(16);
  CHECK_EQ(try_call(house, SYS_getpid, {}).result, getpid());
  CHECK_EQ(try_call(house, SYS_read, {static_cast<uint64_t>(pipe.read_end), address_of(into), 16}).result, -EAGAIN);
  CHECK_EQ(house.submit(call(kPool, SYS_getpid)), -EAGAIN);
}
