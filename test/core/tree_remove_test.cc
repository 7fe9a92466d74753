// rmTree: what is removed, what stays, and which errors are reported.
#include "jobs/tree/tree_remove.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <functional>
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

// Nested folders, far beyond PATH_MAX.
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
  chmod(folder.at("tree/shut").c_str(), 0);  // cannot be read either, but is empty
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
    // Replaces folders by links, and adds files to folders that are being removed.
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

namespace {

// Runs a function right before the n-th call of the removal after its root was opened.
acall::Seams plain_seams = acall::seams;
std::atomic<int> calls_before_it{0};
std::atomic<bool> root_was_opened{false};
std::function<void()> happening;

int64_t disturbed_call(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  // From the first getdents64 on: the root has been opened and checked.
  if (nr == SYS_getdents64) root_was_opened.store(true);
  if (root_was_opened.load() && calls_before_it.fetch_sub(1) == 1) happening();
  return plain_seams.syscall(word, nr, args);
}

struct Disturbed {
  Removal removal;
  bool happened;
};

Disturbed remove_disturbed(PromiseHouse& house, const std::string& root, int nth, std::function<void()> what) {
  happening = std::move(what);
  root_was_opened.store(false);
  calls_before_it.store(nth);
  Removal removal = remove_tree(house, root);
  return {removal, calls_before_it.exchange(0) <= 0};
}

// outer/tree and elsewhere/tree, with the same names in both: a removal that leaves its tree finds something to remove.
struct Twins {
  explicit Twins(const std::string& name) : tree("outer/" + name), other("elsewhere/" + name) {
    for (const std::string& root : {tree, other}) {
      folder.directory(root.substr(0, root.find('/')));
      folder.directory(root);
      folder.directory(root + "/sub");
      folder.file(root + "/sub/leaf");
      folder.file(root + "/file");
    }
  }
  bool other_is_whole(const std::string& at) const {
    return support::names_in(folder.at(at)).size() == 4 && exists(folder.at(at + "/sub/leaf"));
  }
  Folder folder;
  std::string tree, other;
};

void must(int rc) {
  if (rc != 0) abort();
}

}  // namespace

TEST("a link that takes the place of the root's parent, before any call of the removal, leads nobody out of the tree") {
  PromiseHouse house;
  support::WithSeams seams;
  plain_seams = seams.real();
  acall::seams.syscall = disturbed_call;
  const int before = support::open_descriptors();
  int happened = 0;
  for (int nth = 1; nth - 1 == happened; ++nth) {
    Twins twins("tree");
    const Folder& folder = twins.folder;
    Disturbed end = remove_disturbed(house, folder.at(twins.tree), nth, [&] {
      must(rename(folder.at("outer").c_str(), folder.at("moved").c_str()));
      must(symlink("elsewhere", folder.at("outer").c_str()));
    });
    happened += end.happened;
    CHECK_EQ(end.removal.result, 0);
    CHECK(end.removal.errors.empty());
    CHECK(twins.other_is_whole("elsewhere/tree"));
    if (end.happened) CHECK(!exists(folder.at("moved/tree")));
    CHECK_EQ(support::open_descriptors(), before);
  }
  CHECK(happened > 5);
}

TEST("what takes the place of the root, before any call of the removal, stays") {
  PromiseHouse house;
  support::WithSeams seams;
  plain_seams = seams.real();
  acall::seams.syscall = disturbed_call;
  for (const bool by_link : {false, true}) {
    int happened = 0;
    for (int nth = 1; nth - 1 == happened; ++nth) {
      Twins twins("tree");
      const Folder& folder = twins.folder;
      Disturbed end = remove_disturbed(house, folder.at(twins.tree), nth, [&] {
        must(rename(folder.at("outer/tree").c_str(), folder.at("away").c_str()));
        if (by_link) {
          must(symlink("../elsewhere/tree", folder.at("outer/tree").c_str()));
        } else {
          must(rename(folder.at("elsewhere/tree").c_str(), folder.at("outer/tree").c_str()));
        }
      });
      happened += end.happened;
      CHECK_EQ(end.removal.result, 0);
      if (!end.happened) continue;
      CHECK(twins.other_is_whole("outer/tree"));
      CHECK_EQ(support::names_in(folder.at("away")).size(), 2);  // the tree itself is emptied, also after it was moved
      const int told = end.removal.errors[folder.at("outer/tree")];
      CHECK(by_link ? told == ENOTDIR : told == ESTALE || told == ENOTEMPTY);
    }
    CHECK(happened > 5);
  }
}

TEST("the root gone, before any call of the removal, is no error") {
  PromiseHouse house;
  support::WithSeams seams;
  plain_seams = seams.real();
  acall::seams.syscall = disturbed_call;
  int happened = 0;
  for (int nth = 1; nth - 1 == happened; ++nth) {
    Twins twins("tree");
    const Folder& folder = twins.folder;
    Disturbed end = remove_disturbed(house, folder.at(twins.tree), nth,
                                     [&] { must(rename(folder.at("outer/tree").c_str(), folder.at("away").c_str())); });
    happened += end.happened;
    CHECK_EQ(end.removal.result, 0);
    CHECK(end.removal.errors.empty());
  }
  CHECK(happened > 5);
}

TEST("a path that leads through a link to its parent is looked up once") {
  PromiseHouse house;
  Twins twins("tree");
  const Folder& folder = twins.folder;
  must(symlink("outer", folder.at("way").c_str()));
  support::WithSeams seams;
  plain_seams = seams.real();
  acall::seams.syscall = disturbed_call;
  Disturbed end = remove_disturbed(house, folder.at("way//tree///"), 1, [&] {
    must(unlink(folder.at("way").c_str()));
    must(symlink("elsewhere", folder.at("way").c_str()));
  });
  CHECK(end.happened && end.removal.errors.empty());
  CHECK(!exists(folder.at("outer/tree")));
  CHECK(twins.other_is_whole("elsewhere/tree"));
}

TEST("a root that the current folder holds is removed by its bare name") {
  PromiseHouse house;
  Twins twins("tree");
  const int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(chdir(twins.folder.at("outer").c_str()));
  Removal removal = remove_tree(house, "tree");
  must(fchdir(here));
  close(here);
  CHECK_EQ(removal.result, 0);
  CHECK(!exists(twins.folder.at("outer/tree")));
  CHECK(exists(twins.folder.at("outer")));
}

TEST("a mount that covers the root meanwhile keeps what it shows; a root that is a mount is refused at once") {
  Twins twins("tree");
  const Folder& folder = twins.folder;
  const std::string root = folder.at("outer/tree"), other = folder.at("elsewhere/tree");
  if (!support::may_mount) return SKIP("may not mount");
  must(mount(other.c_str(), root.c_str(), nullptr, MS_BIND, nullptr));
  PromiseHouse house;
  Removal refused = remove_tree(house, root);
  must(umount2(root.c_str(), MNT_DETACH));
  CHECK_EQ(refused.errors[root], EBUSY);
  CHECK(twins.other_is_whole("elsewhere/tree"));
  support::WithSeams seams;
  plain_seams = seams.real();
  acall::seams.syscall = disturbed_call;
  int happened = 0;
  for (int nth = 1; nth - 1 == happened; ++nth) {
    Twins fresh("tree");
    const std::string covered = fresh.folder.at("outer/tree");
    bool mounted = false;
    Disturbed end = remove_disturbed(
        house, covered, nth, [&] { mounted = mount(other.c_str(), covered.c_str(), nullptr, MS_BIND, nullptr) == 0; });
    happened += end.happened;
    CHECK_EQ(mounted, end.happened);
    CHECK(twins.other_is_whole("elsewhere/tree"));
    if (!mounted) continue;
    must(umount2(covered.c_str(), MNT_DETACH));
    CHECK(end.removal.errors[covered] == ESTALE || end.removal.errors[covered] == EBUSY);
  }
  CHECK(happened > 5);
}
