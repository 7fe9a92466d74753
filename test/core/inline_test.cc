// ACALL_SUBMIT_INLINE: which calls are made inline, which go to a thread, and that the result is the same.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <string>
#include <vector>

#include "check.h"
#include "support.h"
#include "temporary.h"

using namespace support;

namespace {

constexpr uint32_t kInline = ACALL_SUBMIT_INLINE | ACALL_SUBMIT_THREAD_POOL;

// Makes one call with the flag. Returns whether it was complete when acall_submit returned, and its result.
struct Tried {
  bool at_once;
  int64_t result;
};

Tried try_call(House& house, long nr, std::initializer_list<uint64_t> args, uint32_t flags = kInline) {
  const uint64_t hits = counters().inline_hits;
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(flags, nr, args)), 1);
  const bool at_once = counters().inline_hits != hits;
  if (at_once) CHECK(result_of(*ticket.slot) != INT64_MIN);
  return {at_once, ticket.wait()};
}

// A pool thread learns the mounts at the first stat; the tests begin when they are known.
void know_mounts(House& house) {
  char* path = house.text("/");
  auto* found = house.make<struct stat>();
  until([&] {
    return try_call(house, SYS_newfstatat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), address_of(found), 0})
        .at_once;
  });
}

class Folder {
 public:
  Folder() : path(support::make_temporary()) {}
  ~Folder() {
    if (system(("chmod -R u+rwx '" + path + "' && rm -rf '" + path + "'").c_str()) != 0) abort();
  }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  void file(const std::string& name, size_t bytes) const {
    const int fd = open((*this / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    const std::string content(bytes, 'x');
    if (fd < 0 || write(fd, content.data(), bytes) != static_cast<ssize_t>(bytes)) abort();
    close(fd);
  }
  const std::string path;
};

int open_file(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) abort();
  return fd;
}

struct Stream {
  Stream() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) abort();
  }
  ~Stream() {
    for (int fd : ends) close(fd);
  }
  int ends[2];
};

int64_t plain(long nr, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0, uint64_t e = 0) {
  const long result = syscall(nr, a, b, c, d, e);
  return result < 0 ? -errno : result;
}

// Access times change when directories are read; nothing here reads one between two stats.
struct Comparison {
  int at_once = 0;
  int total = 0;
};

void compare_stats(House& house, const std::vector<std::string>& paths, Comparison* seen) {
  auto* path = static_cast<char*>(house.alloc(8192));
  auto* found = static_cast<unsigned char*>(house.alloc(256));
  const auto at = static_cast<uint64_t>(AT_FDCWD);
  for (const std::string& text : paths) {
    memcpy(path, text.c_str(), text.size() + 1);
    for (uint64_t flags :
         {uint64_t{0}, uint64_t{AT_SYMLINK_NOFOLLOW}, uint64_t{AT_NO_AUTOMOUNT}, uint64_t{AT_EMPTY_PATH}}) {
      for (long nr : {long{SYS_newfstatat}, long{SYS_statx}}) {
        // Twice: after the first stat the answer, also ENOENT, is in memory.
        for (int round = 0; round < 2; ++round) {
          unsigned char expected[256], before[256];
          memset(before, 0xee, sizeof before);
          const uint64_t into = reinterpret_cast<uint64_t>(found), wanted = reinterpret_cast<uint64_t>(expected);
          Tried tried{};
          int64_t result = 0;
          bool same = false;
          for (int look = 0; look < 20 && !same; ++look) {  // /proc changes all the time
            memset(expected, 0xee, sizeof expected);
            memset(found, 0xee, sizeof expected);
            tried = nr == SYS_statx ? try_call(house, nr, {at, address_of(path), flags, 0xfff, into})
                                    : try_call(house, nr, {at, address_of(path), into, flags});
            result = nr == SYS_statx ? plain(nr, at, address_of(text.c_str()), flags, 0xfff, wanted)
                                     : plain(nr, at, address_of(text.c_str()), wanted, flags);
            same = tried.result == result && memcmp(found, expected, sizeof expected) == 0;
          }
          if (!same)
            fprintf(stderr, "%s flags %lx call %ld: %ld, plainly %ld\n", text.c_str(), flags, nr, tried.result, result);
          CHECK(same);
          if (tried.result < 0) CHECK_EQ(memcmp(found, before, sizeof before), 0);
          seen->at_once += tried.at_once;
          ++seen->total;
        }
      }
    }
  }
}

std::vector<std::string> nasty_paths(const Folder& folder) {
  folder.file("file", 10);
  folder.file("name with \xff\xfe bytes", 3);
  std::vector<std::string> paths;
  auto add = [&](const std::string& name) { paths.push_back(folder / name); };
  auto link = [&](const std::string& target, const std::string& name) {
    if (symlink(target.c_str(), (folder / name).c_str()) != 0) abort();
    for (const char* tail : {"", "/", "/.", "/..", "/x"}) add(name + tail);
  };
  mkdir((folder / "dir").c_str(), 0755);
  mkdir((folder / "dir/sub").c_str(), 0755);
  mkdir((folder / "locked").c_str(), 0700);
  folder.file("dir/inner", 5000);
  folder.file("locked/secret", 1);
  mkfifo((folder / "fifo").c_str(), 0600);
  for (const char* name : {"file",
                           "file/",
                           "file/.",
                           "file/x",
                           "dir",
                           "dir/",
                           "dir/.",
                           "dir/..",
                           "dir//inner",
                           "./dir",
                           "dir/sub/../inner",
                           "missing",
                           "missing/",
                           "missing/x",
                           "dir/missing",
                           "fifo",
                           "fifo/",
                           "locked",
                           "locked/secret",
                           "locked/missing",
                           "name with \xff\xfe bytes"}) {
    add(name);
  }
  link("file", "to-file");
  link("dir", "to-dir");
  link("nowhere", "dangling");
  link("loop", "loop");
  link("dir/sub/../inner", "through");
  link("/proc/self/exe", "to-proc");
  link(folder / "dir", "absolute");
  std::string chain = "file";
  for (int i = 1; i <= 42; ++i) {
    const std::string name = "chain-" + std::to_string(i);
    if (symlink(chain.c_str(), (folder / name).c_str()) != 0) abort();
    if (i > 37) add(name);
    chain = name;
  }
  add(std::string(255, 'n'));
  add(std::string(256, 'n'));
  std::string deep = folder.path;
  while (deep.size() < 4080) deep += "/.";
  for (size_t length = 4090; length <= 4098; ++length)
    paths.push_back(deep + std::string(length - deep.size() - 4, '/') + "file");
  for (const char* name : {"", "/", ".", "..", "//", "/dev/null", "/dev/fd/0", "/dev/stdin", "/proc", "/proc/self",
                           "/proc/self/exe", "/proc/self/fd/0", "/proc/self/cwd/", "/proc/999999999", "/sys",
                           "/dev/pts/0", "/etc/passwd", "/etc/passwd/x"}) {
    paths.push_back(name);
  }
  return paths;
}

}  // namespace

TEST("a call that never blocks is complete when acall_submit returns, and needs no thread") {
  House house;
  CHECK_EQ(counters().threads, 0u);
  const Tried tried = try_call(house, SYS_getpid, {});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, getpid());
  CHECK_EQ(counters().threads, 0u);
}

TEST("without the flag it goes to a thread") {
  House house;
  CHECK(!try_call(house, SYS_getpid, {}, kPool).at_once);
}

TEST("a number that no call has is -ENOSYS at once") {
  House house;
  const Tried tried = try_call(house, 0x40000123, {});
  CHECK(tried.at_once);
  CHECK_EQ(tried.result, -ENOSYS);
}

TEST("slot, ring and id are there, in the order of submission") {
  House house;
  TestRing ring(house, 16);
  auto* entries = house.make<acall_submission>(8);
  auto* ids = house.make<acall_id>(8);
  auto* slots = house.make<acall_completion>(8);
  for (uint64_t i = 0; i < 8; ++i) {
    entries[i] =
        with_id(into_ring(into_slot(call(kInline, SYS_getppid), &slots[i], i + 1), ring.memory, i + 1), &ids[i]);
  }
  CHECK_EQ(house.submit(entries, 8), 8);
  CHECK_EQ(ring.head(), 8u);
  acall_completion got[8];
  CHECK_EQ(ring.drain(got, 8), 8u);
  for (uint64_t i = 0; i < 8; ++i) {
    CHECK_EQ(got[i].cookie, i + 1);
    CHECK_EQ(static_cast<int64_t>(got[i].return_code), getppid());
    CHECK_EQ(result_of(slots[i]), getppid());
    CHECK(is_complete(ids[i]));
    CHECK_EQ(acall::engine_cancel(ids[i]), -ENOENT);
  }
}

TEST("entries with and without the flag go together") {
  House house;
  TestRing ring(house, 256);
  auto* entries = house.make<acall_submission>(200);
  for (uint64_t i = 0; i < 200; ++i)
    entries[i] = into_ring(call(i % 3 ? kInline : i % 2 ? kPool : kOwn, SYS_getppid), ring.memory, i + 1);
  const uint64_t hits = counters().inline_hits;
  CHECK_EQ(house.submit(entries, 200), 200);
  CHECK_EQ(ring.wait(200), 200u);
  CHECK_EQ(counters().inline_hits - hits, 133u);
  acall_completion got[200];
  CHECK_EQ(ring.drain(got, 200), 200u);
  uint64_t sum = 0;
  for (const auto& completion : got) sum += completion.cookie;
  CHECK_EQ(sum, 200u * 201 / 2);
}

TEST("calls of the calling thread's own state are refused or get their thread, never ours") {
  House house;
  CHECK_EQ(house.submit(call(kInline, SYS_setpriority, {PRIO_PROCESS, 0, 5})), -EPERM);
  const int before = getpriority(PRIO_PROCESS, 0);
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(ACALL_SUBMIT_INLINE, SYS_setpriority, {PRIO_PROCESS, 0, 5})), 1);
  CHECK_EQ(ticket.wait(), 0);
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), before);
}

TEST("the stat family answers as the plain calls do, from memory where that is known to be safe") {
  House house(64 << 20);
  know_mounts(house);
  Folder folder;
  Comparison seen;
  compare_stats(house, nasty_paths(folder), &seen);
  CHECK(seen.total > 1000);
  CHECK(seen.at_once > seen.total / 2);
}

TEST("stat as another user sees what that user may see") {
  House house(64 << 20);
  know_mounts(house);
  Folder folder;
  const std::vector<std::string> paths = nasty_paths(folder);
  chmod(folder.path.c_str(), 0755);
  if (seteuid(65534) != 0) return SKIP("may not become another user");
  Comparison seen;
  compare_stats(house, paths, &seen);
  CHECK_EQ(plain(SYS_newfstatat, static_cast<uint64_t>(AT_FDCWD), address_of((folder / "locked/secret").c_str()),
                 address_of(house.make<struct stat>()), 0),
           -EACCES);
  CHECK_EQ(seteuid(0), 0);
}

TEST("a descriptor is looked at as fstat does it, whatever it is") {
  House house;
  know_mounts(house);
  Folder folder;
  folder.file("file", 77);
  Pipe pipe;
  const int file = open_file(folder / "file", O_RDONLY), directory = open_file(folder.path, O_DIRECTORY),
            event = eventfd(0, EFD_CLOEXEC);
  const int path = open_file(folder / "file", O_PATH), process = open_file("/proc/self/status", O_RDONLY);
  auto* found = static_cast<unsigned char*>(house.alloc(256));
  for (int fd : {file, directory, event, path, process, pipe.read_end, -1, 99999}) {
    unsigned char expected[256];
    memset(expected, 0, sizeof expected);
    memset(found, 0, sizeof expected);
    const Tried tried = try_call(house, SYS_fstat, {static_cast<uint64_t>(fd), address_of(found)});
    CHECK_EQ(tried.result, plain(SYS_fstat, static_cast<uint64_t>(fd), reinterpret_cast<uint64_t>(expected)));
    CHECK_EQ(memcmp(found, expected, sizeof expected), 0);
    CHECK_EQ(tried.at_once, fd == file || fd == directory || fd == path);
  }
  for (int fd : {file, directory, event, path, process}) close(fd);
}

TEST("files of /proc are left to a thread") {
  House house;
  know_mounts(house);
  auto* found = house.make<struct statx>();
  for (const char* path : {"/proc/self/status", "/proc/self/fd", "/dev/fd", "/proc/self/exe"}) {
    char* text = house.text(path);
    CHECK(!try_call(house, SYS_statx,
                    {static_cast<uint64_t>(AT_FDCWD), address_of(text), AT_SYMLINK_NOFOLLOW, 0xfff, address_of(found)})
               .at_once ||
          strcmp(path, "/dev/fd") == 0);
  }
}

TEST("a full descriptor table is no answer") {
  House house;
  know_mounts(house);
  char* path = house.text("/etc");
  auto* found = house.make<struct stat>();
  rlimit before;
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  const uint64_t hits = counters().inline_hits;
  Ticket ticket(house);
  ticket.submit(
      house, call(kInline, SYS_newfstatat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), address_of(found), 0}));
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK_EQ(counters().inline_hits, hits);
  CHECK_EQ(ticket.wait(), 0);
}

TEST("no descriptor is left behind") {
  House house;
  know_mounts(house);
  char* path = house.text("/etc/passwd");
  auto* found = house.make<struct stat>();
  const int before = dup(0);
  close(before);
  for (int i = 0; i < 100; ++i) {
    CHECK(try_call(house, SYS_newfstatat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), address_of(found), 0})
              .at_once);
  }
  const int after = dup(0);
  close(after);
  CHECK_EQ(after, before);
}

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

namespace {

int64_t (*enter)(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) = nullptr;
pid_t submitting = 0;
bool statx_fails = false;
std::atomic<int> looked_at{-1};     // the descriptor that openat2 returned to the submitting thread
std::atomic<int> closed_inline{0};  // by the submitting thread

// A file that loses its last name between openat2 and statx, or whose statx fails.
int64_t without_name(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  const int64_t result = enter(word, nr, args);
  if (syscall(SYS_gettid) != submitting) return result;
  if (nr == SYS_openat2 && result >= 0) looked_at.store(static_cast<int>(result));
  if (nr == SYS_close) closed_inline.fetch_add(1);
  if (nr != SYS_statx || result != 0) return result;
  reinterpret_cast<struct statx*>(args[4])->stx_nlink = 0;
  return statx_fails ? -EIO : 0;
}

}  // namespace

TEST("the descriptor of a look at a file without a name, or that fails, is closed by a thread") {
  House house;
  know_mounts(house);
  Folder folder;
  folder.file("file", 10);
  char* path = house.text((folder / "file").c_str());
  auto* found = house.make<struct statx>();
  submitting = static_cast<pid_t>(syscall(SYS_gettid));
  WithSeams replaced;
  enter = replaced.real().syscall;
  acall::seams.syscall = without_name;
  for (bool fails : {false, true}) {
    statx_fails = fails;
    looked_at.store(-1);
    const uint64_t dir = static_cast<uint64_t>(AT_FDCWD);
    const Tried tried = try_call(house, SYS_statx, {dir, address_of(path), 0, STATX_BASIC_STATS, address_of(found)});
    CHECK_EQ(tried.at_once, !fails);
    CHECK_EQ(tried.result, 0);
    const int fd = looked_at.load();
    CHECK(fd >= 0);
    until([&] { return fcntl(fd, F_GETFD) < 0; });
    CHECK_EQ(closed_inline.load(), 0);
  }
}

TEST("what restrict() has taken away is refused with the flag as without it") {
  House house;
  know_mounts(house);
  const int file = open_file("/etc/passwd", O_RDONLY);
  std::vector<uint32_t> left;
  for (uint32_t nr = 0; nr < 1024; ++nr) {
    if (nr != SYS_getpid && nr != SYS_openat2) left.push_back(nr);
  }
  acall::policy_restrict(left);
  CHECK_EQ(house.submit(call(kInline, SYS_getpid)), -EPERM);
  // An inline stat needs openat2, which is not allowed any more: a thread makes the call.
  char* path = house.text("/etc/passwd");
  auto* found = house.make<struct stat>();
  const Tried tried =
      try_call(house, SYS_newfstatat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), address_of(found), 0});
  CHECK(!tried.at_once);
  CHECK_EQ(tried.result, 0);
  CHECK(try_call(house, SYS_fstat, {static_cast<uint64_t>(file), address_of(found)}).at_once);
  close(file);
}

namespace {

// Whether the op's id was complete when its slot was stored. The slot lies in a page that is protected until then.
struct Window {
  static inline const acall_id* id;
  static inline void* page;
  static inline int found;
  static void on_fault(int) {
    acall::Operation* op;
    uint64_t sequence;
    found = static_cast<int>(acall::operation_table().find(*id, &op, &sequence));
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
  }
};

}  // namespace

TEST("whoever sees the id of a call that is done inline does not find it complete before its slot is stored") {
  House house;
  auto* id = house.make<acall_id>();
  void* page = house.alloc(4096, 4096);
  house.alloc(4096, 4096);
  Window::id = id;
  Window::page = page;
  Window::found = -1;
  struct sigaction action {
  }, before;
  action.sa_handler = Window::on_fault;
  sigaction(SIGSEGV, &action, &before);
  mprotect(page, 4096, PROT_READ);
  CHECK_EQ(house.submit(with_id(into_slot(call(kInline, SYS_getppid), static_cast<acall_completion*>(page), 1), id)),
           1);
  sigaction(SIGSEGV, &before, nullptr);
  CHECK_EQ(Window::found, static_cast<int>(acall::OperationTable::Found::kLive));
  CHECK_EQ(wait_for(*id), 1);
}

TEST("completions that wait behind a full ring are stored although no thread of ours lived when they were made") {
  House house;
  auto* memory = house.ring(1);
  until([] { return counters().threads == 0; });  // the supervisor ends when there is nothing to do
  acall_submission batch[5];
  for (uint64_t i = 0; i < 5; ++i) batch[i] = into_ring(call(kInline, SYS_getppid), memory, i + 1);
  CHECK_EQ(house.submit(batch, 5), 5);
  for (uint64_t i = 0; i < 5; ++i) {
    std::atomic_ref<uint64_t> cookie(memory->comps[0].cookie);
    until([&] { return cookie.load(std::memory_order_acquire) != 0; });  // reads memory only
    CHECK_EQ(cookie.load(std::memory_order_relaxed), i + 1);
    cookie.store(0, std::memory_order_release);
  }
}
