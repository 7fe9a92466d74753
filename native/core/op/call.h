// What was asked of the kernel: number, arguments, and the memory that belongs to the call until it is over. An op
// holds one, and so does each atom of a program while it runs. The thread that prepares a call writes all of it; from
// then on it is constant, but for what an inline call has transferred already.
#ifndef ACALL_CORE_OP_CALL_H_
#define ACALL_CORE_OP_CALL_H_

#include <cerrno>
#include <cstdint>

namespace acall {

struct Arena;
struct Block;

struct Call {
  // Bits of `flags`. The submitter sets the first group before policy_admit(), which sets the rest but for the last
  // group (inline_mark()).
  static constexpr uint32_t kPromise = 1u << 0;           // of the promise layer
  static constexpr uint32_t kClosesOurs = 1u << 1;        // close() of what acall has opened: restrict() lets it pass
  static constexpr uint32_t kUninterruptible = 1u << 2;   // close and its kind: a running one is never signalled
  static constexpr uint32_t kKernelHoldsArena = 1u << 3;  // an argument points into an arena
  static constexpr uint32_t kRerun = 1u << 4;             // an -EINTR nobody asked for is run again
  static constexpr uint32_t kUnsafe = 1u << 5;
  static constexpr uint32_t kReturnsFd = 1u << 6;  // a result nobody takes must be closed
  static constexpr uint32_t kUnknown = 1u << 7;  // number the table does not know: -ENOSYS without entering the kernel
  static constexpr uint32_t kInline = 1u << 8;   // tried on the submitting thread before it goes anywhere
  static constexpr uint32_t kNeverBlocks = 1u << 9;  // likewise, and the call never blocks

  // What cancellers and an ending environment have to know of the call an op is in: the same bits in Operation::facts.
  static constexpr uint32_t kShown = kUninterruptible | kKernelHoldsArena;

  static constexpr int kMaxPins = 10;

  uint32_t nr = 0;
  uint32_t flags = 0;
  uint64_t args[6] = {};
  Block* block = nullptr;    // core-owned memory that the arguments point to (promise layer)
  Block* copies = nullptr;   // private copies of what the kernel must not re-read; or a result's memory
  uint64_t transferred = 0;  // bytes that an inline call has read or written; the arguments name the rest
  // Arenas that the call, or the op it belongs to, keeps in place.
  Arena** more_pins = nullptr;  // malloc'ed: a vector that spans more arenas than pins[] has room for
  uint32_t pin_count = 0;
  uint32_t more_pin_count = 0;
  Arena* pins[kMaxPins] = {};

  // The result of the whole call, when the kernel has answered for what was left of it.
  int64_t whole(int64_t result) const {
    if (transferred == 0) return result;
    return static_cast<int64_t>(transferred) + (result > 0 ? result : 0);
  }
  // What a call that was never made ends with: the bytes an inline call has transferred, else `error`.
  int64_t not_made(int error) const { return transferred > 0 ? static_cast<int64_t>(transferred) : error; }

  // What the kernel left in our copies goes to the caller's memory.
  void copy_back(int64_t return_code);
  // Number, flags, arguments, and one more reference of the memory, for who disposes of the result. No pins.
  void share(Call& with) const;
  // The rest of a call that an inline call has begun, with its copies, to another place. This one has none then.
  void move_rest(Call& to);
  // Lets go of pins, block and copies.
  void drop();
};

template <typename Visitor>
void each_pin(const Call& call, Visitor visit) {
  for (uint32_t i = 0; i < call.pin_count; ++i) visit(*call.pins[i]);
  for (uint32_t i = 0; i < call.more_pin_count; ++i) visit(*call.more_pins[i]);
}

}  // namespace acall

#endif  // ACALL_CORE_OP_CALL_H_
