// Calls and their memory. See call.h.
#include "op/call.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/block.h"
#include "op/arenas.h"

namespace acall {

// Length words, structures that a call fills, and the control bytes of a message. Where the kernel refuses a size, it
// has written the size that it wants; after any other failure the caller's memory stays as it is.
void Call::copy_back(int64_t return_code) {
  const bool size_refused = return_code == -E2BIG || return_code == -ERANGE || return_code == -EOVERFLOW;
  if (copies == nullptr || (return_code < 0 && !size_refused)) return;
  for (uint32_t i = 0; i < copies->copy_back_count; ++i) {
    const CopyBack& copy = copies->copy_backs[i];
    uint64_t length = copy.length;
    if (copy.used_at != CopyBack::kWhole) {
      uint64_t used;
      memcpy(&used, copies->data() + copy.used_at, sizeof used);
      if (used < length) length = used;
    }
    memcpy(reinterpret_cast<void*>(copy.to), copies->data() + copy.from, length);
  }
}

void Call::share(Call& with) const {
  with.nr = nr;
  with.flags = flags;
  memcpy(with.args, args, sizeof args);
  with.block = block;
  with.copies = copies;
  if (block != nullptr) block_reference(*block);
  if (copies != nullptr) block_reference(*copies);
}

void Call::move_rest(Call& to) {
  to.nr = nr;
  to.flags = flags;
  memcpy(to.args, args, sizeof args);
  to.transferred = std::exchange(transferred, 0);
  to.copies = std::exchange(copies, nullptr);
}

void Call::drop() {
  each_pin(*this, [](Arena& arena) { arena_unpin(arena); });
  free(more_pins);
  block_release(block);
  block_release(copies);
  pin_count = more_pin_count = 0;
  more_pins = nullptr;
  block = copies = nullptr;
}

}  // namespace acall
