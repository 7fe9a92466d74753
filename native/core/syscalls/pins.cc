// See pins.h.
#include "syscalls/pins.h"

#include <cerrno>

#include "base/seams.h"
#include "op/arenas.h"
#include "op/environment.h"

namespace acall {

namespace {

// The arena among the call's pins that contains all of [address, address + length). A pinned arena keeps its range.
Arena* find_pin(const Call& holder, uint64_t address, uint64_t length) {
  auto holds = [&](const Arena& arena) {
    return address >= arena.begin && address < arena.end && length <= arena.end - address;
  };
  for (uint32_t i = 0; i < holder.pin_count; ++i) {
    if (holds(*holder.pins[i])) return holder.pins[i];
  }
  for (uint32_t i = 0; i < holder.more_pin_count; ++i) {
    if (holds(*holder.more_pins[i])) return holder.more_pins[i];
  }
  return nullptr;
}

}  // namespace

bool holds_range(const Call& holder, uint64_t address, uint64_t length) {
  return find_pin(holder, address, length) != nullptr;
}

int pin_range(Call& call, const Memory& memory, uint64_t address, uint64_t length, Arena** result) {
  if (memory.holder != nullptr) {
    Arena* arena = find_pin(*memory.holder, address, length);
    if (result != nullptr) *result = arena;
    return arena != nullptr ? 0 : -EFAULT;
  }
  for (;;) {
    Arena* arena = arena_find(memory.environment, address, length);
    if (arena == nullptr) return -EFAULT;
    if (result != nullptr) *result = arena;
    for (uint32_t i = 0; i < call.pin_count; ++i) {
      if (call.pins[i] == arena) return 0;
    }
    for (uint32_t i = 0; i < call.more_pin_count; ++i) {
      if (call.more_pins[i] == arena) return 0;
    }
    const bool more = call.pin_count == Call::kMaxPins;
    if (more && call.more_pins == nullptr) {
      call.more_pins = static_cast<Arena**>(seams.allocate(sizeof(Arena*) * kMaxVector));
      if (call.more_pins == nullptr) return -EAGAIN;
    }
    if (more && call.more_pin_count == kMaxVector) return -EAGAIN;
    if (!arena_pin(*arena)) continue;  // collected: arena_find() no longer finds it
    if (more) {
      call.more_pins[call.more_pin_count++] = arena;
    } else {
      call.pins[call.pin_count++] = arena;
    }
    return 0;
  }
}

}  // namespace acall
