// Stats with ACALL_SUBMIT_INLINE: the same answers as the plain calls give, and what is left to a thread.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <string>
#include <vector>

#include "check.h"
#include "inline_support.h"
#include "support.h"

using namespace support;

namespace {

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
