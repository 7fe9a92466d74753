// What the tests of inline calls share: one call with the flag, a folder of files, a pair of sockets.
#ifndef ACALL_TEST_CORE_INLINE_SUPPORT_H_
#define ACALL_TEST_CORE_INLINE_SUPPORT_H_

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <string>

#include "check.h"
#include "support.h"
#include "temporary.h"

namespace support {

inline constexpr uint32_t kInline = ACALL_SUBMIT_INLINE | ACALL_SUBMIT_THREAD_POOL;

// Makes one call with the flag. Returns whether it was complete when acall_submit returned, and its result.
struct Tried {
  bool at_once;
  int64_t result;
};

inline Tried try_call(House& house, long nr, std::initializer_list<uint64_t> args, uint32_t flags = kInline) {
  const uint64_t hits = counters().inline_hits;
  Ticket ticket(house);
  CHECK_EQ(ticket.submit(house, call(flags, nr, args)), 1);
  const bool at_once = counters().inline_hits != hits;
  if (at_once) CHECK(result_of(*ticket.slot) != INT64_MIN);
  return {at_once, ticket.wait()};
}

// A pool thread learns the mounts at the first stat; the tests begin when they are known.
inline void know_mounts(House& house) {
  char* path = house.text("/");
  auto* found = house.make<struct stat>();
  until([&] {
    return try_call(house, SYS_newfstatat, {static_cast<uint64_t>(AT_FDCWD), address_of(path), address_of(found), 0})
        .at_once;
  });
}

class Folder {
 public:
  Folder() : path(make_temporary()) {}
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

inline int open_file(const std::string& path, int flags) {
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

inline int64_t plain(long nr, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0, uint64_t e = 0) {
  const long result = syscall(nr, a, b, c, d, e);
  return result < 0 ? -errno : result;
}

}  // namespace support

#endif  // ACALL_TEST_CORE_INLINE_SUPPORT_H_
