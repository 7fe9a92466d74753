// The slots of one client's promises. A slot has, for one op in flight: its id, its memory until the results are copied
// out, the room for its stat result, and what is needed to dispose of a result that carries descriptors. lib/ gives the
// numbers of slots to ops; number + 1 is the cookie of the op in the environment's promise ring. Slots come in chunks
// that are never freed before all of them are. Entered by the environment's thread only; no lock. The slots outlive the
// environment, since JavaScript may still use them after its end.
#ifndef ACALL_CORE_SUBMIT_PROMISE_SLOTS_H_
#define ACALL_CORE_SUBMIT_PROMISE_SLOTS_H_

#include <cstdint>

#include "abi.h"
#include "base/block.h"
#include "syscalls/dispose.h"
#include "wire.h"

namespace acall {

struct Environment;

class PromiseSlots {
 public:
  struct Slot {
    acall_id id;
    Block* kept;  // the op's memory, until JavaScript has copied the results out
  };

  PromiseSlots() = default;
  ~PromiseSlots();
  PromiseSlots(const PromiseSlots&) = delete;
  PromiseSlots& operator=(const PromiseSlots&) = delete;

  // Adds kSlotChunk slots. Returns their stat results, with one reference for the caller; nullptr: there can be no more
  // slots, or no memory.
  Block* grow();

  static uint64_t cookie_of(uint32_t number) { return uint64_t{number} + 1; }
  Slot* find(uint32_t number);  // nullptr: no such slot
  // The next three are for a slot that exists.
  ResultCarrier& carrier(uint32_t number) { return chunk(number).carriers[number & kSlotPlaceMask]; }
  Block& stats(uint32_t number) { return *chunk(number).stats; }  // the block that contains stat_result()
  StatResult& stat_result(uint32_t number) {
    return reinterpret_cast<StatResult*>(stats(number).data())[number & kSlotPlaceMask];
  }

  // Takes up to `max` results out of the promise ring, the oldest first. Returns how many.
  uint32_t drain(Environment& environment, DrainedResult* into, uint32_t max);
  // JavaScript takes a result that may carry descriptors. An unwanted result is disposed of; otherwise the descriptors
  // belong to JavaScript from here on, or to a handle where the call opens one.
  void settle(Environment& environment, uint32_t number, bool unwanted, int64_t result);
  // The handle that the last settle() has made; 0: there was no memory for it.
  uint32_t take_handle();
  // Cancels the ops of the slots, whose results nobody wants: none of their calls begins when this returns. abandon()
  // and leave() ignore a number without a slot.
  void abandon(const uint32_t* numbers, uint32_t count);
  // The ops of the slots no longer keep the event loop alive.
  void leave(const uint32_t* numbers, uint32_t count);
  // handle_close(); the op is that of the slot.
  int close_handle(Environment& environment, uint32_t handle, uint32_t number);
  // Disposes of the descriptors of all results that JavaScript has not drained or not settled.
  void drop_results(Environment& environment);

 private:
  static constexpr uint32_t kMaxChunks = 256;  // a million promise ops in flight

  struct Chunk {
    Slot slots[kSlotChunk];
    ResultCarrier carriers[kSlotChunk];  // only pages of calls whose results may carry descriptors are ever touched
    Block* stats;                        // kSlotChunk StatResults; JavaScript has them as an external ArrayBuffer
  };

  Chunk& chunk(uint32_t number) { return *chunks_[number >> kSlotChunkBits]; }

  Chunk* chunks_[kMaxChunks] = {};
  uint32_t opened_handle_ = 0;  // between settle() and take_handle()
};

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_PROMISE_SLOTS_H_
