// rmTree: what goes, what stays, and what is told of it.
#include "tree_remove.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <thread>

#include "check.h"
#include "support.h"
#include "tree_support.h"

using acall::RemoveTree;
using support::Folder;
using support::PromiseHouse;

namespace {

struct Removal {
  int64_t result;
  std::map<std::string, int> errors;
  std::map<std::string, acall::TreeCall> calls;
};

Removal finish(PromiseHouse& house, RemoveTree* job) {
  Removal removal{house.wait(9), {}, {}};
  acall::TreeError* error = job->take_errors();
  while (error != nullptr) {
    removal.errors[error->path] = error->error;
    removal.calls[error->path] = error->call;
    free(std::exchange(error, error->next));
  }
  job->release();
  return removal;
}

Removal remove_tree(PromiseHouse& house, const std::string& root) {
  RemoveTree* job = RemoveTree::make(*house.environment, root.data(), root.size());
  if (job->begin(*house.ring, 9, true, nullptr) != 0) abort();
  job->start();
  return finish(house, job);
}

bool exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

void make_wide_tree(const Folder& folder, const std::string& name, int folders, int files) {
  folder.directory(name);
  for (int i = 0; i < folders; ++i) {
    std::string sub = name + "/d" + std::to_string(i);
    folder.directory(sub);
    for (int j = 0; j < files; ++j) folder.file(sub + "/f" + std::to_string(j));
    if (i % 3 == 0) folder.directory(sub + "/empty");
  }
}

// Folders below each other, far beyond PATH_MAX.
void make_deep_tree(const std::string& root, int depth) {
  mkdir(root.c_str(), 0755);
  int fd = open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < depth; ++i) {
    if (mkdirat(fd, "deeper", 0755) != 0) abort();
    int file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    close(file);
    int next = openat(fd, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(fd);
    fd = next;
  }
  close(fd);
}

}  // namespace

TEST("a nasty tree goes, and what its links lead to stays") {
  PromiseHouse house;
  Folder folder;
  Folder outside;
  outside.directory("kept");
  outside.file("kept/file", 10);
  folder.directory("tree");
  Folder* inside = new Folder();
  make_nasty_tree(*inside);
  if (rename(inside->path.c_str(), folder.at("tree/nasty").c_str()) != 0) abort();
  delete inside;
  if (symlink(outside.at("kept").c_str(), folder.at("tree/nasty/out").c_str()) != 0) abort();
  if (symlink((outside.at("kept") + "/").c_str(), folder.at("tree/nasty/out2").c_str()) != 0) abort();
  if (symlink("/nowhere", folder.at("tree/dangling").c_str()) != 0) abort();
  int before = support::open_descriptors();
  Removal removal = remove_tree(house, folder.at("tree"));
  CHECK_EQ(removal.result, 0);
  CHECK(removal.errors.empty());
  CHECK(!exists(folder.at("tree")));
  CHECK(exists(outside.at("kept/file")));
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("the root may be a file or a link, which is not followed; nothing there is an error") {
  PromiseHouse house;
  Folder folder;
  folder.file("file", 3);
  folder.directory("target");
  folder.file("target/kept");
  if (symlink("target", folder.at("link").c_str()) != 0) abort();
  CHECK_EQ(remove_tree(house, folder.at("none")).result, -ENOENT);
  CHECK_EQ(remove_tree(house, folder.at("file/x")).result, -ENOTDIR);
  CHECK_EQ(remove_tree(house, folder.at("file/")).result, -ENOTDIR);
  CHECK_EQ(remove_tree(house, "").result, -ENOENT);
  CHECK(exists(folder.at("file")));
  CHECK_EQ(remove_tree(house, folder.at("link/")).errors[folder.at("link")], ENOTDIR);
  CHECK(exists(folder.at("link")));
  CHECK(remove_tree(house, folder.at("link")).errors.empty());
  CHECK(!exists(folder.at("link")));
  CHECK(exists(folder.at("target/kept")));
  CHECK(remove_tree(house, folder.at("file")).errors.empty());
  CHECK(!exists(folder.at("file")));
  CHECK(remove_tree(house, folder.at("target//")).errors.empty());
  CHECK(!exists(folder.at("target")));
}

TEST("what rmdir would refuse in the end is refused before anything goes") {
  PromiseHouse house;
  Folder folder;
  folder.directory("kept");
  folder.directory("kept/sub");
  CHECK_EQ(remove_tree(house, "/").errors["/"], EBUSY);
  CHECK_EQ(remove_tree(house, "//").errors.size(), 1);
  CHECK_EQ(remove_tree(house, folder.at("kept/.")).errors[folder.at("kept/.")], EINVAL);
  CHECK_EQ(remove_tree(house, folder.at("kept/sub/..")).errors[folder.at("kept/sub/..")], ENOTEMPTY);
  CHECK(exists(folder.at("kept/sub")));
}

TEST("a deep tree goes with few descriptors, and a wide one") {
  PromiseHouse house;
  Folder folder;
  make_deep_tree(folder.at("deep"), 3000);
  make_wide_tree(folder, "wide", 700, 5);
  rlimit old, few;
  getrlimit(RLIMIT_NOFILE, &old);
  few = old;
  few.rlim_cur = 40;
  setrlimit(RLIMIT_NOFILE, &few);
  Removal deep = remove_tree(house, folder.at("deep"));
  Removal wide = remove_tree(house, folder.at("wide"));
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK(deep.errors.empty());
  CHECK(wide.errors.empty());
  CHECK(!exists(folder.at("deep")));
  CHECK(!exists(folder.at("wide")));
}

TEST("one large folder goes") {
  PromiseHouse house;
  Folder folder;
  make_wide_tree(folder, "large", 1, 20'000);
  CHECK(remove_tree(house, folder.at("large")).errors.empty());
  CHECK(!exists(folder.at("large")));
}

TEST("what may not be removed is told, and the rest goes") {
  support::Nobody nobody;
  PromiseHouse house;
  Folder folder;
  make_wide_tree(folder, "tree", 20, 5);
  chmod(folder.at("tree/d3").c_str(), 0555);  // its files stay
  chmod(folder.at("tree/d5").c_str(), 0);     // cannot be read
  folder.directory("tree/shut");
  chmod(folder.at("tree/shut").c_str(), 0);  // nor can this, but it is empty
  Removal removal = remove_tree(house, folder.at("tree"));
  CHECK_EQ(removal.result, 0);
  CHECK_EQ(removal.errors.size(), 5 + 1 + 1);
  CHECK_EQ(removal.errors[folder.at("tree/d3/f0")], EACCES);
  CHECK_EQ(removal.calls[folder.at("tree/d3/f0")], acall::TreeCall::kUnlink);
  CHECK_EQ(removal.errors[folder.at("tree/d3/empty")], EACCES);
  CHECK_EQ(removal.calls[folder.at("tree/d3/empty")], acall::TreeCall::kRemoveDirectory);
  CHECK_EQ(removal.errors[folder.at("tree/d5")], EACCES);
  CHECK_EQ(removal.calls[folder.at("tree/d5")], acall::TreeCall::kOpen);
  CHECK_EQ(support::names_in(folder.at("tree")).size(), 2 + 2);
  chmod(folder.at("tree/d3").c_str(), 0755);
  chmod(folder.at("tree/d5").c_str(), 0755);
  CHECK(remove_tree(house, folder.at("tree")).errors.empty());
}

TEST("a tree that others change meanwhile leads nobody out of it") {
  PromiseHouse house;
  Folder folder, outside;
  outside.directory("kept");
  for (int i = 0; i < 200; ++i) outside.file("kept/f" + std::to_string(i));
  for (int round = 0; round < 30; ++round) {
    make_wide_tree(folder, "tree", 60, 3);
    std::atomic<bool> stop{false};
    // Puts links in the place of folders, and files into folders that are being removed.
    std::thread other([&] {
      for (int i = 0; !stop.load(); i = (i + 7) % 60) {
        std::string sub = folder.at("tree/d" + std::to_string(i));
        struct stat info;
        if (lstat(sub.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
            rename(sub.c_str(), (sub + "-moved").c_str()) == 0 &&
            symlink(outside.at("kept").c_str(), sub.c_str()) != 0) {
          continue;
        }
        int fd = open((sub + "-moved/late").c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd >= 0) close(fd);
      }
    });
    Removal removal = remove_tree(house, folder.at("tree"));
    stop.store(true);
    other.join();
    CHECK_EQ(removal.result, 0);
    CHECK_EQ(support::names_in(outside.at("kept")).size(), 202);
    CHECK(remove_tree(house, folder.at("tree")).errors.empty());
  }
}

TEST("a removal that is cancelled ends once and keeps no descriptor") {
  PromiseHouse house;
  Folder folder;
  int before = support::open_descriptors();
  for (int round = 0; round < 100; ++round) {
    make_wide_tree(folder, "tree", 30, 3);
    std::string root = folder.at("tree");
    RemoveTree* job = RemoveTree::make(*house.environment, root.data(), root.size());
    acall_id id;
    if (job->begin(*house.ring, 9, true, &id) != 0) abort();
    job->start();
    for (int spin = 0; spin < round * 300; ++spin) acall::cpu_relax();
    int rc = acall::engine_cancel(id);
    Removal removal = finish(house, job);
    CHECK(removal.result == -ECANCELED || (removal.result == 0 && rc != 0) || removal.result == 0);
    CHECK(removal.errors.empty());
    if (removal.result == 0) CHECK(!exists(root));
  }
  CHECK_EQ(support::open_descriptors(), before);
}

namespace {
std::atomic<int> allocations_left{0};
void* failing_allocate(size_t bytes) { return allocations_left.fetch_sub(1) == 1 ? nullptr : malloc(bytes); }
}  // namespace

TEST("memory that runs out ends the removal with an error and nothing leaks") {
  PromiseHouse house;
  Folder folder;
  int before = support::open_descriptors();
  support::WithSeams seams;
  acall::seams.allocate = failing_allocate;
  int failed = 0;
  for (int nth = 1; nth < 60; ++nth) {
    make_wide_tree(folder, "tree", 12, 3);
    std::string root = folder.at("tree");
    RemoveTree* job = RemoveTree::make(*house.environment, root.data(), root.size());
    if (job->begin(*house.ring, 9, true, nullptr) != 0) abort();
    allocations_left.store(nth);
    job->start();
    Removal removal = finish(house, job);
    allocations_left.store(0);
    failed += removal.result != 0;
    CHECK(removal.result == 0 || removal.result == -ENOMEM || removal.result == -EAGAIN);
    CHECK_EQ(support::open_descriptors(), before);
  }
  CHECK(failed > 10);
}
