// Programs of the promise layer: their image, and batches of runs. lib/syslet/run/run.ts is the only caller.
#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "method.h"

namespace acall::binding {

namespace {

// programMake(image, header, relocations, areas, handed): returns a handle. `header` is a ProgramHeader
napi_value make(Client& client, std::span<const unsigned char> bytes, Record<ProgramHeader> header,
                std::span<const uint32_t> relocations, std::span<const ProgramArea> areas,
                std::span<const uint32_t> handed) {
  ProgramImage* image;
  const int error = program_image_make(header.get(), bytes, relocations, areas, handed, &image);
  if (error == -EAGAIN) return throw_out_of_memory(client.env);
  if (error != 0) return throw_range_error(client.env, "The program is too large, or points outside its memory");
  return to_handle(client, image, [](napi_env, void* gone, void*) { free(gone); });
}

// programSubmit(handle, records, bytes): submits RunRecords and stores the status of each
void submit(Client& client, ProgramImage* image, std::span<unsigned char> records, uint32_t bytes) {
  const auto used = static_cast<uint32_t>(std::min<size_t>(bytes, records.size()));
  program_submit_runs(*client.environment, client.slots, *image, records.data(), used);
}

}  // namespace

void add_program_functions(const Exports& exports) {
  exports.add("programMake", call<make>);
  exports.add("programSubmit", call<submit, kOpens | kSubmits>);
}

}  // namespace acall::binding
