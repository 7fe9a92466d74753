// Programs of the promise layer: their image, and batches of runs. lib/syslet/run/run.ts is the only caller.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "method.h"

namespace acall::binding {

namespace {

// An image and the arrays it names, in one allocation behind it.
struct HeldImage {
  ProgramImage image;
  alignas(16) unsigned char bytes[];
};

// programMake(image, header, relocations, areas, handed): a handle. header: a ProgramHeader
napi_value make(Client& client, std::span<unsigned char> image, Record<ProgramHeader> header,
                std::span<uint32_t> relocations, std::span<ProgramArea> areas, std::span<uint32_t> handed) {
  if (image.size() > INT32_MAX) return throw_range_error(client.env, "The program is too large");
  const size_t total =
      sizeof(HeldImage) + image.size() + relocations.size_bytes() + areas.size_bytes() + handed.size_bytes() + 16;
  auto* held = static_cast<HeldImage*>(malloc(total));
  if (held == nullptr) return throw_out_of_memory(client.env);
  new (&held->image) ProgramImage();
  unsigned char* at = held->bytes;
  auto keep = [&at]<typename T>(std::span<T> elements) {
    if (!elements.empty()) memcpy(at, elements.data(), elements.size_bytes());
    auto* place = reinterpret_cast<T*>(at);
    at += elements.size_bytes();
    return place;
  };
  ProgramImage& result = held->image;
  const ProgramHeader numbers = header.get();
  result.code = numbers.code;
  result.entry = numbers.entry;
  result.cleanup = numbers.cleanup;
  result.max_steps = numbers.max_steps;
  result.relocations = keep(relocations);
  result.relocation_count = static_cast<uint32_t>(relocations.size());
  result.areas = keep(areas);
  result.area_count = static_cast<uint32_t>(areas.size());
  result.handed = keep(handed);
  result.handed_count = static_cast<uint32_t>(handed.size());
  result.copied = static_cast<uint32_t>(image.size());
  result.size = numbers.size;
  result.bytes = keep(image);
  if (!program_image_is_valid(result)) {
    free(held);
    return throw_range_error(client.env, "The program points outside its memory");
  }
  return to_handle(client, held, [](napi_env, void* gone, void*) { free(gone); });
}

// The counts of a record add up to no more than it has.
bool fits(const RunRecord& record) {
  const uint64_t wanted = sizeof(RunRecord) + uint64_t{record.patches} * sizeof(ProgramPatch) +
                          uint64_t{record.areas} * sizeof(ProgramArea) + record.payload;
  return wanted <= record.bytes;
}

int submit_run(Client& client, const ProgramImage& image, RunRecord& record) {
  PromiseSlots::Slot* slot = client.slots.find(record.slot);
  if (slot == nullptr || !fits(record)) return -EINVAL;
  ProgramInputs inputs;
  inputs.patches = reinterpret_cast<const ProgramPatch*>(&record + 1);
  inputs.patch_count = record.patches;
  inputs.areas = reinterpret_cast<const ProgramArea*>(inputs.patches + record.patches);
  inputs.area_count = record.areas;
  inputs.payload = reinterpret_cast<const unsigned char*>(inputs.areas + record.areas);
  inputs.payload_bytes = record.payload;
  inputs.cookie = uint64_t{record.slot} + 1;
  inputs.keep_alive = !(record.facts & RunFact::kUnreferenced);
  inputs.carrier = &client.slots.carrier(record.slot);
  return engine_submit_program(*client.environment, *client.environment->promise_ring, image, inputs, &slot->id,
                               &slot->kept);
}

// programSubmit(handle, records, bytes): every record's status tells what became of it
void submit(Client& client, HeldImage* held, std::span<unsigned char> records, uint32_t bytes) {
  const auto used = static_cast<uint32_t>(std::min<size_t>(bytes, records.size()));
  for (uint32_t at = 0; used - at >= sizeof(RunRecord);) {
    auto& record = *reinterpret_cast<RunRecord*>(records.data() + at);
    if (record.bytes < sizeof(RunRecord) || record.bytes > used - at || record.bytes % kRecordAlign != 0) break;
    record.status = record.facts & RunFact::kSkip ? 0 : submit_run(client, held->image, record);
    at += record.bytes;
  }
}

}  // namespace

void add_program_functions(const Exports& exports) {
  exports.add("programMake", call<make>);
  exports.add("programSubmit", call<submit, kOpens | kSubmits>);
}

}  // namespace acall::binding
