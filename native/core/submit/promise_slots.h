// The slots of one client's promises: for each op in flight its id, its memory until the results are copied out, the
// room for its stat result, and what it takes to dispose of a result that carries descriptors. lib/ keeps the numbers
// of the slots, number + 1 is the cookie of the op in the environment's promise ring, and slots come in chunks that
// stay. Entered by the environment's thread only. The slots outlive the environment: what JavaScript still asks of them
// then is answered.
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

  // The stat results of the next kSlotChunk slots, with one reference for the caller; nullptr when there can be no
  // more.
  Block* grow();

  Slot* find(uint32_t number);  // nullptr: no such slot
  // Of a slot that exists.
  ResultCarrier& carrier(uint32_t number) { return chunk(number).carriers[number & kSlotPlaceMask]; }
  Block& stats(uint32_t number) { return *chunk(number).stats; }  // where the next one lies
  StatResult& stat_result(uint32_t number) {
    return reinterpret_cast<StatResult*>(stats(number).data())[number & kSlotPlaceMask];
  }

  // Takes up to `max` results out of the promise ring, oldest first. How many.
  uint32_t drain(Environment& environment, DrainedResult* into, uint32_t max);
  // JavaScript has come to a result that may carry descriptors. An unwanted one is disposed of; otherwise the
  // descriptors are JavaScript's from here on, or its handle's where the call opens one.
  void settle(Environment& environment, uint32_t number, bool unwanted, int64_t result);
  // The handle of the call that settle() was called for last; 0: there was no memory for it.
  uint32_t take_handle();
  // Results that JavaScript has not taken, or not gone through: what they carry is disposed of.
  void drop_results(Environment& environment);

 private:
  static constexpr uint32_t kMostChunks = 256;  // a million promise ops in flight

  struct Chunk {
    Slot slots[kSlotChunk];
    ResultCarrier carriers[kSlotChunk];  // untouched pages but for slots of calls whose result may carry descriptors
    Block* stats;                        // kSlotChunk of StatResult; JavaScript sees it as an external ArrayBuffer
  };

  Chunk& chunk(uint32_t number) { return *chunks_[number >> kSlotChunkBits]; }

  Chunk* chunks_[kMostChunks] = {};
  uint32_t opened_handle_ = 0;  // between settle() and take_handle()
};

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_PROMISE_SLOTS_H_
