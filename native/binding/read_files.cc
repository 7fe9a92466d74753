// The functions of readFiles.
#include <cerrno>
#include <cstring>

#include "method.h"

namespace acall::binding {

namespace {

// readFilesMake(flags): makes a job that waits for paths, and returns its handle; null when memory is short
ReadFiles* read_files_make(Client& client, int32_t flags) { return ReadFiles::make(*client.environment, flags); }

// readFilesAdd(handle, paths, count): adds `count` paths, joined by NULs, as text or as bytes. 0; kHasNul; -EAGAIN: no
// memory; -ECANCELED: the job is over
int32_t read_files_add(Client&, ReadFiles* job, const Content& joined, uint32_t count) {
  JoinedPaths paths;
  return paths.read(joined) ? job->add_joined(paths.block, paths.length, count) : -EAGAIN;
}

// readFilesFinish(handle): no more paths will come
void read_files_finish(Client&, ReadFiles* job) { job->finish(); }

// readFilesWait(handle, slot, flags): the slot's op ends when readFilesTake() has something, or the job is over. 0 or
// -EAGAIN
int32_t read_files_wait(Client& client, ReadFiles* job, SlotArgument slot, uint32_t flags) {
  return job->begin_in(client.slots, slot.number, flags);
}

// A ReadHeader, and room for the records of one pack.
struct ReadPage {
  ReadHeader header;
  ReadRecord records[ReadPack::kRecords];
};

// readFilesTake(handle, into): takes a pack. Returns its bytes as an ArrayBuffer, null when it has none. `into` gets a
// ReadHeader and then the records
BlockBuffer read_files_take(Client&, ReadFiles* job, Record<ReadPage> into) {
  const ReadFiles::Output output = job->take();
  ReadPack* pack = output.pack;
  ReadHeader header{};
  header.count = pack == nullptr ? 0 : pack->count;
  header.ended = output.ended;
  header.result = output.result;
  header.unclaimed = output.unclaimed;
  memcpy(into.bytes, &header, sizeof header);
  if (pack == nullptr) return {};
  memcpy(into.bytes + sizeof header, pack->records, pack->count * sizeof(ReadRecord));
  const BlockBuffer bytes{std::exchange(pack->data, nullptr), pack->used};
  read_pack_free(pack);
  return bytes;
}

}  // namespace

void add_read_files_functions(const Exports& exports) {
  exports.add("readFilesMake", call<read_files_make, kOpens>);
  exports.add("readFilesAdd", call<read_files_add>);
  exports.add("readFilesFinish", call<read_files_finish>);
  exports.add("readFilesWait", call<read_files_wait, kSubmits>);
  exports.add("readFilesTake", call<read_files_take>);
}

}  // namespace acall::binding
