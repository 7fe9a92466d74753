// Images and records of runs. See program_requests.h.
#include "programs/program_requests.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/seams.h"
#include "op/environment.h"

namespace acall {

namespace {

// Whether the parts of a record fit into its bytes.
bool fits(const RunRecord& record) {
  const uint64_t wanted = sizeof(RunRecord) + uint64_t{record.patches} * sizeof(ProgramPatch) +
                          uint64_t{record.areas} * sizeof(ProgramArea) + record.payload;
  return wanted <= record.bytes;
}

int submit_record(Environment& environment, PromiseSlots& slots, const ProgramImage& image, RunRecord& record) {
  PromiseSlots::Slot* slot = slots.find(record.slot);
  if (slot == nullptr || !fits(record)) return -EINVAL;
  ProgramInputs inputs;
  inputs.patches = reinterpret_cast<const ProgramPatch*>(&record + 1);
  inputs.patch_count = record.patches;
  inputs.areas = reinterpret_cast<const ProgramArea*>(inputs.patches + record.patches);
  inputs.area_count = record.areas;
  inputs.payload = reinterpret_cast<const unsigned char*>(inputs.areas + record.areas);
  inputs.payload_bytes = record.payload;
  inputs.cookie = PromiseSlots::cookie_of(record.slot);
  inputs.keep_alive = !(record.facts & RunFact::kUnreferenced);
  inputs.carrier = &slots.carrier(record.slot);
  return engine_submit_program(environment, *environment.promise_ring, image, inputs, &slot->id, &slot->kept);
}

}  // namespace

int program_image_make(const ProgramHeader& header, std::span<const unsigned char> bytes,
                       std::span<const uint32_t> relocations, std::span<const ProgramArea> areas,
                       std::span<const uint32_t> handed, ProgramImage** image) {
  static_assert(sizeof(ProgramImage) % alignof(ProgramArea) == 0);
  if (bytes.size() > INT32_MAX) return -EINVAL;
  void* memory = seams.allocate(sizeof(ProgramImage) + relocations.size_bytes() + areas.size_bytes() +
                                handed.size_bytes() + bytes.size());
  if (memory == nullptr) return -EAGAIN;
  auto* result = new (memory) ProgramImage();
  auto* at = reinterpret_cast<unsigned char*>(result + 1);
  auto keep = [&at]<typename T>(std::span<const T> elements) {
    if (!elements.empty()) memcpy(at, elements.data(), elements.size_bytes());
    auto* place = reinterpret_cast<const T*>(at);
    at += elements.size_bytes();
    return place;
  };
  result->code = header.code;
  result->entry = header.entry;
  result->cleanup = header.cleanup;
  result->max_steps = header.max_steps;
  result->size = header.size;
  result->relocations = keep(relocations);
  result->relocation_count = static_cast<uint32_t>(relocations.size());
  result->areas = keep(areas);
  result->area_count = static_cast<uint32_t>(areas.size());
  result->handed = keep(handed);
  result->handed_count = static_cast<uint32_t>(handed.size());
  result->bytes = keep(bytes);
  result->copied = static_cast<uint32_t>(bytes.size());
  if (!program_image_is_valid(*result)) {
    free(memory);
    return -EINVAL;
  }
  *image = result;
  return 0;
}

void program_submit_runs(Environment& environment, PromiseSlots& slots, const ProgramImage& image,
                         unsigned char* records, uint32_t bytes) {
  while (bytes >= sizeof(RunRecord)) {
    auto& record = *reinterpret_cast<RunRecord*>(records);
    if (record.bytes < sizeof(RunRecord) || record.bytes > bytes || record.bytes % kRecordAlign != 0) return;
    record.status = record.facts & RunFact::kSkip ? 0 : submit_record(environment, slots, image, record);
    records += record.bytes;
    bytes -= record.bytes;
  }
}

}  // namespace acall
