// How files that were read come into packs, and their claims are released. See read_files.h.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/seams.h"
#include "jobs/read_files.h"

namespace acall {

namespace {

uint32_t aligned(uint32_t bytes) { return (bytes + 7) & ~7u; }

ReadPack* make_pack() {
  void* memory = seams.allocate(sizeof(ReadPack));
  return memory == nullptr ? nullptr : new (memory) ReadPack();
}

ReadRecord record_of(uint32_t index, int64_t status, FileCall call) {
  ReadRecord record{};
  record.index = index;
  record.status = static_cast<int32_t>(status);
  record.call = call;
  return record;
}

}  // namespace

void read_pack_free(ReadPack* pack) {
  block_release(pack->data);
  free(pack);
}

// Stores the record of a file that could not be read. `size`: of a file that is too large for a Buffer.
void ReadFiles::fail_file(const File& file, int64_t error, FileCall call, uint64_t size) {
  ReadRecord record = record_of(file.claim.index, error, call);
  if (call == FileCall::kTooLarge) {
    record.offset = static_cast<uint32_t>(size);
    record.high = static_cast<uint32_t>(size >> 32);
  }
  pack_record(record, nullptr, 0);
  outbox_.withdraw(file.promised);
  PathFeed::release(file.claim);
}

void ReadFiles::pack_small(const File& file, const unsigned char* bytes, uint32_t length) {
  pack_record(record_of(file.claim.index, length, FileCall::kRead), bytes, length);
  outbox_.withdraw(file.promised);
  PathFeed::release(file.claim);
}

// Stores a file with a block of its own as a pack of one file.
void ReadFiles::pack_alone(const File& file, Block* data, uint32_t length) {
  if (ReadPack* pack = make_pack(); pack != nullptr) {
    pack->data = data;
    pack->used = length;
    pack->count = 1;
    pack->records[0] = record_of(file.claim.index, length, FileCall::kRead);
    outbox_.note(*pack, length + sizeof(ReadRecord));
    outbox_.give_back(pack, true);
  } else {
    block_release(data);
    fail(-ENOMEM);
  }
  outbox_.withdraw(file.promised);
  PathFeed::release(file.claim);
}

void ReadFiles::pack_record(const ReadRecord& record, const unsigned char* bytes, uint32_t length) {
  for (;;) {
    ReadPack* pack = outbox_.borrow(make_pack);
    if (pack == nullptr) return fail(-ENOMEM);
    if (length > ReadPack::kBytes - pack->used) {
      outbox_.give_back(pack, true);
      continue;
    }
    if (length > 0 && pack->data == nullptr) pack->data = pack_memory_take();
    const bool ok = length == 0 || pack->data != nullptr;
    if (ok) {
      ReadRecord& into = pack->records[pack->count++];
      into = record;
      if (length > 0) {
        memcpy(pack->data->data() + pack->used, bytes, length);
        into.offset = pack->used;
        pack->used += aligned(length);
      }
      outbox_.note(*pack, aligned(length) + sizeof record);
    }
    outbox_.give_back(pack, pack->count == ReadPack::kRecords);
    return ok ? void() : fail(-ENOMEM);
  }
}

}  // namespace acall
