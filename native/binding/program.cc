// Programs of the promise layer: their image, and batches of runs. lib/syslet/run/run.ts is the only caller.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "addon.h"

namespace acall::binding {

namespace {

constexpr napi_type_tag kTag = {0x6163616c6c000010, 0x9b0c5d1f3e2a4871};

// An image and the arrays it names, in one allocation behind it.
struct HeldImage {
  ProgramImage image;
  alignas(16) unsigned char bytes[];
};

struct Bytes {
  unsigned char* data = nullptr;
  size_t length = 0;
  bool read(napi_env env, napi_value value) { return bytes_of(env, value, &data, &length); }
  uint32_t words() const { return static_cast<uint32_t>(length / sizeof(uint32_t)); }
};

// programMake(image, header, relocations, areas, handed): a handle. header: a ProgramHeader
napi_value make(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  Bytes image, header, relocations, areas, handed;
  if (!image.read(env, arguments[0]) || !header.read(env, arguments[1]) || !relocations.read(env, arguments[2]) ||
      !areas.read(env, arguments[3]) || !handed.read(env, arguments[4])) {
    return nullptr;
  }
  if (header.length < sizeof(ProgramHeader) || image.length > INT32_MAX) {
    throw_range_error(env, "The program is too large");
    return nullptr;
  }
  const size_t total = sizeof(HeldImage) + image.length + relocations.length + areas.length + handed.length + 16;
  auto* held = static_cast<HeldImage*>(malloc(total));
  if (held == nullptr) {
    throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    return nullptr;
  }
  new (&held->image) ProgramImage();
  unsigned char* at = held->bytes;
  auto keep = [&at](const Bytes& bytes) {
    if (bytes.length > 0) memcpy(at, bytes.data, bytes.length);
    auto* place = reinterpret_cast<uint32_t*>(at);
    at += bytes.length;
    return place;
  };
  ProgramImage& result = held->image;
  ProgramHeader numbers;
  memcpy(&numbers, header.data, sizeof numbers);
  result.code = numbers.code;
  result.entry = numbers.entry;
  result.cleanup = numbers.cleanup;
  result.max_steps = numbers.max_steps;
  result.relocations = keep(relocations);
  result.relocation_count = relocations.words();
  result.areas = reinterpret_cast<ProgramArea*>(keep(areas));
  result.area_count = static_cast<uint32_t>(areas.length / sizeof(ProgramArea));
  result.handed = keep(handed);
  result.handed_count = handed.words();
  result.copied = static_cast<uint32_t>(image.length);
  result.size = numbers.size;
  result.bytes = reinterpret_cast<unsigned char*>(keep(image));
  napi_value handle = nullptr;
  if (!program_image_is_valid(result)) {
    free(held);
    throw_range_error(env, "The program points outside its memory");
    return nullptr;
  }
  if (napi_create_external(
          env, held, [](napi_env, void* gone, void*) { free(gone); }, nullptr, &handle) != napi_ok) {
    free(held);
    throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "acall: out of memory");
    return nullptr;
  }
  napi_type_tag_object(env, handle, &kTag);
  return handle;
}

// The counts of a record add up to no more than it has.
bool fits(const RunRecord& record) {
  const uint64_t wanted = sizeof(RunRecord) + uint64_t{record.patches} * sizeof(ProgramPatch) +
                          uint64_t{record.areas} * sizeof(ProgramArea) + record.payload;
  return wanted <= record.bytes;
}

int submit_run(Client& data, const ProgramImage& image, RunRecord& record) {
  Slot* slot = slot_of(data, record.slot);
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
  inputs.carrier = &carrier_of(data, record.slot);
  return engine_submit_program(*data.environment, *data.ring, image, inputs, &slot->id, &slot->kept);
}

// programSubmit(handle, records, bytes): every record's status tells what became of it
napi_value submit(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  Bytes records;
  uint32_t used;
  bool is_image = false;
  void* pointer = nullptr;
  napi_valuetype type;
  if (napi_typeof(env, arguments[0], &type) != napi_ok || type != napi_external ||
      napi_check_object_type_tag(env, arguments[0], &kTag, &is_image) != napi_ok || !is_image ||
      napi_get_value_external(env, arguments[0], &pointer) != napi_ok) {
    throw_type_error(env, "The argument must be the handle of a program");
    return nullptr;
  }
  if (!records.read(env, arguments[1]) || !uint32_of(env, arguments[2], &used) || !open_environment(data))
    return nullptr;
  if (used > records.length) used = static_cast<uint32_t>(records.length);
  for (uint32_t at = 0; used - at >= sizeof(RunRecord);) {
    auto& record = *reinterpret_cast<RunRecord*>(records.data + at);
    if (record.bytes < sizeof(RunRecord) || record.bytes > used - at || record.bytes % kRecordAlign != 0) break;
    record.status =
        record.facts & RunFact::kSkip ? 0 : submit_run(data, static_cast<HeldImage*>(pointer)->image, record);
    at += record.bytes;
  }
  hold_bell(data);
  return nullptr;
}

}  // namespace

void define_program(napi_env env, napi_value exports) {
  define(env, exports, "programMake", make);
  define(env, exports, "programSubmit", submit);
}

}  // namespace acall::binding
