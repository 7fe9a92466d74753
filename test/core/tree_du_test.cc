// du compared with GNU du, to the byte.
#include "jobs/tree/tree_du.h"

#include "check.h"
#include "jobs/tree/tree_links.h"
#include "tree_support.h"

using acall::DuOptions;
using support::Folder;
using support::PromiseHouse;

namespace {

void check_like_gnu(PromiseHouse& house, const std::string& root) {
  for (bool one_file_system : {false, true}) {
    for (bool apparent_size : {false, true}) {
      std::string command = std::string(apparent_size ? "-b" : "-B1") + (one_file_system ? " -x" : "");
      int64_t wanted = support::gnu_du(command, root);
      if (wanted < 0) return SKIP("GNU du is needed");
      DuOptions options;
      options.one_file_system = one_file_system;
      options.apparent_size = apparent_size;
      CHECK_EQ(du_all(house, root, options).totals.bytes, wanted);
    }
  }
}

}  // namespace

TEST("du of a nasty tree is what GNU du says") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  int before = support::open_descriptors();
  for (int round = 0; round < 10; ++round) check_like_gnu(house, folder.path);
  support::DuResult result = du_all(house, folder.path);
  CHECK_EQ(result.result, 0);
  CHECK_EQ(result.totals.errors, 0);
  CHECK_EQ(result.totals.directories, 7);
  // 300, leaf, hard once, four links, fifo, socket, new line, backslash, four odd names, sparse
  CHECK_EQ(result.totals.files, 300 + 1 + 1 + 4 + 2 + 2 + 4 + 1);
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("the root may be a file, a link, a link with a slash, or missing") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  for (const char* name : {"hard1", "to-plain", "to-plain/", "loop1", "fifo", "sparse", "empty", "plain/"}) {
    check_like_gnu(house, folder.at(name));
  }
  CHECK_EQ(du_all(house, folder.at("to-plain")).totals.files, 1);
  CHECK_EQ(du_all(house, folder.at("to-plain/")).totals.files, 300);
  CHECK_EQ(du_all(house, folder.at("none")).result, -ENOENT);
  CHECK_EQ(du_all(house, folder.at("hard1/")).result, -ENOTDIR);
}

TEST("mount points count without -x and are left out with it, mounted files too") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  folder.directory("mount");
  folder.file("bound-file");
  if (!support::may_mount) return SKIP("may not mount");
  CHECK_EQ(mount("tmpfs", folder.at("mount").c_str(), "tmpfs", 0, nullptr), 0);
  folder.file("mount/inside", 12345);
  CHECK_EQ(mount(folder.at("mount/inside").c_str(), folder.at("bound-file").c_str(), nullptr, MS_BIND, nullptr), 0);
  check_like_gnu(house, folder.path);
  check_like_gnu(house, folder.at("mount"));
  umount(folder.at("bound-file").c_str());
  umount(folder.at("mount").c_str());
}

TEST("a folder mounted inside itself counts once, as GNU du counts it") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  folder.directory("bound");
  struct stat mount_point;
  CHECK_EQ(lstat(folder.at("bound").c_str(), &mount_point), 0);
  uint64_t bytes = du_all(house, folder.path).totals.bytes;
  if (!support::may_mount) return SKIP("may not mount");
  CHECK_EQ(mount(folder.path.c_str(), folder.at("bound").c_str(), nullptr, MS_BIND, nullptr), 0);
  uint64_t with_loop = du_all(house, folder.path).totals.bytes;
  umount(folder.at("bound").c_str());
  CHECK_EQ(with_loop, bytes - static_cast<uint64_t>(mount_point.st_blocks) * 512);
}

TEST("a folder that may not be read counts with its own size and is told as an error") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  chmod(folder.path.c_str(), 0755);
  folder.directory("closed");
  folder.file("closed/file", 5000);
  folder.directory("no-search");
  folder.file("no-search/file", 5000);
  folder.directory("no-search/directory");
  chmod(folder.at("closed").c_str(), 0);
  chmod(folder.at("no-search").c_str(), 0644);
  support::DuResult result, closed_root;
  int64_t gnu;
  {
    support::Nobody nobody;
    result = du_all(house, folder.path);
    gnu = support::gnu_du("-B1", folder.path);
    closed_root = du_all(house, folder.at("closed"));
  }
  chmod(folder.at("closed").c_str(), 0755);
  chmod(folder.at("no-search").c_str(), 0755);
  CHECK_EQ(result.totals.bytes, gnu);
  CHECK_EQ(result.totals.errors, 3);
  CHECK_EQ(result.errors[folder.at("closed")], EACCES);
  CHECK_EQ(result.errors[folder.at("no-search/file")], EACCES);
  CHECK_EQ(result.errors[folder.at("no-search/directory")], EACCES);
  CHECK_EQ(closed_root.result, 0);
  CHECK_EQ(closed_root.totals.errors, 1);
  CHECK_EQ(closed_root.totals.directories, 1);
}

TEST("du of folders of this machine is what GNU du says") {
  PromiseHouse house;
  for (const char* root : {"/usr/share/doc", "/usr/lib", "/etc"}) {
    if (access(root, F_OK) == 0) check_like_gnu(house, root);
  }
}

TEST("du shows its progress and can be cancelled at any moment") {
  PromiseHouse house;
  int before = support::open_descriptors();
  int cancelled = 0;
  for (int round = 0; round < 100; ++round) {
    acall::Du* du = acall::Du::make(*house.environment, "/usr", 4, {});
    acall_id id;
    du->begin(*house.ring, 1, true, &id);
    du->start();
    while (du->totals().files < static_cast<uint64_t>(round) * 50) sched_yield();
    CHECK_EQ(acall::engine_cancel(id), 0);
    int64_t result = house.wait(1);
    CHECK(result == 0 || result == -ECANCELED);
    cancelled += result == -ECANCELED;
    du->release();
  }
  CHECK(cancelled > 90);
  while (acall::engine_counters().completed != acall::engine_counters().submitted) sched_yield();
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("a link set tells first from again, for any inode and device") {
  acall::LinkSet set;
  for (uint64_t device : {0, 1, 77}) {
    for (uint64_t inode = 0; inode < 20'000; ++inode) {
      CHECK(set.insert(device, inode * 4096) == acall::LinkSet::Met::kFirst);
    }
    for (uint64_t inode = 0; inode < 20'000; ++inode) {
      CHECK(set.insert(device, inode * 4096) == acall::LinkSet::Met::kAgain);
    }
  }
  set.clear();
}
