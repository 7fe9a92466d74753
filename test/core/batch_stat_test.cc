// statMany compared with stat(2) on the same paths.
#include "jobs/batch_stat.h"

#include <sys/syscall.h>

#include "check.h"
#include "files/stat_columns.h"
#include "support.h"
#include "tree_support.h"

using acall::StatBatch;
using support::Folder;
using support::PromiseHouse;

namespace {

acall::Block* joined(const std::string* paths, size_t count) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) bytes += paths[i].size() + 1;
  acall::Block* block = acall::block_make(bytes);
  auto* to = reinterpret_cast<char*>(block->data());
  for (size_t i = 0; i < count; ++i) {
    memcpy(to, paths[i].c_str(), paths[i].size() + 1);
    to += paths[i].size() + 1;
  }
  return block;
}

struct Result {
  int64_t status;
  acall::Block* block;
  acall::Columns columns;
};

Result stat_many(PromiseHouse& house, const std::string* paths, uint32_t count, uint32_t piece, int dirfd = AT_FDCWD,
                 int flags = 0) {
  StatBatch* batch = StatBatch::make(*house.environment, count, dirfd, flags);
  batch->begin(*house.ring, 5, true, nullptr);
  batch->start();
  for (uint32_t at = 0; at < count; at += piece) {
    uint32_t some = count - at < piece ? count - at : piece;
    CHECK_EQ(batch->add(joined(paths + at, some), some), 0);
  }
  Result result{house.wait(5), nullptr, {}};
  result.block = batch->take();
  result.columns = {result.block->data(), count};
  batch->release();
  return result;
}

void check_row(const acall::Columns& columns, size_t row, const char* path, bool follow) {
  struct stat info;
  int rc = follow ? stat(path, &info) : lstat(path, &info);
  if (rc != 0) {
    CHECK_EQ(static_cast<int32_t>(columns.u32(acall::NarrowColumn::kError)[row]), -errno);
    CHECK_EQ(columns.u32(acall::NarrowColumn::kMode)[row], 0);
    CHECK_EQ(columns.f64(acall::WideColumn::kSize)[row], 0.0);
    return;
  }
  CHECK_EQ(columns.u32(acall::NarrowColumn::kError)[row], 0);
  CHECK_EQ(columns.f64(acall::WideColumn::kSize)[row], static_cast<double>(info.st_size));
  CHECK_EQ(columns.f64(acall::WideColumn::kBlocks)[row], static_cast<double>(info.st_blocks));
  CHECK_EQ(columns.f64(acall::WideColumn::kAtimeMs)[row],
           static_cast<double>(info.st_atim.tv_sec) * 1000 + static_cast<double>(info.st_atim.tv_nsec) / 1e6);
  CHECK_EQ(columns.f64(acall::WideColumn::kMtimeMs)[row],
           static_cast<double>(info.st_mtim.tv_sec) * 1000 + static_cast<double>(info.st_mtim.tv_nsec) / 1e6);
  CHECK_EQ(columns.f64(acall::WideColumn::kCtimeMs)[row],
           static_cast<double>(info.st_ctim.tv_sec) * 1000 + static_cast<double>(info.st_ctim.tv_nsec) / 1e6);
  CHECK_EQ(columns.u64(acall::WideColumn::kIno)[row], info.st_ino);
  CHECK_EQ(columns.u64(acall::WideColumn::kDev)[row], info.st_dev);
  CHECK_EQ(columns.u64(acall::WideColumn::kRdev)[row], info.st_rdev);
  CHECK_EQ(columns.u32(acall::NarrowColumn::kMode)[row], info.st_mode);
  CHECK_EQ(columns.u32(acall::NarrowColumn::kNlink)[row], info.st_nlink);
  CHECK_EQ(columns.u32(acall::NarrowColumn::kUid)[row], info.st_uid);
  CHECK_EQ(columns.u32(acall::NarrowColumn::kGid)[row], info.st_gid);
  CHECK_EQ(columns.u32(acall::NarrowColumn::kBlksize)[row], info.st_blksize);
  CHECK_EQ(columns.u32(acall::NarrowColumn::kMtimeNsec)[row], info.st_mtim.tv_nsec);
}

}  // namespace

TEST("every field and every error is what stat and lstat say") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  std::string paths[] = {
      folder.path,        folder.at("hard1"),   folder.at("nested/up"),           folder.at("loop1"),
      folder.at("none"),  folder.at("hard1/x"), folder.at("\xff\xfe-not-utf8"),   "",
      "/dev/null",        "/proc/self/stat",    folder.at(std::string(300, 'x')), std::string(5000, '/'),
      folder.at("sparse")};
  constexpr uint32_t kCount = sizeof paths / sizeof paths[0];
  for (int flags : {0, AT_SYMLINK_NOFOLLOW}) {
    for (uint32_t piece : {1u, 3u, kCount}) {
      Result result = stat_many(house, paths, kCount, piece, AT_FDCWD, flags);
      CHECK_EQ(result.status, 0);
      for (uint32_t i = 0; i < kCount; ++i) check_row(result.columns, i, paths[i].c_str(), flags == 0);
      acall::block_release(result.block);
    }
  }
}

TEST("relative paths are relative to the descriptor") {
  PromiseHouse house;
  Folder folder;
  folder.file("here", 17);
  int fd = open(folder.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::string paths[] = {"here", "absent"};
  Result result = stat_many(house, paths, 2, 2, fd);
  CHECK_EQ(result.columns.f64(acall::WideColumn::kSize)[0], 17.0);
  CHECK_EQ(static_cast<int32_t>(result.columns.u32(acall::NarrowColumn::kError)[1]), -ENOENT);
  acall::block_release(result.block);
  close(fd);
}

TEST("each of 50,000 paths in pieces of any size lands in its own row") {
  PromiseHouse house;
  Folder folder;
  for (int i = 0; i < 100; ++i) folder.file("f" + std::to_string(i), static_cast<size_t>(i));
  constexpr uint32_t kCount = 50'000;
  auto* paths = new std::string[kCount];
  for (uint32_t i = 0; i < kCount; ++i) paths[i] = folder.at("f" + std::to_string(i % 100));
  for (uint32_t piece : {1000u, 2048u, 49'999u}) {
    Result result = stat_many(house, paths, kCount, piece);
    CHECK_EQ(result.status, 0);
    for (uint32_t i = 0; i < kCount; ++i)
      CHECK_EQ(result.columns.f64(acall::WideColumn::kSize)[i], static_cast<double>(i % 100));
    acall::block_release(result.block);
  }
  delete[] paths;
}

TEST("no path at all ends at once; more paths than were announced are refused") {
  PromiseHouse house;
  Result none = stat_many(house, nullptr, 0, 1);
  CHECK_EQ(none.status, 0);
  acall::block_release(none.block);
  std::string paths[] = {"/", "/tmp", "/usr"};
  StatBatch* batch = StatBatch::make(*house.environment, 2, AT_FDCWD, 0);
  batch->begin(*house.ring, 1, true, nullptr);
  batch->start();
  CHECK_EQ(batch->add(joined(paths, 3), 3), -EINVAL);
  CHECK_EQ(batch->add(joined(paths, 1), 1), 0);
  batch->cancel();
  CHECK_EQ(house.wait(1), -ECANCELED);
  CHECK_EQ(batch->add(joined(paths, 1), 1), -ECANCELED);
  batch->release();
}

TEST("a batch that is cancelled while it waits for paths, or works, ends once") {
  PromiseHouse house;
  auto* paths = new std::string[2000];
  for (int i = 0; i < 2000; ++i) paths[i] = "/usr/bin/env";
  for (int round = 0; round < 300; ++round) {
    StatBatch* batch = StatBatch::make(*house.environment, 4000, AT_FDCWD, 0);
    acall_id id;
    batch->begin(*house.ring, 1, true, &id);
    batch->start();
    CHECK_EQ(batch->add(joined(paths, 2000), 2000), 0);
    for (int spin = 0; spin < round * 5; ++spin) acall::cpu_relax();
    if (round & 1) {
      CHECK_EQ(acall::engine_cancel(id), 0);
    } else {
      batch->cancel();
    }
    CHECK_EQ(house.wait(1), -ECANCELED);
    batch->release();
  }
  delete[] paths;
}

TEST("one stat makes its call again after an -EINTR that nobody asked for") {
  static acall::Seams real = acall::seams;
  static std::atomic<int> interruptions{0};
  support::WithSeams seams;
  real = seams.real();
  acall::seams.syscall = [](acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) -> int64_t {
    if (nr == SYS_statx && interruptions.fetch_sub(1) > 0) return -EINTR;
    return real.syscall(word, nr, args);
  };
  PromiseHouse house;
  acall::StatIntegers found{};
  acall::PromiseWork work;
  work.back_end = &acall::kStat;
  work.extra = &found;
  work.cookie = 7;
  work.args[0] = static_cast<uint64_t>(AT_FDCWD);
  work.args[1] = support::address_of("/proc");
  work.args[3] = 1;
  interruptions.store(3);
  if (acall::engine_submit_work(*house.environment, *house.ring, &work, 1, nullptr) != 1) abort();
  CHECK_EQ(house.wait(7), 0);
  CHECK(interruptions.load() < 0);
  struct stat info;
  stat("/proc", &info);
  CHECK_EQ(found.ino, static_cast<int64_t>(info.st_ino));
  CHECK_EQ(found.mtime_sec, info.st_mtim.tv_sec);
  CHECK_EQ(found.mtime_nsec, info.st_mtim.tv_nsec);
}
