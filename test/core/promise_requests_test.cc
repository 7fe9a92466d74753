// Requests of lib/ to the promise layer: records, batches of stats, files; and records with false lengths and offsets.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "backends.h"
#include "check.h"
#include "promise_client.h"
#include "support.h"
#include "temporary.h"

using namespace support;

namespace {

// Records as lib/ packs them, one behind the other.
struct Records {
  alignas(8) unsigned char bytes[4096] = {};
  uint32_t used = 0;

  acall::CallRecord& add(long nr, uint32_t slot, const void* data = nullptr, uint32_t data_bytes = 0) {
    auto& record = at(used);
    record.nr = static_cast<uint32_t>(nr);
    record.flags = kPool;
    record.slot = slot;
    record.data_bytes = data_bytes;
    record.bytes = (sizeof record + data_bytes + 7) & ~7u;
    record.status = 77;
    if (data_bytes > 0) memcpy(&record + 1, data, data_bytes);
    used += record.bytes;
    return record;
  }
  acall::CallRecord& at(uint32_t offset) { return *reinterpret_cast<acall::CallRecord*>(bytes + offset); }

  uint32_t submit(PromiseClient& client, acall::InlineCalls inline_calls = acall::InlineCalls::kNone) {
    return acall::promise_submit_calls(*client.environment, client.slots, bytes, used, inline_calls);
  }
};

acall::CallArgument value(uint64_t number) {
  acall::CallArgument arg{};
  arg.kind = acall::ArgumentKind::kValue;
  arg.low = static_cast<uint32_t>(number);
  arg.high = static_cast<uint32_t>(number >> 32);
  return arg;
}

acall::CallArgument pointer(uint32_t offset, uint32_t length) {
  acall::CallArgument arg{};
  arg.kind = acall::ArgumentKind::kPointer;
  arg.low = offset;
  arg.length = length;
  return arg;
}

// Paths as lib/ joins them, here with a bar in place of each NUL.
acall::Block* joined(const char* text) {
  const size_t length = strlen(text);
  acall::Block* block = acall::block_make(length + 1);
  std::replace_copy(text, text + length + 1, block->data(), '|', '\0');
  return block;
}

}  // namespace

TEST("each record is submitted by itself, and its status says what became of it") {
  PromiseClient client;
  Records records;
  records.add(SYS_getppid, 0);
  records.add(SYS_getppid, UINT32_MAX);
  records.add(SYS_getppid, 1).facts = acall::CallFact::kSkip;
  records.add(SYS_rt_sigreturn, 2);
  records.add(SYS_getppid, 3).handle = 12345;
  records.add(SYS_getppid, 4);
  std::vector<int> statuses;
  CHECK_EQ(records.submit(client), 0u);
  for (uint32_t at = 0; at < records.used; at += records.at(at).bytes) statuses.push_back(records.at(at).status);
  CHECK(statuses == (std::vector<int>{0, -EINVAL, 0, -EPERM, -EBADF, 0}));
  client.settled();
  acall::DrainedResult results[8];
  CHECK_EQ(client.slots.drain(*client.environment, results, 8), 2u);
  for (int i = 0; i < 2; ++i) {
    CHECK(results[i].word == 0 || results[i].word == 4);
    CHECK_EQ(results[i].low, static_cast<uint32_t>(getppid()));
  }
}

TEST("a call that is done at once says so in its record") {
  PromiseClient client;
  Records records;
  records.add(SYS_getppid, 0).flags = kPool | ACALL_SUBMIT_INLINE;
  CHECK_EQ(records.submit(client, acall::InlineCalls::kAll), 1u);
  CHECK_EQ(records.at(0).status, acall::kCallDone);
  CHECK_EQ(records.at(0).args[0].low, static_cast<uint32_t>(getppid()));
  CHECK_EQ(records.at(0).args[0].high, 0u);
}

TEST("a record whose lengths are not true ends the batch, one whose offsets are not true is refused") {
  PromiseClient client;
  const auto spoilt = [&](auto spoil) {
    Records records;
    spoil(records.add(SYS_getppid, 0, "12345678", 8));
    records.add(SYS_getppid, 1);
    records.submit(client);
    return records.at(0).status;
  };
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.bytes = 0; }), 77);
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.bytes -= 8; }), 77);
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.bytes += 4; }), 77);
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.bytes = UINT32_MAX - 7; }), 77);
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.data_bytes = 9; }), 77);
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.args[0] = pointer(9, 0); }), -EINVAL);
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.args[0] = pointer(8, 1); }), -EINVAL);
  CHECK_EQ(spoilt([](acall::CallRecord& record) { record.args[0] = pointer(4, UINT32_MAX); }), -EINVAL);
  client.settled();
  acall::DrainedResult results[16];
  CHECK_EQ(client.slots.drain(*client.environment, results, 16), 3u);  // the second records of the last three
  // A record that is cut is not submitted.
  Records records;
  records.add(SYS_getppid, 0);
  records.used -= 8;
  records.submit(client);
  CHECK_EQ(records.at(0).status, 77);
}

TEST("arguments are copied: from behind the record, or from views, and what a view has no bytes for is zero") {
  PromiseClient client;
  Pipe pipe;
  const auto read_back = [&] {
    client.settled();
    client.take();
    std::vector<char> got(16);
    const ssize_t length = read(pipe.read_end, got.data(), got.size());
    got.resize(length > 0 ? static_cast<size_t>(length) : 0);
    return std::string(got.begin(), got.end());
  };
  Records records;
  acall::CallRecord& whole = records.add(SYS_write, 0, "abcdef", 6);
  whole.args[0] = value(static_cast<uint64_t>(pipe.write_end));
  whole.args[1] = pointer(1, 4);
  whole.args[2] = value(4);
  records.submit(client);
  CHECK_EQ(whole.status, 0);
  CHECK(read_back() == "bcde");
  acall::CallRecord from_views = whole;
  from_views.slot = 1;
  const acall::View view{reinterpret_cast<const unsigned char*>("xy"), 2};
  acall::promise_submit_call(*client.environment, client.slots, from_views, &view, 1);
  CHECK_EQ(from_views.status, 0);
  CHECK(read_back() == std::string("xy") + std::string(2, 0));
}

TEST("memory that is to be kept is the slot's, and without memory nothing is") {
  PromiseClient client;
  Records records;
  acall::CallRecord& record = records.add(SYS_getcwd, 0, nullptr, 0);
  record.data_bytes = 64;
  record.bytes += 64;
  records.used += 64;
  record.args[0] = pointer(0, 64);
  record.args[1] = value(64);
  record.facts = acall::CallFact::kKeep;
  {
    WithSeams seams;
    acall::seams.allocate = [](size_t) -> void* { return nullptr; };
    records.submit(client);
    CHECK_EQ(record.status, -EAGAIN);
    CHECK(client.slots.find(0)->kept == nullptr);
  }
  records.submit(client);
  CHECK_EQ(record.status, 0);
  client.take();
  char path[64];
  CHECK(getcwd(path, sizeof path) != nullptr);
  CHECK_EQ(strcmp(reinterpret_cast<char*>(client.slots.find(0)->kept->data()), path), 0);
}

TEST("stats of joined paths fill the records of their slots; a path too many and a slot that is none are refused") {
  PromiseClient client;
  const uint32_t slots[] = {7, 3};
  const auto submit = [&](const char* text, const uint32_t* numbers) {
    return acall::promise_submit_stats(*client.environment, client.slots, joined(text), strlen(text), numbers, 2, 0);
  };
  const uint32_t missing[] = {7, acall::kSlotChunk};
  CHECK_EQ(submit("/|/", missing), -EINVAL);
  CHECK_EQ(submit("/|/|/", slots), acall::kHasNul);
  CHECK_EQ(submit("/", slots), acall::kHasNul);
  {
    WithSeams seams;
    acall::Block* block = joined("/|/");
    acall::seams.allocate = [](size_t) -> void* { return nullptr; };
    const int32_t taken = acall::promise_submit_stats(*client.environment, client.slots, block, 3, slots, 2, 0);
    CHECK(taken >= 0 && taken <= 2);
    client.settled();
    acall::DrainedResult results[4];
    CHECK_EQ(client.slots.drain(*client.environment, results, 4), static_cast<uint32_t>(taken));
  }
  const std::string folder = support::make_temporary();  // not "/": an emulator may have one of its own
  CHECK_EQ(submit((folder + "|" + folder + "/nope").c_str(), slots), 2);
  client.settled();
  acall::DrainedResult results[4];
  CHECK_EQ(client.slots.drain(*client.environment, results, 4), 2u);
  struct stat found;
  CHECK_EQ(stat(folder.c_str(), &found), 0);
  rmdir(folder.c_str());
  CHECK_EQ(client.slots.stat_result(7).numbers.ino, static_cast<double>(found.st_ino));
  for (int i = 0; i < 2; ++i) CHECK_EQ(static_cast<int>(results[i].low), results[i].word == 7 ? 0 : -ENOENT);
}

TEST("a stat of a handle that is none ends with EBADF and not with the file behind the number") {
  PromiseClient client;
  CHECK_EQ(acall::promise_submit_fstat(*client.environment, client.slots, 0, 0, 0, 4711), 1u);
  CHECK_EQ(static_cast<int>(client.take().low), -EBADF);
  CHECK_EQ(acall::promise_submit_fstat(*client.environment, client.slots, open("/", O_PATH | O_CLOEXEC), 0, 0, 0), 1u);
  CHECK_EQ(client.take().low, 0u);
  CHECK_EQ(acall::promise_inline_fstat(*client.environment, client.slots, 0, acall::kSlotChunk * acall::kStatPlaceSlot),
           acall::kStatNotNow);
}

TEST("a file is read into the slot's memory, and an image that points nowhere is none") {
  PromiseClient client;
  const char kPath[] = "/proc/self/comm";
  acall::Block* task = acall::file_task_make(kPath, sizeof kPath - 1, nullptr, 0, 1);
  acall::FileRequest request{};
  request.fd = -1;
  request.flags = O_RDONLY;
  CHECK_EQ(acall::promise_submit_file(*client.environment, client.slots, acall::FileKind::kRead, 5, request, task), 1u);
  CHECK(client.slots.find(5)->kept == task);
  CHECK(static_cast<int>(client.take().low) > 0);
  acall::ProgramHeader header{};
  acall::ProgramImage* image = nullptr;
  const unsigned char bytes[64] = {};
  const uint32_t relocations[] = {1 << 20};
  CHECK_EQ(acall::program_image_make(header, bytes, relocations, {}, {}, &image), -EINVAL);
  CHECK(image == nullptr);
}
