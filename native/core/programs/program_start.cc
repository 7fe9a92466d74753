// How programs begin: those of async_exec on the submitting thread, until an atom may block; those of the promise layer
// in the pool, with a copy of their image. See program_start.h.
#include "programs/program_start.h"

#include <cerrno>
#include <cstring>
#include <new>

#include "base/block.h"
#include "completion/ring.h"
#include "inline/inline_call.h"
#include "launch/launch.h"
#include "op/arenas.h"
#include "op/environment.h"
#include "programs/program.h"
#include "syscalls/dispose.h"

namespace acall {

namespace {

// How many arenas of the environment a program may use, besides those of its ring, id and first atom. An environment
// may have more.
constexpr uint32_t kMaxArenas = 1024;

struct Ready {
  Operation* op = nullptr;
  Block* block = nullptr;
  ProgramRun* run = nullptr;
};

// Makes an op and the block of its run. False: no memory.
bool make_ready(Launch& launch, size_t bytes, Ready& ready) {
  ready.block = block_make(bytes);
  if (ready.block == nullptr) return false;
  if (launch.allocate(1) == 0) {
    block_release(ready.block);
    return false;
  }
  static_assert(alignof(ProgramRun) <= 16 && sizeof(ProgramRun) <= kProgramMemory);
  ready.run = new (ready.block->data()) ProgramRun();
  ready.op = &launch.next();
  ready.op->is_a(kProgram);
  ready.op->call.block = ready.block;
  ready.op->extra = ready.run;
  ready.op->facts.store(kOpPool, std::memory_order_relaxed);
  return true;
}

// The checks of async_exec, in the order of acall_submit. Pins every arena that the program may use, since a pool
// thread cannot hold arenas. Under arenas_lock.
int admit(Environment& environment, uint64_t atom, uint64_t ring, uint64_t id, Operation& op) {
  Memory memory{environment};
  Arena* arena;
  if (int error = pin_range(op.call, memory, ring, sizeof(acall_completion_ring), &arena); error != 0) return error;
  uint32_t nr;
  memcpy(&nr, reinterpret_cast<const void*>(ring + offsetof(acall_completion_ring, nr)), sizeof nr);
  if (sizeof(acall_completion_ring) + uint64_t{nr} * sizeof(acall_completion) > arena->end - ring) return -EFAULT;
  if (id != 0) {
    if (int error = pin_range(op.call, memory, id, sizeof(acall_id)); error != 0) return error;
  }
  if (int error = pin_range(op.call, memory, atom, sizeof(syslet_uatom)); error != 0) return error;
  if (((atom | ring | id) & 7) != 0) return -EINVAL;
  uint32_t flags;
  memcpy(&flags, reinterpret_cast<const void*>(atom + offsetof(syslet_uatom, flags)), sizeof flags);
  if (flags & ~kKnownAtomFlags) return -EINVAL;
  for (uint32_t i = 0; i < environment.arena_count && i < kMaxArenas; ++i) {
    const Arena& other = *environment.arenas[i];
    if (pin_range(op.call, memory, other.begin, other.end - other.begin) == -EAGAIN) return -EAGAIN;
  }
  Ring* record;
  if (int error = ring_acquire(ring, nr, 1, RingUse::kOps, &record); error != 0) return error;
  ring_count_program(*record);
  op.ring.store(record, std::memory_order_relaxed);
  return 0;
}

// The program is over on this thread, and no other thread has seen its op.
void finish_here(Launch& launch, Ready& ready, uint64_t id_address) {
  ring_forget(*ready.op->ring.load(std::memory_order_relaxed), 1, 1);
  Launch::write_id(*ready.op, id_address);
  launch.refuse(*ready.op);
}

// No thread can be had for the rest of the program.
int give_up(Launch& launch, Ready& ready, uint64_t id_address) {
  Operation& op = *ready.op;
  if (ready.run->steps == 0 && ready.op->call.transferred == 0) {
    finish_here(launch, ready, 0);
    return -EAGAIN;
  }
  op.cookie = ready.run->atom;
  program_dropped(op);
  launch.complete_here(op, op.call.not_made(-EAGAIN), id_address);
  return 1;
}

// Sends the rest of the program to the pool, and waits for its SYNC part.
int hand_over(Launch& launch, Ready& ready, uint64_t id_address, const Liveness& liveness, uint64_t* last) {
  Operation& op = *ready.op;
  ProgramRun& run = *ready.run;
  if (!launch.enter()) return give_up(launch, ready, id_address);
  op.cookie = run.last != 0 && op.call.transferred == 0 ? run.last : run.atom;
  const bool keep_alive = !op.ring.load(std::memory_order_relaxed)->unreferenced.load(std::memory_order_relaxed);
  const bool is_sync = (run.next_flags & SYSLET_SYNC) && !(run.next_flags & SYSLET_ASYNC);
  ProgramCaller caller;
  Block& block = *ready.block;
  if (is_sync) {
    block_reference(block);
    run.caller.store(&caller, std::memory_order_relaxed);
  }
  launch.accept(op, keep_alive);
  Launch::write_id(op, id_address);
  launch.send(op);
  if (!is_sync) return 1;
  launch.flush();
  const bool ended = program_wait(run, caller, liveness.still_alive, liveness.context);
  if (ended) *last = run.last;
  block_release(&block);
  return ended ? 0 : 1;
}

bool inside(uint64_t offset, uint64_t length, uint64_t size) { return offset <= size && length <= size - offset; }

bool is_word(uint32_t offset, uint64_t size) { return (offset & 7) == 0 && inside(offset, sizeof(uint64_t), size); }

bool is_atom(uint32_t offset, const ProgramArea& code) {
  return (offset & 7) == 0 && offset >= code.offset && inside(offset - code.offset, sizeof(syslet_uatom), code.length);
}

Segment segment_of(const ProgramArea& area, uint64_t base) {
  return {base + area.offset, base + area.offset + area.length};
}

}  // namespace

int engine_exec_program(Environment& environment, uint64_t atom, uint64_t ring, uint64_t id, const Liveness& liveness,
                        uint64_t* last) {
  Launch launch(environment);
  Ready ready;
  if (!make_ready(launch, sizeof(ProgramRun), ready)) return -EAGAIN;
  int error;
  {
    Hold hold(arenas_lock);
    error = admit(environment, atom, ring, id, *ready.op);
  }
  if (error != 0) {
    launch.refuse(*ready.op);
    return error;
  }
  ready.run->atom = atom;
  if (!program_run_inline(*ready.run, *ready.op)) return hand_over(launch, ready, id, liveness, last);
  *last = ready.run->last;
  finish_here(launch, ready, id);
  return 0;
}

bool program_image_is_valid(const ProgramImage& image) {
  bool valid = image.copied >= sizeof(syslet_report) && image.copied <= image.size &&
               inside(image.code.offset, image.code.length, image.copied) && is_atom(image.entry, image.code) &&
               (image.cleanup == 0 || is_atom(image.cleanup, image.code));
  for (uint32_t i = 0; i < image.relocation_count; ++i) valid = valid && is_word(image.relocations[i], image.copied);
  for (uint32_t i = 0; i < image.area_count; ++i)
    valid = valid && inside(image.areas[i].offset, image.areas[i].length, image.size);
  for (uint32_t i = 0; i < image.handed_count; ++i) valid = valid && is_word(image.handed[i], image.copied);
  return valid;
}

int engine_submit_program(Environment& environment, Ring& ring, const ProgramImage& image, const ProgramInputs& inputs,
                          acall_id* id, Block** kept) {
  const uint64_t size = uint64_t{image.size} + inputs.payload_bytes;
  for (uint32_t i = 0; i < inputs.patch_count; ++i) {
    const ProgramPatch& patch = inputs.patches[i];
    if (!is_word(patch.offset, size) || (patch.is_offset && patch.value > size)) return -EINVAL;
  }
  for (uint32_t i = 0; i < inputs.area_count; ++i) {
    if (!inside(inputs.areas[i].offset, inputs.areas[i].length, size)) return -EINVAL;
  }
  // [ProgramRun .. kProgramMemory) [image] [payload] [areas] [handed]
  const size_t areas_at = kProgramMemory + ((size + 15) & ~uint64_t{15});
  const uint32_t area_count = image.area_count + inputs.area_count;
  const size_t handed_at = areas_at + area_count * sizeof(Segment);
  Launch launch(environment);
  Ready ready;
  if (!launch.enter() || !make_ready(launch, handed_at + image.handed_count * sizeof(uint32_t), ready)) return -EAGAIN;
  if (!launch.into(ring, 1)) {
    launch.refuse(*ready.op);
    return -EAGAIN;
  }
  unsigned char* memory = ready.block->data() + kProgramMemory;
  const uint64_t base = reinterpret_cast<uint64_t>(memory);
  memcpy(memory, image.bytes, image.copied);
  if (inputs.payload_bytes > 0) memcpy(memory + image.size, inputs.payload, inputs.payload_bytes);
  auto put = [&](uint32_t offset, uint64_t value) { memcpy(memory + offset, &value, sizeof value); };
  for (uint32_t i = 0; i < image.relocation_count; ++i) {
    uint64_t offset;
    memcpy(&offset, memory + image.relocations[i], sizeof offset);
    put(image.relocations[i], base + offset);
  }
  for (uint32_t i = 0; i < inputs.patch_count; ++i) {
    const ProgramPatch& patch = inputs.patches[i];
    put(patch.offset, patch.is_offset ? base + patch.value : patch.value);
  }
  auto* areas = reinterpret_cast<Segment*>(ready.block->data() + areas_at);
  for (uint32_t i = 0; i < image.area_count; ++i) areas[i] = segment_of(image.areas[i], base);
  for (uint32_t i = 0; i < inputs.area_count; ++i) areas[image.area_count + i] = segment_of(inputs.areas[i], base);
  auto* handed = reinterpret_cast<uint32_t*>(ready.block->data() + handed_at);
  if (image.handed_count > 0) memcpy(handed, image.handed, image.handed_count * sizeof(uint32_t));

  ProgramRun& run = *ready.run;
  run.image = memory;
  run.atom = base + image.entry;
  run.cleanup = image.cleanup != 0 ? base + image.cleanup : 0;
  run.max_steps = image.max_steps;
  run.code = segment_of(image.code, base);
  run.areas = areas;
  run.area_count = area_count;
  run.handed = handed;
  run.handed_count = image.handed_count;
  Operation& op = *ready.op;
  op.cookie = inputs.cookie;
  ring_count_program(ring);
  *id = operation_table().id_of(op);
  *kept = ready.block;
  block_reference(*ready.block);
  if (inputs.carrier != nullptr && inputs.carrier->take(op)) op.cookie |= kCarriesDescriptors;
  launch.accept(op, inputs.keep_alive);
  launch.send(op);
  return 0;
}

}  // namespace acall
