// How what was read comes into packs. See read_files.h.
#include <cerrno>
#include <cstring>
#include <new>

#include "read_files.h"
#include "read_files_scratch.h"
#include "seams.h"

namespace acall {

namespace {

uint32_t aligned(uint32_t bytes) { return (bytes + 7) & ~7u; }

}  // namespace

// A small file whose bytes lie at the end of the scratch memory, or an error.
void ReadFiles::note(Scratch& scratch, const Item& item, int64_t status, FileCall call, uint64_t size) {
  ReadRecord record{};
  record.index = item.index;
  record.status = static_cast<int32_t>(status);
  record.offset = scratch.used;
  record.call = call;
  if (call == FileCall::kTooLarge) {
    record.offset = static_cast<uint32_t>(size);
    record.high = static_cast<uint32_t>(size >> 32);
  }
  {
    Hold hold(scratch.lock);
    const uint32_t count = scratch.count.load(std::memory_order_relaxed);
    scratch.records[count] = record;
    scratch.count.store(count + 1, std::memory_order_relaxed);
  }
  if (status > 0) scratch.used += aligned(static_cast<uint32_t>(status));
  unfetched_bytes_.fetch_sub(item.promised, std::memory_order_relaxed);
}

// A file with a block of its own: a pack of one.
void ReadFiles::deliver(const Item& item, Block* data, uint32_t length) {
  void* memory = seams.allocate(sizeof(ReadPack));
  if (memory == nullptr) {
    block_release(data);
    return fail(-ENOMEM);
  }
  auto* pack = new (memory) ReadPack();
  pack->data = data;
  pack->used = length;
  pack->count = 1;
  ReadRecord& record = pack->records[0];
  record = {};
  record.index = item.index;
  record.status = static_cast<int32_t>(length);
  record.call = FileCall::kRead;
  unfetched_bytes_.fetch_add(length + sizeof(ReadRecord) - item.promised, std::memory_order_relaxed);
  return_pack(pack, true);
}

// From the scratch memory into packs: the owner, when the memory is to be used anew.
void ReadFiles::flush_own(Scratch& scratch) {
  flush(scratch);
  Hold hold(scratch.lock);
  scratch.used = 0;
  scratch.count.store(0, std::memory_order_relaxed);
  scratch.flushed.store(0, std::memory_order_relaxed);
}

// Any helper: the records stay where they are, and so do bytes that are just being read behind them.
void ReadFiles::flush(Scratch& scratch) {
  Hold flushing(scratch.lock);
  const uint32_t end = scratch.count.load(std::memory_order_relaxed);
  for (uint32_t at = scratch.flushed.load(std::memory_order_relaxed); at < end;) {
    ReadPack* pack = borrow_pack();
    if (pack == nullptr) return fail(-ENOMEM);
    const uint32_t used = pack->used, count = pack->count;
    bool full = false, ok = true;
    for (; at < end && !full && ok; ++at) {
      ReadRecord record = scratch.records[at];
      const uint32_t length = record.status > 0 ? aligned(static_cast<uint32_t>(record.status)) : 0;
      if (length > ReadPack::kBytes - pack->used) {
        full = true;
        break;
      }
      if (length > 0 && pack->data == nullptr) {
        pack->data = pack_memory_take();
        ok = pack->data != nullptr;
        if (!ok) break;
      }
      if (length > 0) {
        memcpy(pack->data->data() + pack->used, scratch.bytes + record.offset, length);
        record.offset = pack->used;
        pack->used += length;
      }
      pack->records[pack->count++] = record;
      full = pack->count == ReadPack::kRecords;
    }
    unfetched_bytes_.fetch_add(pack->used - used + (pack->count - count) * sizeof(ReadRecord),
                               std::memory_order_relaxed);
    return_pack(pack, full);
    if (!ok) return fail(-ENOMEM);
    scratch.flushed.store(at, std::memory_order_relaxed);
  }
}

ReadFiles::Scratch* ReadFiles::borrow_scratch() {
  {
    Hold hold(lock);
    if (Scratch* scratch = spare_; scratch != nullptr) {
      spare_ = scratch->next;
      return scratch;
    }
  }
  void* memory = seams.allocate(sizeof(Scratch));
  return memory == nullptr ? nullptr : new (memory) Scratch;
}

ReadPack* ReadFiles::borrow_pack() {
  {
    Hold hold(lock);
    if (ReadPack* pack = partial_; pack != nullptr) {
      partial_ = pack->next;
      pack->next = nullptr;
      return pack;
    }
  }
  void* memory = seams.allocate(sizeof(ReadPack));
  return memory == nullptr ? nullptr : new (memory) ReadPack();
}

void ReadFiles::return_pack(ReadPack* pack, bool full) {
  if (pack->count == 0) return read_pack_free(pack);
  Hold hold(lock);
  if (!full) {
    pack->next = partial_;
    partial_ = pack;
    return;
  }
  pack->next = nullptr;
  if (ready_last_ != nullptr) {
    ready_last_->next = pack;
  } else {
    ready_ = pack;
  }
  ready_last_ = pack;
  ++ready_count_;
}

}  // namespace acall
