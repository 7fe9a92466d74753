// Slots of the promise layer: how they are made, how their results are drained, copied out and settled. lib/ gives the
// numbers of the slots to ops.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "method.h"

namespace acall::binding {

namespace {

// growSlots(): adds kSlotChunk slots. Returns their stat results as one ArrayBuffer; null when there can be no more
BlockBuffer grow_slots(Client& client) {
  Block* stats = client.slots.grow();
  return {stats, stats == nullptr ? 0 : stats->size};
}

// drain(out, max): stores completions as DrainedResults. Returns how many
uint32_t drain(Client& client, std::span<DrainedResult> out, uint32_t max) {
  if (client.environment == nullptr) return 0;
  max = static_cast<uint32_t>(std::min<size_t>(max, out.size()));
  return client.slots.drain(*client.environment, out.data(), max);
}

// copyOut(slot, offset, view, length): copies from the op's memory to a view
void copy_out(Client&, SlotArgument slot, uint32_t offset, std::span<unsigned char> into, uint32_t length) {
  const Block* kept = slot->kept;
  if (kept == nullptr || offset > kept->size) return;
  // The view may be shorter than `length`: its buffer may have been resized or detached meanwhile.
  memcpy(into.data(), kept->bytes + offset, std::min({size_t{length}, into.size(), kept->size - offset}));
}

// release(slot): releases the op's memory
void release(Client&, SlotArgument slot) { block_release(std::exchange(slot->kept, nullptr)); }

// abandonSlots(slots, count): cancels ops whose results nobody wants any more. When this returns, no further call of
// these ops begins
void abandon_slots(Client& client, std::span<const uint32_t> slots, uint32_t count) {
  client.slots.abandon(slots.data(), static_cast<uint32_t>(std::min<size_t>(count, slots.size())));
}

// leaveSlots(slots, count): the ops of these slots no longer keep the event loop alive
void leave_slots(Client& client, std::span<const uint32_t> slots, uint32_t count) {
  client.slots.leave(slots.data(), static_cast<uint32_t>(std::min<size_t>(count, slots.size())));
}

// endTurn(): results have been taken outside of a turn of the bell, and nothing may keep loop and client any more
void end_turn(Client&) {}

// settleSlot(slot, unwanted, low, high): JavaScript takes the result of a slot; descriptors of an unwanted result are
// closed
void settle_slot(Client& client, SlotArgument slot, bool unwanted, uint32_t low, uint32_t high) {
  client.slots.settle(*client.environment, slot.number, unwanted, static_cast<int64_t>(uint64_t{high} << 32 | low));
}

// takeHandle(): the handle that the last settleSlot() has made; 0: there was no memory for it
HandleNumber take_handle(Client& client) { return client.slots.take_handle(); }

// handleClose(handle, slot): closes a handle; the slot's op completes when the descriptor is closed. 0: the close has
// been sent; kCloseWaits: aborted calls still use the descriptor; -EBADF, -EAGAIN
int32_t close_handle(Client& client, HandleNumber handle, SlotArgument slot) {
  return client.slots.close_handle(*client.environment, handle, slot.number);
}

// handleDetach(handle): the descriptor belongs to JavaScript from here on. 0; -EBUSY: ops use it; -EBADF
int32_t detach_handle(Client& client, HandleNumber handle) { return handle_detach(*client.environment, handle); }

}  // namespace

void add_slot_functions(const Exports& exports) {
  exports.add("growSlots", call<grow_slots, kOpens>);
  exports.add("drain", call<drain>);
  exports.add("copyOut", call<copy_out>);
  exports.add("release", call<release>);
  exports.add("abandonSlots", call<abandon_slots>);
  exports.add("leaveSlots", call<leave_slots>);
  exports.add("endTurn", call<end_turn, kLetsGo>);
  exports.add("settleSlot", call<settle_slot>);
  exports.add("takeHandle", call<take_handle>);
  exports.add("handleClose", call<close_handle, kSubmits>);
  exports.add("handleDetach", call<detach_handle>);
}

}  // namespace acall::binding
