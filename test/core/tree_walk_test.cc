// walk and readdir compared with a plain readdir loop on the same trees.
#include "jobs/tree/tree_walk.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include "check.h"
#include "tree_support.h"

using acall::Walk;
using acall::WalkOptions;
using support::Folder;
using support::Found;
using support::PromiseHouse;
using support::walk_all;
using support::walk_plainly;

namespace {

void check_same(const Found& found, const Found& wanted, bool stats) {
  CHECK_EQ(found.count, wanted.count);
  CHECK_EQ(found.entries.size(), wanted.entries.size());
  for (const auto& [path, kind] : wanted.entries) {
    auto it = found.entries.find(path);
    if (!CHECK(it != found.entries.end())) {
      fprintf(stderr, "missing: %.200s\n", path.c_str());
      break;
    }
    CHECK_EQ(it->second.c_str(), kind.c_str());
  }
  if (stats) CHECK(found.sizes == wanted.sizes);
  CHECK(found.errors == wanted.errors);
}

Found plain(const std::string& root) {
  Found found;
  walk_plainly(root, 1, found);
  return found;
}

}  // namespace

TEST("a walk finds every entry of a nasty tree, with type and depth, and follows no link") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  Found wanted = plain(folder.path);
  int before = support::open_descriptors();
  for (int round = 0; round < 20; ++round) {
    Found found = walk_all(house, folder.path);
    CHECK_EQ(found.result, 0);
    check_same(found, wanted, false);
  }
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("a walk with stats has the sizes that lstat has") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  WalkOptions options;
  options.stats = true;
  Found wanted = plain(folder.path);
  for (int round = 0; round < 20; ++round) check_same(walk_all(house, folder.path, options), wanted, true);
}

TEST("the root may be a link and may end with a slash; a file or nothing there is its error") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  CHECK_EQ(walk_all(house, folder.at("to-plain")).count, 300);
  Found slashed = walk_all(house, folder.at("plain/"));
  CHECK_EQ(slashed.count, 300);
  CHECK(slashed.entries.count(folder.at("plain/file7")) == 1);
  CHECK_EQ(walk_all(house, folder.at("hard1")).result, -ENOTDIR);
  CHECK_EQ(walk_all(house, folder.at("none")).result, -ENOENT);
  CHECK_EQ(walk_all(house, folder.at("loop1")).result, -ELOOP);
  CHECK_EQ(walk_all(house, folder.at("fifo")).result, -ENOTDIR);
}

TEST("the root folder's paths have one slash") {
  PromiseHouse house;
  WalkOptions options;
  options.max_depth = 1;
  Found found = walk_all(house, "/", options);
  CHECK(found.entries.count("/tmp") == 1);
}

TEST("names only, one level: what readdir needs") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  WalkOptions options;
  options.names_only = true;
  options.max_depth = 1;
  Found found = walk_all(house, folder.path, options);
  Found wanted;
  for (const auto& [path, kind] : plain(folder.path).entries) {
    if (kind.back() == '1' && kind.size() == 2) wanted.entries[path.substr(folder.path.size() + 1)] = kind;
  }
  wanted.count = wanted.entries.size();
  check_same(found, wanted, false);
  options.max_depth = 0;
  CHECK_EQ(walk_all(house, folder.path, options).count, 0);
}

TEST("maxDepth lists directories at the limit and does not enter them") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  for (bool stats : {false, true}) {
    WalkOptions options;
    options.max_depth = 2;
    options.stats = stats;
    Found found = walk_all(house, folder.path, options);
    CHECK(found.entries.count(folder.at("nested/a")) == 1);
    CHECK(found.entries.count(folder.at("nested/a/b")) == 0);
  }
}

TEST("oneFileSystem lists a mount point and does not enter it") {
  PromiseHouse house;
  Folder folder;
  folder.directory("mount");
  folder.directory("other");
  folder.file("other/file");
  if (!support::may_mount) return SKIP("may not mount");
  CHECK_EQ(mount("tmpfs", folder.at("mount").c_str(), "tmpfs", 0, nullptr), 0);
  folder.file("mount/inside");
  for (bool stats : {false, true}) {
    WalkOptions options;
    options.stats = stats;
    CHECK_EQ(walk_all(house, folder.path, options).count, 4);
    options.one_file_system = true;
    Found found = walk_all(house, folder.path, options);
    CHECK_EQ(found.count, 3);
    CHECK(found.entries.count(folder.at("mount")) == 1);
  }
  umount(folder.at("mount").c_str());
}

TEST("a chain of 5,000 directories, deeper than a path may be, is walked with few descriptors") {
  PromiseHouse house;
  Folder folder(true);
  constexpr int kDepth = 5000;
  int fd = open(folder.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < kDepth; ++i) {
    // Two at each level, so that every level still waits while the walk is at the bottom.
    mkdirat(fd, "a", 0755);
    mkdirat(fd, "z", 0755);
    int next = openat(fd, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(fd);
    fd = next;
  }
  close(fd);
  int before = support::open_descriptors();
  rlimit old{}, small{};
  getrlimit(RLIMIT_NOFILE, &old);
  for (rlim_t limit : {static_cast<rlim_t>(before) + 20, old.rlim_cur}) {
    small = old;
    small.rlim_cur = limit;
    setrlimit(RLIMIT_NOFILE, &small);
    Found found = walk_all(house, folder.path);
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK_EQ(found.result, 0);
    CHECK_EQ(found.count, 2 * kDepth);
    CHECK_EQ(found.errors.size(), 0);
    CHECK_EQ(support::open_descriptors(), before);
  }
}

TEST("a folder of 300,000 entries comes whole, with and without stats") {
  PromiseHouse house;
  Folder folder(true);
  constexpr int kFiles = 300'000;
  int fd = open(folder.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char name[32];
  for (int i = 0; i < kFiles; ++i) {
    snprintf(name, sizeof name, "f%d", i);
    mknodat(fd, name, S_IFREG | 0644, 0);
  }
  close(fd);
  for (bool stats : {false, true}) {
    WalkOptions options;
    options.stats = stats;
    options.max_depth = 1;
    Found found = walk_all(house, folder.path, options);
    CHECK_EQ(found.count, kFiles);
    CHECK_EQ(found.entries.size(), kFiles);
  }
}

TEST("a walk nobody fetches from stops at its limit, and goes on when fetched") {
  PromiseHouse house;
  Folder folder(true);
  constexpr int kDirectories = 250, kFiles = 400;
  for (int d = 0; d < kDirectories; ++d) {
    std::string directory = "d" + std::to_string(d);
    folder.directory(directory);
    int fd = open(folder.at(directory).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < kFiles; ++i) mknodat(fd, std::to_string(i).c_str(), S_IFREG | 0644, 0);
    close(fd);
  }
  Walk* walk = Walk::make(*house.environment, folder.path.data(), folder.path.size(), {});
  walk->start();
  // Every job thread has left: no op runs or waits, though the walk is not over.
  while (acall::engine_counters().completed != acall::engine_counters().submitted) sched_yield();
  Found found;
  Walk::Output output = walk->take();
  CHECK(!output.ended);
  add_output(found, output);
  CHECK(found.count >= 65'536);
  CHECK(found.count < 80'000);
  for (uint64_t cookie = 1; !output.ended; ++cookie) {
    walk->begin(*house.ring, cookie, true, nullptr);
    house.wait(cookie);
    output = walk->take();
    add_output(found, output);
  }
  walk->release();
  CHECK_EQ(found.count, kDirectories * (kFiles + 1));
}

TEST("a cancelled walk ends with -ECANCELED and leaves no descriptor, at whatever moment") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  for (int d = 0; d < 60; ++d) {
    folder.directory("more" + std::to_string(d));
    folder.directory("more" + std::to_string(d) + "/deeper");
    folder.file("more" + std::to_string(d) + "/deeper/file");
  }
  int before = support::open_descriptors();
  int cancelled = 0;
  for (int round = 0; round < 300; ++round) {
    WalkOptions options;
    options.stats = round & 1;
    Walk* walk = Walk::make(*house.environment, folder.path.data(), folder.path.size(), options);
    walk->start();
    Found found;
    uint64_t cookie = 0;
    // Cancelled after a varying number of fetches, by the job or by the op that waits for it.
    for (;;) {
      acall_id id;
      Walk::Output output = walk->take();
      add_output(found, output);
      if (output.ended) break;
      walk->begin(*house.ring, ++cookie, true, &id);
      if (cookie > static_cast<uint64_t>(round % 5)) {
        if (round % 3 == 0) {
          acall::engine_cancel(id);
        } else {
          walk->cancel();
        }
      }
      house.wait(cookie);
    }
    CHECK(found.result == 0 || found.result == -ECANCELED);
    cancelled += found.result == -ECANCELED;
    walk->release();
  }
  CHECK(cancelled > 0);
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("a walk that is dropped unfetched leaves nothing") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  int before = support::open_descriptors();
  for (int round = 0; round < 200; ++round) {
    Walk* walk = Walk::make(*house.environment, folder.path.data(), folder.path.size(), {});
    walk->start();
    walk->cancel();
    walk->release();
  }
  while (acall::engine_counters().completed != acall::engine_counters().submitted) sched_yield();
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("an environment that ends takes its walks along") {
  Folder folder;
  make_nasty_tree(folder);
  { PromiseHouse first; }  // the eventfd of the thread's first wait stays open
  int before = support::open_descriptors();
  for (int round = 0; round < 50; ++round) {
    Walk* walk;
    {
      PromiseHouse house;
      walk = Walk::make(*house.environment, folder.path.data(), folder.path.size(), {});
      walk->start();
      if (round & 1) walk->begin(*house.ring, 1, true, nullptr);
    }
    walk->cancel();
    walk->release();
  }
  while (acall::engine_counters().completed != acall::engine_counters().submitted) sched_yield();
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("folders that may not be read are told with path and errno, the rest is walked") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  folder.directory("closed");
  folder.file("closed/file");
  chmod(folder.path.c_str(), 0755);
  chmod(folder.at("closed").c_str(), 0);
  Found wanted, found;
  {
    support::Nobody nobody;
    wanted = plain(folder.path);
    found = walk_all(house, folder.path);
  }
  chmod(folder.at("closed").c_str(), 0755);
  CHECK_EQ(found.result, 0);
  CHECK_EQ(found.errors.size(), 1);
  CHECK_EQ(found.errors[folder.at("closed")], EACCES);
  check_same(found, wanted, false);
}
