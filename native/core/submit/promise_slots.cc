// The slots of promises. See promise_slots.h.
#include "submit/promise_slots.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "completion/ring.h"
#include "op/environment.h"
#include "op/handle.h"
#include "threads/cancel.h"

namespace acall {

PromiseSlots::~PromiseSlots() {
  for (Chunk* chunk : chunks_) {
    if (chunk == nullptr) continue;
    for (Slot& slot : chunk->slots) block_release(slot.kept);
    for (ResultCarrier& carrier : chunk->carriers) {
      if (carrier.is_set) carrier.forget();
    }
    block_release(chunk->stats);
    free(chunk);
  }
}

Block* PromiseSlots::grow() {
  Chunk** place = std::find(chunks_, chunks_ + kMaxChunks, nullptr);
  if (place == chunks_ + kMaxChunks) return nullptr;
  Block* stats = block_make(size_t{kSlotChunk} * sizeof(StatResult));
  if (stats == nullptr) return nullptr;
  auto* chunk = static_cast<Chunk*>(calloc(1, sizeof(Chunk)));  // no page of it is touched before it is used
  if (chunk == nullptr) {
    block_release(stats);
    return nullptr;
  }
  chunk->stats = stats;
  *place = chunk;
  block_reference(*stats);
  return stats;
}

PromiseSlots::Slot* PromiseSlots::find(uint32_t number) {
  const uint32_t place = number >> kSlotChunkBits;
  if (place >= kMaxChunks || chunks_[place] == nullptr) return nullptr;
  return &chunks_[place]->slots[number & kSlotPlaceMask];
}

uint32_t PromiseSlots::drain(Environment& environment, DrainedResult* into, uint32_t max) {
  acall_completion scratch[256];
  uint32_t got = 0;
  while (got < max) {
    const uint32_t wanted = std::min<uint32_t>(max - got, std::size(scratch));
    const uint32_t count = ring_drain(*environment.promise_ring, scratch, wanted);
    for (uint32_t i = 0; i < count; ++i, ++got) {
      const auto number = static_cast<uint32_t>(scratch[i].cookie - 1);
      uint32_t word = number;
      if (scratch[i].cookie & kCarriesDescriptors) {
        ResultCarrier& drained = carrier(number);
        drained.is_drained = true;
        drained.result = static_cast<int64_t>(scratch[i].return_code);
        word |= DrainedWord::kCarriesDescriptors;
      }
      into[got].word = word;
      into[got].low = static_cast<uint32_t>(scratch[i].return_code);
      into[got].high = static_cast<uint32_t>(scratch[i].return_code >> 32);
    }
    if (count < wanted) break;
  }
  return got;
}

void PromiseSlots::settle(Environment& environment, uint32_t number, bool unwanted, int64_t result) {
  ResultCarrier& settled = carrier(number);
  if (unwanted) return dispose_later(environment, settled, result);
  // The handle is made here and not in take_handle(), since a Worker may be terminated in between.
  if (settled.opened != nullptr && result >= 0) {
    opened_handle_ = handle_make(environment, static_cast<int>(result), *settled.opened);
  }
  settled.forget();
}

uint32_t PromiseSlots::take_handle() { return std::exchange(opened_handle_, 0); }

void PromiseSlots::abandon(const uint32_t* numbers, uint32_t count) {
  acall_id ids[128];
  for (uint32_t i = 0; i < count;) {
    uint32_t found = 0;
    for (; i < count && found < std::size(ids); ++i) {
      if (const Slot* slot = find(numbers[i]); slot != nullptr) ids[found++] = slot->id;
    }
    cancel_unwanted(ids, found, i < count);
  }
}

void PromiseSlots::leave(const uint32_t* numbers, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (const Slot* slot = find(numbers[i]); slot != nullptr) environment_let_go(slot->id);
  }
}

int PromiseSlots::close_handle(Environment& environment, uint32_t handle, uint32_t number) {
  return handle_close(environment, *environment.promise_ring, handle, cookie_of(number), true, &find(number)->id);
}

void PromiseSlots::drop_results(Environment& environment) {
  for (Chunk* chunk : chunks_) {
    if (chunk == nullptr) continue;
    for (ResultCarrier& carrier : chunk->carriers) {
      if (carrier.is_drained) dispose_later(environment, carrier, carrier.result);
    }
  }
  acall_completion scratch[64];
  while (const uint32_t count = ring_drain(*environment.promise_ring, scratch, std::size(scratch))) {
    for (uint32_t i = 0; i < count; ++i) {
      if (!(scratch[i].cookie & kCarriesDescriptors)) continue;
      const auto number = static_cast<uint32_t>(scratch[i].cookie - 1);
      dispose_later(environment, carrier(number), static_cast<int64_t>(scratch[i].return_code));
    }
  }
}

}  // namespace acall
