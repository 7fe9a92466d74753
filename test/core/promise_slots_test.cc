// The slots of a client's promises: their numbers, and the disposal of results that carry descriptors.
#include <fcntl.h>
#include <sys/syscall.h>

#include "check.h"
#include "descriptors.h"
#include "promise_client.h"
#include "support.h"

using namespace support;

namespace {

// Opens "/" for the slot, as a handle or as a bare number.
void open_root(PromiseClient& client, uint32_t slot, bool as_handle = false) {
  acall::Block* block = acall::block_make(64);
  block->data()[0] = '/';
  block->data()[1] = '\0';
  const acall::Segment segment{block->address(), block->address() + 2};
  acall::PromiseCall call;
  call.nr = SYS_openat;
  call.flags = kPool;
  call.cookie = uint64_t{slot} + 1;
  call.args[0] = static_cast<uint64_t>(AT_FDCWD);
  call.args[1] = block->address();
  call.args[2] = O_RDONLY | O_CLOEXEC;
  call.segments = &segment;
  call.segment_count = 1;
  call.block = block;
  if (as_handle) call.opens = new (block->data() + 16) acall::HandleIdentity();
  call.carrier = &client.slots.carrier(slot);
  CHECK_EQ(acall::engine_submit_call(*client.environment, *client.environment->promise_ring, call,
                                     &client.slots.find(slot)->id),
           0);
}

uint32_t slot_of(const acall::DrainedResult& result) { return result.word & acall::DrainedWord::kSlot; }

}  // namespace

TEST("a slot exists when its chunk has been made, and stat results lie one behind the other") {
  acall::PromiseSlots slots;
  CHECK(slots.find(0) == nullptr);
  acall::Block* first = slots.grow();
  if (!CHECK(first != nullptr)) return;
  CHECK_EQ(first->size, acall::kSlotChunk * sizeof(acall::StatResult));
  CHECK(slots.find(acall::kSlotChunk - 1) != nullptr);
  CHECK(slots.find(acall::kSlotChunk) == nullptr);
  CHECK(slots.find(UINT32_MAX) == nullptr);
  CHECK(&slots.stats(5) == first);
  CHECK_EQ(address_of(&slots.stat_result(5)), first->address() + 5 * sizeof(acall::StatResult));
  acall::Block* second = slots.grow();
  CHECK(slots.find(acall::kSlotChunk) != nullptr);
  CHECK(&slots.stats(acall::kSlotChunk) == second);
  acall::block_release(first);
  acall::block_release(second);
}

TEST("without memory there are no more slots, and those that there are stay") {
  WithSeams seams;
  acall::PromiseSlots slots;
  acall::block_release(slots.grow());
  acall::seams.allocate = [](size_t) -> void* { return nullptr; };
  CHECK(slots.grow() == nullptr);
  CHECK(slots.find(acall::kSlotChunk) == nullptr);
  CHECK(slots.find(0) != nullptr);
}

TEST("results are drained as they have come, and those that carry a descriptor say so") {
  PromiseClient client;
  for (uint32_t slot = 0; slot < 3; ++slot) {
    open_root(client, slot);
    client.settled();
  }
  acall::DrainedResult results[4];
  CHECK_EQ(client.slots.drain(*client.environment, results, 2), 2u);
  CHECK_EQ(client.slots.drain(*client.environment, results + 2, 2), 1u);
  for (uint32_t slot = 0; slot < 3; ++slot) {
    CHECK_EQ(slot_of(results[slot]), slot);
    CHECK(results[slot].word & acall::DrainedWord::kCarriesDescriptors);
    CHECK_EQ(results[slot].high, 0u);
    client.slots.settle(*client.environment, slot, false, results[slot].low);
    CHECK_EQ(close(static_cast<int>(results[slot].low)), 0);
  }
}

TEST("a result that nobody wants is closed, one that is wanted is not, and neither is looked at again") {
  PromiseClient client;
  open_root(client, 0);
  open_root(client, 1);
  client.settled();
  const int before = open_descriptors();
  uint32_t kept = 0;
  for (int i = 0; i < 2; ++i) {
    const acall::DrainedResult result = client.take();
    if (slot_of(result) == 1) kept = result.low;
    client.slots.settle(*client.environment, slot_of(result), slot_of(result) == 0, result.low);
  }
  until([&] { return open_descriptors() == before - 1; });
  client.end();
  CHECK_EQ(open_descriptors(), before - 1);
  CHECK_EQ(close(static_cast<int>(kept)), 0);
}

TEST("results that have not been drained, or not been gone through, are closed when their environment ends") {
  PromiseClient client;
  const int before = open_descriptors();
  for (uint32_t slot = 0; slot < 8; ++slot) open_root(client, slot);
  client.settled();
  CHECK_EQ(open_descriptors(), before + 8);
  for (int i = 0; i < 3; ++i) client.take();
  client.end();
  until([&] { return open_descriptors() == before; });
}

TEST("a file that is opened for a handle belongs to it from the moment its result is settled") {
  PromiseClient client;
  open_root(client, 0, true);
  const acall::DrainedResult result = client.take();
  client.slots.settle(*client.environment, 0, false, result.low);
  const uint32_t handle = client.slots.take_handle();
  const acall::OpenHandle* record = acall::handle_find(*client.environment, handle);
  if (!CHECK(record != nullptr)) return;
  CHECK_EQ(record->fd, static_cast<int>(result.low));
  CHECK_EQ(client.slots.take_handle(), 0u);
  // Nobody has taken the number of this handle, and its descriptor is still closed with the environment.
  const int before = open_descriptors();
  open_root(client, 1, true);
  client.slots.settle(*client.environment, 1, false, client.take().low);
  client.end();
  until([&] { return open_descriptors() == before - 1; });
}
