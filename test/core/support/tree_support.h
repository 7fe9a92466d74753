// Support for tests of jobs and traversals: an environment with a promise ring, a scratch folder, and the entries that
// a plain C loop finds there, to compare with.
#ifndef ACALL_TEST_CORE_TREE_SUPPORT_H_
#define ACALL_TEST_CORE_TREE_SUPPORT_H_

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "descriptors.h"
#include "engine.h"
#include "jobs/job.h"
#include "jobs/tree/tree_du.h"
#include "jobs/tree/tree_walk.h"
#include "temporary.h"
#include "threads/threads.h"

namespace support {

// An environment of the promise layer. Its ops complete in its ring with their cookies.
class PromiseHouse {
 public:
  PromiseHouse() {
    acall::engine_start();
    ring = acall::ring_make_core_owned(kSlots);
    environment = acall::environment_attach({}, ring);
    // The thread's first wait opens its eventfd. It happens here, before tests count descriptors.
    timespec moment{0, 1};
    acall::WaitLimits limits;
    limits.timeout = &moment;
    acall::wait_for_ring(*ring, 0, 1, limits);
  }
  ~PromiseHouse() {
    if (environment != nullptr) acall::environment_detach(environment, false);
  }
  PromiseHouse(const PromiseHouse&) = delete;
  PromiseHouse& operator=(const PromiseHouse&) = delete;

  // Blocks until the op with this cookie is complete and returns its result. One op at a time.
  int64_t wait(uint64_t cookie) {
    acall_completion completion{};
    while (acall::ring_drain(*ring, &completion, 1) == 0) {
      acall::WaitLimits limits;
      acall::wait_for_ring(*ring, tail_, 1, limits);
    }
    ++tail_;
    return completion.cookie == cookie ? static_cast<int64_t>(completion.return_code) : INT64_MIN;
  }

  // The test has detached it.
  void forget() { environment = nullptr; }

  acall::Environment* environment;
  acall::Ring* ring;

 private:
  static constexpr uint32_t kSlots = 256;
  uint32_t tail_ = 0;
};

// As root, mounts are made in a mount namespace of this program, so that none outlives it, however it ends. Entered
// before main(): all threads of the engine must see the same mounts.
inline const bool may_mount =
    unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;

// A new folder that is removed at the end with everything in it. `in_memory`: on a tmpfs where there is one, for a
// hundred thousand entries and more.
class Folder {
 public:
  explicit Folder(bool in_memory = false) {
    path = make_temporary(in_memory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : temporary_root());
  }
  ~Folder() {
    std::string command = "rm -rf --one-file-system '" + path + "'";
    if (system(command.c_str()) != 0) fprintf(stderr, "could not remove %s\n", path.c_str());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string at(const std::string& name) const { return path + "/" + name; }
  void directory(const std::string& name) const { mkdir(at(name).c_str(), 0755); }
  void file(const std::string& name, size_t bytes = 0) const {
    int fd = open(at(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    std::string content(bytes, 'x');
    if (write(fd, content.data(), bytes) != static_cast<ssize_t>(bytes)) abort();
    close(fd);
  }

  std::string path;
};

inline std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  DIR* stream = opendir(folder.c_str());
  while (dirent* entry = readdir(stream)) names.insert(entry->d_name);
  closedir(stream);
  return names;
}

inline char letter_of(unsigned char type) {
  switch (type) {
    case DT_DIR:
      return 'd';
    case DT_REG:
      return 'f';
    case DT_LNK:
      return 'l';
    case DT_FIFO:
      return 'p';
    case DT_SOCK:
      return 's';
    case DT_CHR:
      return 'c';
    case DT_BLK:
      return 'b';
    default:
      return '?';
  }
}

struct Found {
  std::map<std::string, std::string> entries;  // path -> type letter, then the depth
  std::map<std::string, int> errors;           // path -> errno
  std::map<std::string, uint64_t> sizes;       // with stats
  int result = 0;
  uint32_t pages = 0;
  uint64_t count = 0;
};

inline void add_page(Found& found, const acall::WalkPage& page) {
  ++found.pages;
  const char* text = page.text.data();
  const auto* runs = reinterpret_cast<const acall::WalkRun*>(page.runs.data());
  uint32_t run = 0, left = runs[0].rows;
  for (uint32_t row = 0; row < page.rows; ++row) {
    if (left == 0) left = runs[++run].rows;
    --left;
    std::string path(text);
    text += path.size() + 1;
    found.entries[path] =
        letter_of(static_cast<unsigned char>(page.types.data()[row])) + std::to_string(runs[run].depth);
    if (page.stats != nullptr) {
      int error = static_cast<int>(page.columns.u32(acall::NarrowColumn::kError)[row]);
      found.sizes[path] =
          error != 0 ? UINT64_MAX : static_cast<uint64_t>(page.columns.f64(acall::WideColumn::kSize)[row]);
    }
    ++found.count;
  }
}

inline void add_output(Found& found, acall::Walk::Output& output) {
  while (output.pages != nullptr) {
    add_page(found, *output.pages);
    acall::walk_page_free(std::exchange(output.pages, output.pages->next));
  }
  while (output.errors != nullptr) {
    found.errors[output.errors->path] = output.errors->error;
    free(std::exchange(output.errors, output.errors->next));
  }
  found.result = output.result;
}

// For the life of this object all threads of a process of root have the user `nobody`; as real user too, to which
// shells fall back.
class Nobody {
 public:
  Nobody() : was_root_(geteuid() == 0) {
    if (was_root_ && setresuid(65534, 65534, 0) != 0) abort();
  }
  ~Nobody() {
    if (was_root_ && setresuid(0, 0, 0) != 0) abort();
  }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;

 private:
  const bool was_root_;
};

// Runs a whole walk and fetches its pages as a consumer does.
inline Found walk_all(PromiseHouse& house, const std::string& root, const acall::WalkOptions& options = {}) {
  Found found;
  acall::Walk* walk = acall::Walk::make(*house.environment, root.data(), root.size(), options);
  walk->start();
  for (uint64_t cookie = 1;; ++cookie) {
    acall::Walk::Output output = walk->take();
    bool some = output.pages != nullptr || output.errors != nullptr;
    add_output(found, output);
    if (output.ended) break;
    if (some) continue;
    if (walk->begin(*house.ring, cookie, true, nullptr) != 0) abort();
    house.wait(cookie);
  }
  walk->release();
  return found;
}

// The same by a plain loop over readdir(3).
inline void walk_plainly(const std::string& directory, int depth, Found& found) {
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) {
    found.errors[directory] = errno;
    return;
  }
  while (dirent* entry = readdir(stream)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::string path = directory + "/" + name;
    struct stat info;
    lstat(path.c_str(), &info);
    found.entries[path] = letter_of(static_cast<unsigned char>(info.st_mode >> 12)) + std::to_string(depth);
    found.sizes[path] = static_cast<uint64_t>(info.st_size);
    ++found.count;
    if (S_ISDIR(info.st_mode)) walk_plainly(path, depth + 1, found);
  }
  closedir(stream);
}

struct DuResult {
  acall::Du::Totals totals;
  int64_t result;
  std::map<std::string, int> errors;
};

inline DuResult du_all(PromiseHouse& house, const std::string& root, const acall::DuOptions& options = {}) {
  DuResult result;
  acall::Du* du = acall::Du::make(*house.environment, root.data(), root.size(), options);
  if (du->begin(*house.ring, 7, true, nullptr) != 0) abort();
  du->start();
  result.result = house.wait(7);
  result.totals = du->totals();
  acall::TreeError* error = du->take_errors();
  while (error != nullptr) {
    result.errors[error->path] = error->error;
    free(std::exchange(error, error->next));
  }
  du->release();
  return result;
}

// What GNU du prints with these options; -1 when there is no GNU du. Not for trees that contain themselves: there it
// makes a stat of every mount point of the machine, and never returns from a hung one.
inline int64_t gnu_du(const std::string& options, const std::string& root) {
  std::string command = "du -s " + options + " '" + root + "' 2>/dev/null";
  FILE* output = popen(command.c_str(), "r");
  long long bytes = -1;
  if (output == nullptr || fscanf(output, "%lld", &bytes) != 1) bytes = -1;
  if (output != nullptr) pclose(output);
  return bytes;
}

// Makes a folder with all kinds of files and awkward names.
inline void make_nasty_tree(const Folder& folder) {
  folder.directory("plain");
  for (int i = 0; i < 300; ++i) folder.file("plain/file" + std::to_string(i), static_cast<size_t>(i) * 37);
  folder.directory("empty");
  folder.directory("nested");
  folder.directory("nested/a");
  folder.directory("nested/a/b");
  folder.file("nested/a/b/leaf", 5000);
  folder.file("hard1", 70000);
  if (link(folder.at("hard1").c_str(), folder.at("hard2").c_str()) != 0) abort();
  if (link(folder.at("hard1").c_str(), folder.at("nested/hard3").c_str()) != 0) abort();
  if (symlink("..", folder.at("nested/up").c_str()) != 0) abort();
  if (symlink("loop2", folder.at("loop1").c_str()) != 0) abort();
  if (symlink("loop1", folder.at("loop2").c_str()) != 0) abort();
  if (symlink("plain", folder.at("to-plain").c_str()) != 0) abort();
  if (mkfifo(folder.at("fifo").c_str(), 0644) != 0) abort();
  if (mknod(folder.at("socket").c_str(), S_IFSOCK | 0644, 0) != 0) abort();
  folder.file("new\nline", 1);
  folder.file("back\\slash", 1);
  folder.file("\xff\xfe-not-utf8", 10);
  folder.directory("d\xc3(");
  folder.file("d\xc3(/inside\x80", 11);
  folder.file("\xf0\x9f\x98\x80", 12);
  folder.file(std::string(255, 'n'), 3);
  int fd = open(folder.at("sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (ftruncate(fd, 50'000'000) != 0) abort();
  close(fd);
}

}  // namespace support

#endif  // ACALL_TEST_CORE_TREE_SUPPORT_H_
