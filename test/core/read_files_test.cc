// readFiles against read(2) on the same paths.
#include "jobs/read_files.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "support.h"
#include "tree_support.h"

using acall::FileCall;
using acall::ReadFiles;
using acall::ReadPack;
using support::Folder;
using support::PromiseHouse;

namespace {

struct Content {
  int64_t status = INT64_MIN;  // bytes, or -errno
  FileCall call = FileCall::kOpen;
  std::string bytes;
};

struct Read {
  std::vector<Content> files;
  int result = 0;
  uint32_t packs = 0;
  size_t most_at_once = 0;
};

acall::Block* joined(const std::vector<std::string>& paths, size_t from, size_t count) {
  size_t bytes = 0;
  for (size_t i = from; i < from + count; ++i) bytes += paths[i].size() + 1;
  acall::Block* block = acall::block_make(bytes);
  auto* to = reinterpret_cast<char*>(block->data());
  for (size_t i = from; i < from + count; ++i) {
    memcpy(to, paths[i].c_str(), paths[i].size() + 1);
    to += paths[i].size() + 1;
  }
  return block;
}

void add_pack(Read& read, const ReadPack& pack) {
  ++read.packs;
  if (pack.used > read.most_at_once) read.most_at_once = pack.used;
  for (uint32_t i = 0; i < pack.count; ++i) {
    const acall::ReadRecord& record = pack.records[i];
    if (!CHECK(record.index < read.files.size())) return;
    Content& content = read.files[record.index];
    CHECK_EQ(content.status, INT64_MIN);  // each path once
    content.status = record.status;
    content.call = record.call;
    if (record.status > 0) {
      content.bytes.assign(reinterpret_cast<char*>(pack.data->data()) + record.offset,
                           static_cast<size_t>(record.status));
    }
  }
}

// Takes packs and waits for more until the job has ended.
void take_all(PromiseHouse& house, ReadFiles& job, Read& read) {
  for (uint64_t cookie = 1;; ++cookie) {
    for (;;) {
      ReadFiles::Output output = job.take();
      read.result = output.result;
      if (output.ended) return;
      if (output.pack == nullptr) break;
      add_pack(read, *output.pack);
      acall::read_pack_free(output.pack);
    }
    // Once more when there was no memory, as lib/promise/waiting.ts does.
    if (job.begin(*house.ring, cookie, true, nullptr) != 0 && job.begin(*house.ring, cookie, true, nullptr) != 0)
      abort();
    house.wait(cookie);
  }
}

Read read_all(PromiseHouse& house, const std::vector<std::string>& paths, size_t piece) {
  Read read;
  read.files.resize(paths.size());
  ReadFiles* job = ReadFiles::make(*house.environment, O_RDONLY);
  for (size_t at = 0; at < paths.size(); at += piece) {
    size_t count = paths.size() - at < piece ? paths.size() - at : piece;
    CHECK_EQ(job->add(joined(paths, at, count), static_cast<uint32_t>(count)), 0);
  }
  job->finish();
  take_all(house, *job, read);
  job->release();
  return read;
}

void check_file(const Content& content, const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    CHECK_EQ(content.status, -errno);
    CHECK_EQ(content.call, FileCall::kOpen);
    return;
  }
  std::string expected;
  char buffer[4096];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) expected.append(buffer, static_cast<size_t>(got));
  if (got < 0) {
    CHECK_EQ(content.status, -errno);
    CHECK_EQ(content.call, FileCall::kRead);
  } else {
    CHECK_EQ(content.status, expected.size());
    if (!CHECK(content.bytes == expected)) fprintf(stderr, "  of %s\n", path.c_str());
  }
  close(fd);
}

// A file whose bytes depend on their offset.
void patterned(const Folder& folder, const std::string& name, size_t bytes) {
  std::string content(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) content[i] = static_cast<char>(i * 31 + i / 251 + bytes);
  FILE* file = fopen(folder.at(name).c_str(), "we");
  if (fwrite(content.data(), 1, bytes, file) != bytes) abort();
  fclose(file);
}

}  // namespace

TEST("files of every size, special ones and errors are what read(2) gives") {
  PromiseHouse house;
  Folder folder;
  make_nasty_tree(folder);
  std::vector<std::string> paths;
  for (size_t size : {0u, 1u, 7u, 8u, 9u, 4095u, 4096u, 16'383u, 16'384u, 16'385u, 65'535u, 65'536u, 65'537u, 131'072u,
                      1'048'575u, 1'048'576u, 5'000'000u}) {
    patterned(folder, "of" + std::to_string(size), size);
    paths.push_back(folder.at("of" + std::to_string(size)));
  }
  for (const char* name : {"plain", "loop1", "none", "hard1", "hard1/x", "nested/up", "nested/a/b/leaf", "new\nline",
                           "\xff\xfe-not-utf8", "d\xc3(/inside\x80", "sparse", "socket"}) {
    paths.push_back(folder.at(name));
  }
  for (const char* path : {"", "/proc/version", "/proc/filesystems", "/proc/self/mem", "/dev/null",
                           "/sys/kernel/mm/transparent_hugepage/enabled"}) {
    paths.push_back(path);
  }
  paths.push_back(folder.at(std::string(300, 'x')));
  for (size_t piece : {size_t{1}, size_t{5}, paths.size()}) {
    Read read = read_all(house, paths, piece);
    CHECK_EQ(read.result, 0);
    for (size_t i = 0; i < paths.size(); ++i) check_file(read.files[i], paths[i]);
  }
}

TEST("a file longer than a Buffer may be is refused with its size") {
  PromiseHouse house;
  Folder folder;
  folder.file("huge");
  constexpr uint64_t kSize = (uint64_t{5} << 32) + 17;
  if (truncate(folder.at("huge").c_str(), kSize) != 0) return SKIP("no file of 20 GiB here");
  ReadFiles* job = ReadFiles::make(*house.environment, O_RDONLY);
  std::vector<std::string> paths{folder.at("huge")};
  job->add(joined(paths, 0, 1), 1);
  job->finish();
  ReadFiles::Output output = job->take();
  if (output.pack == nullptr) {
    job->begin(*house.ring, 1, true, nullptr);
    house.wait(1);
    output = job->take();
  }
  if (CHECK(output.pack != nullptr)) {
    const acall::ReadRecord& record = output.pack->records[0];
    CHECK_EQ(record.status, -EFBIG);
    CHECK_EQ(record.call, FileCall::kTooLarge);
    CHECK_EQ(uint64_t{record.high} << 32 | record.offset, kSize);
    acall::read_pack_free(output.pack);
  }
  job->release();
}

TEST("each of 30,000 files comes once, in packs of bounded size") {
  PromiseHouse house;
  Folder folder;
  support::Random random(7);
  std::vector<std::string> files, paths;
  for (int i = 0; i < 300; ++i) {
    patterned(folder, "f" + std::to_string(i), random.below(4096));
    files.push_back(folder.at("f" + std::to_string(i)));
  }
  files.push_back(folder.at("absent"));
  for (int i = 0; i < 30'000; ++i) paths.push_back(files[random.below(static_cast<uint32_t>(files.size()))]);
  int before = support::open_descriptors();
  Read read = read_all(house, paths, 1000);
  CHECK_EQ(support::open_descriptors(), before);
  CHECK_EQ(read.result, 0);
  CHECK(read.most_at_once <= ReadPack::kBytes);
  for (size_t i = 0; i < paths.size(); ++i) check_file(read.files[i], paths[i]);
}

TEST("a consumer that takes nothing stops the reading, and taking resumes it") {
  PromiseHouse house;
  Folder folder;
  patterned(folder, "some", 9000);
  std::vector<std::string> paths(20'000, folder.at("some"));  // 180 MB
  ReadFiles* job = ReadFiles::make(*house.environment, O_RDONLY);
  job->add(joined(paths, 0, paths.size()), static_cast<uint32_t>(paths.size()));
  job->finish();
  Read read;
  read.files.resize(paths.size());
  for (int round = 0; round < 5; ++round) {
    // Until no job thread is at work: the job is paused, since most of it is unread. There is none for a moment between
    // two job threads either, so the check is repeated.
    for (size_t bytes = 0; bytes == 0;) {
      while (acall::engine_counters().running > 0 || acall::engine_counters().queued > 0) sched_yield();
      while (bytes <= (4 << 20)) {
        ReadFiles::Output output = job->take();
        if (output.pack == nullptr) break;
        CHECK(output.unclaimed > 0);
        bytes += output.pack->used;
        add_pack(read, *output.pack);
        acall::read_pack_free(output.pack);
      }
    }
  }
  take_all(house, *job, read);
  for (const Content& content : read.files) CHECK_EQ(content.status, 9000);
  job->release();
}

TEST("large files wait for room, and all of them come") {
  PromiseHouse house;
  Folder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 12; ++i) {
    patterned(folder, "large" + std::to_string(i), 7'000'000 + static_cast<size_t>(i));
    patterned(folder, "small" + std::to_string(i), 100);
    paths.push_back(folder.at("large" + std::to_string(i)));
    paths.push_back(folder.at("small" + std::to_string(i)));
  }
  patterned(folder, "larger", 40'000'000);
  paths.push_back(folder.at("larger"));
  Read read = read_all(house, paths, paths.size());
  for (size_t i = 0; i < paths.size(); ++i) check_file(read.files[i], paths[i]);
}

TEST("a FIFO that nobody writes to delays itself and the end, whatever is claimed with it") {
  PromiseHouse house;
  Folder folder;
  if (mkfifo(folder.at("fifo").c_str(), 0600) != 0) abort();
  patterned(folder, "some", 3000);
  uint64_t cookie = 0;
  for (size_t fifos_at : {5, 0, 9}) {
    for (size_t piece : {size_t{1}, size_t{7}, size_t{200}}) {
      std::vector<std::string> paths;
      for (size_t i = 0; i < 200; ++i) paths.push_back(folder.at(i < 40 && i % 10 == fifos_at ? "fifo" : "some"));
      ReadFiles* job = ReadFiles::make(*house.environment, O_RDONLY);
      for (size_t i = 0; i < paths.size(); i += piece) {
        const size_t count = std::min(piece, paths.size() - i);
        job->add(joined(paths, i, count), static_cast<uint32_t>(count));
      }
      job->finish();
      Read read;
      read.files.resize(paths.size());
      uint32_t got = 0;
      while (got < 196) {
        ReadFiles::Output output = job->take();
        if (output.pack != nullptr) {
          got += output.pack->count;
          add_pack(read, *output.pack);
          acall::read_pack_free(output.pack);
          continue;
        }
        job->begin(*house.ring, ++cookie, true, nullptr);
        house.wait(cookie);
      }
      int writer = open(folder.at("fifo").c_str(), O_WRONLY | O_CLOEXEC);  // as soon as one reads
      if (write(writer, "hello", 5) != 5) abort();
      close(writer);
      if (job->begin(*house.ring, ++cookie, true, nullptr) != 0) abort();
      CHECK_EQ(house.wait(cookie), 0);
      job->cancel();
      job->release();
    }
  }
}

TEST("a job that is cancelled while it reads, or is stuck, ends once and keeps no descriptor") {
  PromiseHouse house;
  Folder folder;
  if (mkfifo(folder.at("fifo").c_str(), 0600) != 0) abort();
  patterned(folder, "some", 3000);
  patterned(folder, "large", 3'000'000);
  std::vector<std::string> paths;
  for (int i = 0; i < 200; ++i) paths.push_back(folder.at(i % 50 == 49 ? "fifo" : i % 20 == 3 ? "large" : "some"));
  int before = support::open_descriptors();
  for (int round = 0; round < 150; ++round) {
    ReadFiles* job = ReadFiles::make(*house.environment, O_RDONLY);
    acall_id id;
    job->add(joined(paths, 0, paths.size()), static_cast<uint32_t>(paths.size()));
    job->finish();
    ReadFiles::Output output{};
    uint64_t cookie = 1;
    for (int taken = 0; taken < round % 4; ++taken) {
      output = job->take();
      if (output.pack != nullptr) acall::read_pack_free(output.pack);
    }
    if (job->begin(*house.ring, cookie, true, &id) != 0) abort();
    for (int spin = 0; spin < round * 10; ++spin) acall::cpu_relax();
    if (round & 1) {
      int rc = acall::engine_cancel(id);
      CHECK(rc == 0 || rc == -ENOENT || rc == -EALREADY);
    } else {
      job->cancel();
    }
    house.wait(cookie);
    job->cancel();
    // The end of the job, which comes with its last job thread.
    for (bool ended = false; !ended;) {
      output = job->take();
      ended = output.ended;
      if (output.pack != nullptr) {
        acall::read_pack_free(output.pack);
      } else if (!ended) {
        sched_yield();
      }
    }
    CHECK_EQ(output.result, -ECANCELED);
    job->release();
  }
  CHECK_EQ(support::open_descriptors(), before);
}

TEST("no path at all ends at once; paths after the end are refused") {
  PromiseHouse house;
  Read none = read_all(house, {}, 1);
  CHECK_EQ(none.result, 0);
  CHECK_EQ(none.packs, 0);
  ReadFiles* job = ReadFiles::make(*house.environment, O_RDONLY);
  std::vector<std::string> paths{"/etc/hostname"};
  CHECK_EQ(job->add(joined(paths, 0, 1), 1), 0);
  job->finish();
  CHECK_EQ(job->add(joined(paths, 0, 1), 1), -ECANCELED);
  Read read;
  read.files.resize(1);
  take_all(house, *job, read);
  CHECK(read.files[0].status != INT64_MIN);
  job->release();
}

namespace {
std::atomic<int> allocations_left{0};
void* failing_allocate(size_t bytes) { return allocations_left.fetch_sub(1) == 1 ? nullptr : malloc(bytes); }
}  // namespace

TEST("an allocation that fails ends the job, or is the error of the one file it was for") {
  PromiseHouse house;
  Folder folder;
  patterned(folder, "some", 3000);
  patterned(folder, "middle", 30'000);
  patterned(folder, "large", 300'000);
  std::vector<std::string> paths;
  for (int i = 0; i < 60; ++i) paths.push_back(folder.at(i % 3 == 0 ? "some" : i % 3 == 1 ? "middle" : "large"));
  support::WithSeams seams;
  acall::seams.allocate = failing_allocate;
  int failures = 0, alone = 0;
  for (int nth = 1; nth < 120; ++nth) {
    ReadFiles* job = ReadFiles::make(*house.environment, O_RDONLY);
    acall::Block* text = joined(paths, 0, paths.size());
    allocations_left.store(nth);
    if (job->add(text, static_cast<uint32_t>(paths.size())) != 0) {
      ++failures;
      job->release();
      continue;
    }
    job->finish();
    Read read;
    read.files.resize(paths.size());
    take_all(house, *job, read);
    allocations_left.store(0);
    failures += read.result != 0;
    CHECK(read.result == 0 || read.result == -ENOMEM || read.result == -EAGAIN);
    job->release();
    if (read.result != 0) continue;
    int without = 0;
    for (size_t i = 0; i < paths.size(); ++i) {
      if (read.files[i].status == -ENOMEM) {
        ++without;
      } else {
        check_file(read.files[i], paths[i]);
      }
    }
    CHECK(without <= 1);
    alone += without;
  }
  CHECK(failures > 0);
  CHECK(alone > 10);
}

namespace {
long minor_faults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}
}  // namespace

TEST("the supervisor gives pack memory back, also what is let go of when all threads have gone to rest") {
  auto use = [](unsigned after_ms) {
    acall::Block* blocks[600];
    for (acall::Block*& block : blocks) {
      block = acall::pack_memory_take();
      memset(block->data(), 1, acall::kPieceRoom);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(after_ms));
    for (acall::Block* block : blocks) acall::block_release(block);
  };
  for (const unsigned after_ms : {0u, 250u, 450u, 600u, 900u}) {
    support::House house;
    acall::pack_memory_keep(UINT64_MAX);
    support::Ticket ticket(house);
    ticket.submit(house, support::call(support::kOwn, SYS_getppid, {}));  // so that a supervisor runs
    use(after_ms);
    CHECK_EQ(ticket.wait(), getppid());
    support::until([] { return acall::pack_memory_use().idle <= size_t{16} << 20; });
  }
}

TEST("pieces of pack memory do not overlap, are used again, and go back to the kernel when many are free") {
  constexpr size_t kMany = 600;  // more than what stays resident
  constexpr size_t kFew = 100;   // less
  std::vector<acall::Block*> blocks;
  auto take = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      blocks.push_back(acall::pack_memory_take());
      memset(blocks.back()->data(), static_cast<int>(blocks.size() % 251), acall::kPieceRoom);
    }
  };
  auto let_go = [&] {
    for (size_t i = 0; i < blocks.size(); ++i) {
      const unsigned char* data = blocks[i]->data();
      for (size_t at : {size_t{0}, acall::kPieceRoom / 2, acall::kPieceRoom - 1}) CHECK_EQ(data[at], (i + 1) % 251);
      acall::block_release(blocks[i]);
    }
    blocks.clear();
  };
  // Kept for half a second for the next reading.
  acall::pack_memory_keep(UINT64_MAX);
  take(kMany);
  CHECK(acall::pack_memory_use().mapped >= kMany * acall::kPieceBytes);
  let_go();
  CHECK(acall::pack_memory_use().idle >= kMany * acall::kPieceBytes);
  const uint64_t now_ns = acall::seams.now_ns();
  CHECK(acall::pack_memory_trim(now_ns) <= 500'000'000);
  CHECK(acall::pack_memory_use().idle >= kMany * acall::kPieceBytes);
  CHECK_EQ(acall::pack_memory_trim(now_ns + 600'000'000), UINT64_MAX);
  CHECK(acall::pack_memory_use().idle <= size_t{16} << 20);
  acall::pack_memory_keep(0);
  take(kMany);
  let_go();
  const acall::PackMemoryUse after = acall::pack_memory_use();
  CHECK(after.idle <= size_t{16} << 20);
  CHECK(after.idle >= kFew * acall::kPieceBytes);
  CHECK(after.mapped < kMany * acall::kPieceBytes);
  // The pieces that were freed last are used again: no page of them is new.
  take(kFew);
  let_go();
  const long before = minor_faults();
  for (int round = 0; round < 10; ++round) {
    take(kFew);
    let_go();
  }
  CHECK(minor_faults() - before < static_cast<long>(kFew));
  CHECK_EQ(acall::pack_memory_use().mapped, after.mapped);
  // By several threads at once.
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned char letter = 1; letter <= 4; ++letter) {
    threads.emplace_back([letter, &wrong] {
      for (int round = 0; round < 200; ++round) {
        acall::Block* mine[20];
        for (acall::Block*& block : mine) {
          block = acall::pack_memory_take();
          memset(block->data(), letter, 4096);
        }
        for (acall::Block* block : mine) {
          if (block->data()[0] != letter || block->data()[4095] != letter) wrong.fetch_add(1);
          acall::block_release(block);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}
