// readFile, writeFile, copyFile and mkdirp: their results, and what is left when any of their calls fails or is
// cancelled.
#include "files/file_tasks.h"

#include <sys/syscall.h>
#include <sys/xattr.h>

#include <functional>
#include <vector>

#include "check.h"
#include "files/file_tasks_resemble.h"
#include "support.h"
#include "tree_support.h"

using acall::Block;
using acall::FileCall;
using acall::FileTask;
using support::Folder;
using support::names_in;
using support::PromiseHouse;

namespace {

struct Request {
  const acall::BackEnd* back_end;
  std::string path;
  std::string other;
  bool has_other = false;
  std::string data;
  int flags = 0;
  uint32_t mode = 0;
  uint32_t options = 0;
};

struct Outcome {
  int64_t result;
  FileCall call;
  uint64_t number;
  std::string content;
};

// The id of the running op, for calls that cancel it.
acall_id current;

Outcome perform(PromiseHouse& house, const Request& request) {
  Block* block = acall::file_task_make(request.path.data(), request.path.size(),
                                       request.has_other ? request.other.data() : nullptr, request.other.size(),
                                       request.data.size());
  FileTask& task = acall::file_task_of(*block);
  task.flags = request.flags;
  task.mode = request.mode;
  task.options = request.options;
  memcpy(acall::file_task_bytes(*block), request.data.data(), request.data.size());
  acall::PromiseWork work;
  work.back_end = request.back_end;
  work.extra = &task;
  work.cookie = 1;
  work.block = block;
  acall::block_reference(*block);
  // The id is stored before the op can run, since the fake call below uses it.
  if (acall::engine_submit_work(*house.environment, *house.ring, &work, 1, &current) != 1) abort();
  Outcome outcome{house.wait(1), task.call, task.number, {}};
  if (task.content != nullptr && outcome.result > 0) {
    outcome.content.assign(reinterpret_cast<char*>(task.content->data()), static_cast<size_t>(outcome.result));
  }
  acall::block_release(block);
  return outcome;
}

Request read_file(const std::string& path) {
  return {.back_end = &acall::kReadFile, .path = path, .other = {}, .data = {}, .flags = O_RDONLY};
}
Request write_file(const std::string& path, const std::string& data, uint32_t options) {
  return {.back_end = &acall::kWriteFile,
          .path = path,
          .other = {},
          .data = data,
          .flags = O_WRONLY | O_CREAT | O_TRUNC,
          .mode = 0644,
          .options = options};
}
Request copy_file(const std::string& from, const std::string& to, uint32_t options = 0) {
  return {.back_end = &acall::kCopyFile, .path = from, .other = to, .has_other = true, .data = {}, .options = options};
}
Request make_directories(const std::string& path) {
  return {.back_end = &acall::kMakeDirectories, .path = path, .other = {}, .data = {}, .mode = 0777};
}

std::string content_of(const std::string& path) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return "(none)";
  std::string content;
  char buffer[65536];
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;) content.append(buffer, got);
  fclose(file);
  return content;
}

std::string pattern(size_t bytes) {
  std::string content(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) content[i] = static_cast<char>(i * 131 + i / 255);
  return content;
}

void put(const std::string& path, const std::string& content) {
  FILE* file = fopen(path.c_str(), "we");
  if (fwrite(content.data(), 1, content.size(), file) != content.size()) abort();
  fclose(file);
}

// The n-th call of the task fails, or is cancelled before it is made.
acall::Seams real_seams = acall::seams;
std::atomic<int> calls_left{0};
std::atomic<int> error_to_give{0};  // 0: cancel

int64_t failing_call(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  if (calls_left.fetch_sub(1) == 1) {
    if (int error = error_to_give.load(); error != 0) return error;
    CHECK_EQ(acall::engine_cancel(current), 0);
  }
  return real_seams.syscall(word, nr, args);
}

// Runs the request once for each of its calls, and that call fails; `check` tests what is left.
void fail_everywhere(PromiseHouse& house, const Request& request, const std::function<void()>& prepare,
                     const std::function<void(const Outcome&)>& check) {
  support::WithSeams seams;
  real_seams = seams.real();
  acall::seams.syscall = failing_call;
  const int before = support::open_descriptors();
  for (int error : {-EIO, -ENOSPC, -EACCES, -EINTR, 0}) {
    int failed = 0, succeeded = 0;
    for (int nth = 1; nth < 60 && succeeded < 3; ++nth) {
      prepare();
      error_to_give.store(error);
      calls_left.store(nth);
      Outcome outcome = perform(house, request);
      bool reached = calls_left.exchange(0) <= 0;
      CHECK_EQ(support::open_descriptors(), before);
      check(outcome);
      if (error == 0 && reached && outcome.result < 0) CHECK(outcome.result == -ECANCELED || outcome.result == -EINTR);
      failed += outcome.result < 0;
      succeeded += !reached;
    }
    if (error != -EINTR) {
      CHECK(failed > 0);  // an -EINTR without a cancel has no effect
    } else {
      CHECK_EQ(failed, 0);
    }
    CHECK_EQ(succeeded, 3);
  }
}

}  // namespace

TEST("a file is read whole, whatever its size says") {
  PromiseHouse house;
  Folder folder;
  for (size_t size : {0u, 1u, 32'767u, 32'768u, 32'769u, 100'000u, 9'000'001u}) {
    put(folder.at("file"), pattern(size));
    Outcome outcome = perform(house, read_file(folder.at("file")));
    CHECK_EQ(outcome.result, size);
    CHECK(outcome.content == pattern(size));
  }
  CHECK(perform(house, read_file("/proc/version")).content == content_of("/proc/version"));
  Outcome none = perform(house, read_file(folder.at("none")));
  CHECK_EQ(none.result, -ENOENT);
  CHECK_EQ(none.call, FileCall::kOpen);
  Outcome directory = perform(house, read_file(folder.path));
  CHECK_EQ(directory.result, -EISDIR);
  CHECK_EQ(directory.call, FileCall::kRead);
}

TEST("reading: a call that fails or is cancelled leaves no descriptor") {
  PromiseHouse house;
  Folder folder;
  put(folder.at("file"), pattern(600'000));
  fail_everywhere(
      house, read_file(folder.at("file")), [] {},
      [](const Outcome& outcome) {
        if (outcome.result >= 0) CHECK(outcome.content == pattern(600'000));
      });
}

TEST("an atomic write leaves the old file or the new one, and nothing beside it") {
  PromiseHouse house;
  Folder folder;
  const std::string target = folder.at("target"), link = folder.at("link");
  if (symlink("target", link.c_str()) != 0) abort();
  const std::string fresh = pattern(200'000);
  for (bool exists : {true, false}) {
    fail_everywhere(
        house, write_file(link, fresh, acall::kFileAtomic | acall::kFileSync),
        [&] {
          unlink(target.c_str());
          if (!exists) return;
          put(target, "old");
          chmod(target.c_str(), 0640);
        },
        [&](const Outcome& outcome) {
          std::string now = content_of(target);
          CHECK(now == fresh || now == (exists ? "old" : "(none)"));
          if (outcome.result == 0) CHECK(now == fresh);
          std::set<std::string> names = names_in(folder.path);
          CHECK_EQ(names.size(), now == "(none)" ? 3 : 4);
          struct stat info;
          if (exists && lstat(target.c_str(), &info) == 0) CHECK_EQ(info.st_mode & 07777, 0640);
          if (lstat(link.c_str(), &info) == 0) CHECK(S_ISLNK(info.st_mode));
        });
  }
}

TEST("an atomic write replaces files only, and with O_EXCL none") {
  PromiseHouse house;
  Folder folder;
  folder.directory("directory");
  if (mkfifo(folder.at("fifo").c_str(), 0600) != 0) abort();
  put(folder.at("file"), "old");
  auto atomic = [&](const std::string& name, int flags) {
    Request request = write_file(folder.at(name), "new", acall::kFileAtomic);
    request.flags |= flags;
    return perform(house, request).result;
  };
  CHECK_EQ(atomic("directory", 0), -EISDIR);
  CHECK_EQ(atomic("fifo", 0), -EINVAL);
  CHECK_EQ(atomic("file", O_EXCL), -EEXIST);
  CHECK(content_of(folder.at("file")) == "old");
  CHECK_EQ(atomic("none/file", 0), -ENOENT);
  CHECK_EQ(atomic("fresh", O_EXCL), 0);
  CHECK(content_of(folder.at("fresh")) == "new");
  CHECK_EQ(atomic(std::string(255, 'n'), 0), 0);
  CHECK_EQ(names_in(folder.path).size(), 2 + 5);
}

TEST("a copy has the bytes, the mode and the holes of its source") {
  PromiseHouse house;
  Folder folder;
  const std::string source = folder.at("source"), target = folder.at("target");
  for (size_t size : {0u, 1u, 4096u, 3'000'000u}) {
    put(source, pattern(size));
    chmod(source.c_str(), 0751);
    put(target, "something longer that is there already");
    CHECK_EQ(perform(house, copy_file(source, target)).result, 0);
    CHECK(content_of(target) == pattern(size));
    struct stat info;
    stat(target.c_str(), &info);
    CHECK_EQ(info.st_mode & 07777, 0751);
  }
  int fd = open(source.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  const std::string piece = pattern(5000);
  for (off_t at : {0, 10'000'000, 30'000'000}) CHECK_EQ(pwrite(fd, piece.data(), piece.size(), at), piece.size());
  if (ftruncate(fd, 50'000'001) != 0) abort();
  close(fd);
  CHECK_EQ(perform(house, copy_file(source, target)).result, 0);
  CHECK(content_of(target) == content_of(source));
  struct stat before, after;
  stat(source.c_str(), &before);
  stat(target.c_str(), &after);
  CHECK_EQ(after.st_size, before.st_size);
  CHECK(after.st_blocks <= before.st_blocks + 16);
  CHECK_EQ(perform(house, copy_file("/proc/version", target)).result, 0);
  CHECK(content_of(target) == content_of("/proc/version"));
}

TEST("a copy keeps what it must not touch") {
  PromiseHouse house;
  Folder folder;
  put(folder.at("source"), "source");
  put(folder.at("target"), "target");
  CHECK_EQ(perform(house, copy_file(folder.at("source"), folder.at("source"))).result, 0);
  CHECK(content_of(folder.at("source")) == "source");
  CHECK_EQ(perform(house, copy_file(folder.at("source"), folder.at("target"), acall::kCopyExclusive)).result, -EEXIST);
  CHECK_EQ(perform(house, copy_file(folder.path, folder.at("target"))).result, -EISDIR);
  CHECK_EQ(perform(house, copy_file(folder.path, folder.at("target"), acall::kCopyExclusive)).result, -EEXIST);
  CHECK_EQ(perform(house, copy_file(folder.path, folder.at("none"))).result, -EISDIR);
  CHECK_EQ(access(folder.at("none").c_str(), F_OK), -1);
  CHECK_EQ(perform(house, copy_file(folder.path, folder.at("none/target"))).result, -ENOENT);
  CHECK_EQ(perform(house, copy_file(folder.path, folder.at("source/target"))).result, -ENOTDIR);
  CHECK_EQ(perform(house, copy_file(folder.at("none"), folder.at("target"))).result, -ENOENT);
  CHECK(content_of(folder.at("target")) == "target");
  if (mkfifo(folder.at("fifo").c_str(), 0600) != 0) abort();
  int reader = open(folder.at("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  CHECK_EQ(perform(house, copy_file(folder.at("source"), folder.at("fifo"))).result, -EINVAL);
  CHECK_EQ(access(folder.at("fifo").c_str(), F_OK), 0);
  close(reader);
}

TEST("a copy over a file that is there never takes it away, whatever call fails or is cancelled") {
  PromiseHouse house;
  Folder folder;
  const std::string source = folder.at("source"), target = folder.at("target");
  put(source, pattern(50'000));
  struct stat first, now;
  put(target, "old");
  stat(target.c_str(), &first);
  fail_everywhere(
      house, copy_file(source, target), [&] { put(target, "old"); },
      [&](const Outcome& outcome) {
        CHECK_EQ(stat(target.c_str(), &now), 0);
        CHECK_EQ(now.st_ino, first.st_ino);
        CHECK_EQ(names_in(folder.path).size(), 2 + 2);
        if (outcome.result == 0) CHECK(content_of(target) == pattern(50'000));
      });
}

TEST("a copy that fails or is cancelled leaves no descriptor and no half of a file") {
  PromiseHouse house;
  Folder folder;
  const std::string source = folder.at("source"), target = folder.at("target");
  put(source, pattern(50'000));
  if (truncate(source.c_str(), 3'000'000) != 0) abort();
  const std::string whole = content_of(source);
  fail_everywhere(
      house, copy_file(source, target), [&] { unlink(target.c_str()); },
      [&](const Outcome& outcome) {
        std::string now = content_of(target);
        if (outcome.result == 0) {
          CHECK(now == whole);
        } else {
          CHECK(now == "(none)");
        }
        CHECK_EQ(names_in(folder.path).size(), now == "(none)" ? 2 + 1 : 2 + 2);
      });
}

namespace {

// Runs a function right before the n-th call of the task.
std::function<void()> happening;
std::atomic<bool> by_hand{false};

int64_t disturbed_call(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  if (calls_left.fetch_sub(1) == 1) happening();
  if (by_hand.load() && nr == SYS_copy_file_range) return -EXDEV;
  return real_seams.syscall(word, nr, args);
}

// Runs the task for n from 1 on, as long as it has so many calls. `check` gets n.
int disturb_everywhere(PromiseHouse& house, const Request& request, const std::function<void()>& prepare,
                       std::function<void()> what, const std::function<void(const Outcome&, int)>& check) {
  support::WithSeams seams;
  real_seams = seams.real();
  acall::seams.syscall = disturbed_call;
  happening = std::move(what);
  for (int nth = 1;; ++nth) {
    prepare();
    calls_left.store(nth);
    Outcome outcome = perform(house, request);
    if (calls_left.exchange(0) > 0) return nth - 1;
    check(outcome, nth);
  }
}

}  // namespace

TEST("a source that becomes shorter while it is copied is not made up for with zeros") {
  PromiseHouse house;
  Folder folder;
  const std::string source = folder.at("source"), target = folder.at("target");
  for (const bool sparse : {false, true}) {
    for (const bool hand : {false, true}) {
      by_hand.store(hand);
      const std::string data = pattern(sparse ? 50'000 : 900'000);
      const size_t whole = sparse ? 3'000'000 : data.size();
      int as_first_seen = 0;
      int calls = disturb_everywhere(
          house, copy_file(source, target),
          [&] {
            put(source, data);
            if (truncate(source.c_str(), static_cast<off_t>(whole)) != 0) abort();
            unlink(target.c_str());
          },
          [&] {
            if (truncate(source.c_str(), 100) != 0) abort();
          },
          [&](const Outcome& outcome, int) {
            CHECK_EQ(outcome.result, 0);
            std::string now = content_of(target);
            CHECK(now.size() >= 100);
            CHECK(now.substr(0, data.size()) == data.substr(0, now.size()));
            // The copy may have what was copied before the source became shorter; all of it only if all was read by
            // then.
            as_first_seen += now.size() == whole;
            // The data ends with its block.
            CHECK(now.size() <= data.size() + 65536 || now.size() == whole);
          });
      by_hand.store(false);
      CHECK(calls > 6);
      CHECK(as_first_seen <= 3);
    }
  }
}

TEST("a file that says more than it gives is copied with what it gives") {
  PromiseHouse house;
  Folder folder;
  const std::string file = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (content_of(file) == "(none)") return SKIP("no such file of sysfs here");
  CHECK_EQ(perform(house, copy_file(file, folder.at("target"))).result, 0);
  CHECK(content_of(folder.at("target")) == content_of(file));
  put(folder.at("there"), pattern(10'000));
  CHECK_EQ(perform(house, copy_file(file, folder.at("there"))).result, 0);
  CHECK(content_of(folder.at("there")) == content_of(file));
}

TEST("a target that somebody else makes meanwhile is copied over like one that was there, or kept") {
  PromiseHouse house;
  Folder folder;
  const std::string source = folder.at("source"), target = folder.at("target");
  put(source, "source");
  for (const uint32_t options : {0u, acall::kCopyExclusive}) {
    int calls = disturb_everywhere(
        house, copy_file(source, target, options), [&] { unlink(target.c_str()); },
        [&] {
          int fd = open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
          if (fd < 0) return;  // the copy has got its name already
          if (write(fd, "other", 5) != 5) abort();
          close(fd);
        },
        [&](const Outcome& outcome, int) {
          std::string now = content_of(target);
          if (options == 0) CHECK_EQ(outcome.result, 0);
          CHECK(now == (outcome.result == 0 ? "source" : "other"));
          if (outcome.result != 0) CHECK_EQ(outcome.result, -EEXIST);
          CHECK_EQ(names_in(folder.path).size(), 2 + 2);
        });
    CHECK(calls > 6);
  }
}

TEST("a copy through a link that leads nowhere makes what the link names, whole or not at all") {
  PromiseHouse house;
  Folder folder;
  const std::string source = folder.at("source"), link = folder.at("link"), target = folder.at("target");
  put(source, pattern(5000));
  if (symlink("target", link.c_str()) != 0) abort();
  fail_everywhere(
      house, copy_file(source, link), [&] { unlink(target.c_str()); },
      [&](const Outcome& outcome) {
        CHECK(content_of(target) == (outcome.result == 0 ? pattern(5000) : "(none)"));
        CHECK_EQ(names_in(folder.path).size(), 2 + (outcome.result == 0 ? 3 : 2));
      });
}

namespace {
int64_t without_copy_range(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  return nr == SYS_copy_file_range ? -EXDEV : real_seams.syscall(word, nr, args);
}
}  // namespace

TEST("where the kernel cannot copy, the copy is the same") {
  PromiseHouse house;
  Folder folder;
  put(folder.at("source"), pattern(1'000'003));
  support::WithSeams seams;
  real_seams = seams.real();
  acall::seams.syscall = without_copy_range;
  CHECK_EQ(perform(house, copy_file(folder.at("source"), folder.at("target"))).result, 0);
  CHECK(content_of(folder.at("target")) == pattern(1'000'003));
}

TEST("directories are made from the first that is missing") {
  PromiseHouse house;
  Folder folder;
  put(folder.at("file"), "x");
  auto number = [&](const std::string& path, int64_t result = 0) {
    Outcome outcome = perform(house, make_directories(path));
    CHECK_EQ(outcome.result, result);
    return path.substr(0, outcome.number);
  };
  CHECK(number(folder.at("a/b/c")) == folder.at("a"));
  CHECK(number(folder.at("a/b/c")).empty());
  CHECK(number(folder.at("a/b/d/")) == folder.at("a/b/d/"));
  CHECK(number(folder.at("u//v")) == folder.at("u/"));
  CHECK(number(folder.at("file"), -EEXIST) == folder.at("file"));
  CHECK(number(folder.at("file/x"), -ENOTDIR) == folder.at("file/x"));
  CHECK(number("", -ENOENT).empty());
  CHECK(number("/").empty());
  CHECK(number("/proc/none/x/y", -ENOENT) == "/proc/none");
  std::string deep = folder.path;
  while (deep.size() < 3500) deep += "/0123456789";
  CHECK(number(deep) == folder.at("0123456789"));
}

TEST("making directories shows the error of the look at what is there") {
  static std::string broken;
  PromiseHouse house;
  Folder folder;
  broken = folder.at("broken");
  put(broken, "");
  if (symlink("nowhere", folder.at("dangling").c_str()) != 0) abort();
  support::WithSeams seams;
  real_seams = seams.real();
  acall::seams.syscall = [](acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) -> int64_t {
    const auto* path = reinterpret_cast<const char*>(args[1]);
    if (nr == SYS_mkdirat && std::string(path).starts_with(broken + "/")) return -ENOENT;
    if (nr == SYS_statx && path == broken) return -EIO;
    return real_seams.syscall(word, nr, args);
  };
  CHECK_EQ(perform(house, make_directories(broken + "/below")).result, -EIO);
  CHECK_EQ(perform(house, make_directories(folder.at("dangling/below"))).result, -ENOTDIR);
  CHECK_EQ(perform(house, make_directories(folder.at("dangling/"))).result, -ENOENT);
}

TEST("two that make the same directories at once both succeed") {
  PromiseHouse house;
  Folder folder;
  for (int round = 0; round < 200; ++round) {
    const std::string path = folder.at("r" + std::to_string(round) + "/a/b/c/d");
    constexpr int kAtOnce = 8;
    acall::PromiseWork works[kAtOnce];
    Block* blocks[kAtOnce];
    for (int i = 0; i < kAtOnce; ++i) {
      blocks[i] = acall::file_task_make(path.data(), path.size(), nullptr, 0, 0);
      acall::file_task_of(*blocks[i]).mode = 0777;
      works[i].back_end = &acall::kMakeDirectories;
      works[i].extra = &acall::file_task_of(*blocks[i]);
      works[i].cookie = 1;
      works[i].block = blocks[i];
      acall::block_reference(*blocks[i]);
    }
    if (acall::engine_submit_work(*house.environment, *house.ring, works, kAtOnce, nullptr) != kAtOnce) abort();
    for (int i = 0; i < kAtOnce; ++i) CHECK_EQ(house.wait(1), 0);
    for (Block* block : blocks) acall::block_release(block);
    CHECK_EQ(access(path.c_str(), F_OK), 0);
  }
}

namespace {

struct Identity {
  uid_t owner;
  gid_t group;
  uint32_t mode;
};

std::string watched_folder;
std::atomic<uint32_t> widest{0};  // all mode bits that a temporary file has had

// Before each call of the task: the modes of the temporary files.
int64_t watching_call(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  for (const std::string& name : names_in(watched_folder)) {
    struct stat info;
    const bool is_temporary = name.size() > 4 && name.substr(name.size() - 4) == ".tmp";
    std::string path = watched_folder;
    path.append("/").append(name);
    if (is_temporary && lstat(path.c_str(), &info) == 0) widest.fetch_or(info.st_mode & 07777u);
  }
  return real_seams.syscall(word, nr, args);
}

// The attributes that the file in the place of `old` must have, by the documentation.
uint32_t expected_mode(const Identity& old, const struct stat& fresh) {
  const bool same_owner = fresh.st_uid == old.owner, same_group = fresh.st_gid == old.group;
  uint32_t user = old.mode >> 6 & 7, group = old.mode >> 3 & 7, others = old.mode & 7;
  if (!same_group) others &= group;
  if (!same_group) group = 0;
  if (!same_owner) others &= user;
  if (!same_owner) group &= user;
  return (same_owner && same_group ? old.mode & 06000 : 0) | user << 6 | group << 3 | others;
}

void check_modes(PromiseHouse& house, const Folder& folder, bool may_give_away) {
  support::WithSeams seams;
  real_seams = seams.real();
  acall::seams.syscall = watching_call;
  watched_folder = folder.path;
  for (const std::string& name : names_in(folder.path)) {
    if (name[0] == '.') continue;
    const std::string file = folder.at(name);
    struct stat before, after;
    if (lstat(file.c_str(), &before) != 0) abort();
    const Identity old{before.st_uid, before.st_gid, before.st_mode & 07777u};
    widest.store(0);
    CHECK_EQ(perform(house, write_file(file, "fresh", acall::kFileAtomic)).result, 0);
    if (lstat(file.c_str(), &after) != 0) abort();
    CHECK_EQ(after.st_mode & 07777, expected_mode(old, after));
    CHECK_EQ(widest.load() & ~(expected_mode(old, after) | acall::kPrivateMode), 0);
    if (may_give_away) CHECK(after.st_uid == old.owner && after.st_gid == old.group);
    CHECK(content_of(file) == "fresh" || geteuid() != 0);
  }
}

void make_files(const Folder& folder, std::initializer_list<uid_t> owners, std::initializer_list<gid_t> groups) {
  for (uid_t owner : owners) {
    for (gid_t group : groups) {
      for (uint32_t mode : {0600u, 0644u, 04755u, 02755u, 06775u, 0664u, 0604u, 0640u, 0400u, 0046u, 0u}) {
        const std::string file =
            folder.at(std::to_string(owner) + "-" + std::to_string(group) + "-" + std::to_string(mode));
        put(file, "old");
        if (lchown(file.c_str(), owner, group) != 0 || chmod(file.c_str(), mode) != 0) abort();
      }
    }
  }
}

}  // namespace

TEST("an atomic write keeps owner, group and mode as far as it may, and is never more open than what it replaces") {
  PromiseHouse house;
  Folder folder;
  if (geteuid() != 0) {
    make_files(folder, {geteuid()}, {getegid()});
    check_modes(house, folder, true);
    return;
  }
  make_files(folder, {0, 65534, 1}, {0, 65534, 1});
  check_modes(house, folder, true);
  Folder shared;
  chmod(shared.path.c_str(), 0777);
  make_files(shared, {0, 65534, 1}, {0, 65534, 1});
  support::Nobody nobody;  // in group 0 only
  check_modes(house, shared, false);
}

namespace {

constexpr char kAccess[] = "system.posix_acl_access", kDefault[] = "system.posix_acl_default";

struct Acl {
  uint32_t version = 2;
  struct {
    uint16_t tag, permissions;
    uint32_t id;
  } entries[5];
};
static_assert(sizeof(Acl) == 44);

// owner rw-, user 1 `named`, the group r--, mask rw-, others ---
Acl acl_of(uint16_t named) {
  constexpr uint32_t kNone = UINT32_MAX;
  return {2, {{1, 6, kNone}, {2, named, 1}, {4, 4, kNone}, {16, 6, kNone}, {32, 0, kNone}}};
}

std::string acl_at(const std::string& file) {
  char bytes[256];
  ssize_t length = getxattr(file.c_str(), kAccess, bytes, sizeof bytes);
  return length < 0 ? "" : std::string(bytes, static_cast<size_t>(length));
}

}  // namespace

TEST("an atomic write keeps the ACL of the file, and takes none from the folder") {
  PromiseHouse house;
  Folder folder;
  const std::string plain = folder.at("plain"), listed = folder.at("listed");
  put(plain, "old");
  put(listed, "old");
  chmod(plain.c_str(), 0640);
  const Acl acl = acl_of(0), wide = acl_of(6);
  if (setxattr(listed.c_str(), kAccess, &acl, sizeof acl, 0) != 0) return SKIP("no ACLs on this file system");
  if (setxattr(folder.path.c_str(), kDefault, &wide, sizeof wide, 0) != 0) abort();
  const std::string kept = acl_at(listed);
  CHECK_EQ(perform(house, write_file(plain, "fresh", acall::kFileAtomic)).result, 0);
  CHECK_EQ(perform(house, write_file(listed, "fresh", acall::kFileAtomic)).result, 0);
  struct stat info;
  stat(plain.c_str(), &info);
  CHECK(acl_at(plain).empty());
  CHECK_EQ(info.st_mode & 07777, 0640);
  CHECK(!kept.empty() && acl_at(listed) == kept);
  if (geteuid() != 0) return;
  // When the owner cannot be set, the entries would apply to other users: only the owner may use the file.
  chmod(folder.path.c_str(), 0777);
  setxattr(listed.c_str(), kAccess, &acl, sizeof acl, 0);
  if (lchown(listed.c_str(), 1, 0) != 0) abort();
  support::Nobody nobody;
  CHECK_EQ(perform(house, write_file(listed, "fresh", acall::kFileAtomic)).result, 0);
  stat(listed.c_str(), &info);
  CHECK(acl_at(listed).empty());
  CHECK_EQ(info.st_mode & 07777, 0600);
}
