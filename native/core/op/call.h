// A call: its number, its arguments, and the memory that belongs to it until it is over. An op has one, and so has each
// atom of a program while it runs. The thread that prepares a call writes all of it, an inline call included; from then
// on it is constant until it is dropped. No lock.
#ifndef ACALL_CORE_OP_CALL_H_
#define ACALL_CORE_OP_CALL_H_

#include <cerrno>
#include <cstdint>

namespace acall {

struct Arena;
struct Block;

struct Call {
  // Bits of `flags`. The first two are the submitter's; check_pointers() sets kKernelHoldsArena, inline_mark() the last
  // two, and policy_admit() all others.
  static constexpr uint32_t kPromise = 1u << 0;           // made by the promise layer
  static constexpr uint32_t kClosesOurs = 1u << 1;        // close() of what acall has opened: restrict() lets it pass
  static constexpr uint32_t kUninterruptible = 1u << 2;   // close and its kind: never signalled while running
  static constexpr uint32_t kKernelHoldsArena = 1u << 3;  // an argument points into an arena
  static constexpr uint32_t kRerun = 1u << 4;             // made again after an -EINTR that no cancel has caused
  static constexpr uint32_t kUnsafe = 1u << 5;
  static constexpr uint32_t kReturnsFd = 1u << 6;    // the result is a descriptor: closed when nobody takes it
  static constexpr uint32_t kUnknown = 1u << 7;      // not in the table: -ENOSYS without entering the kernel
  static constexpr uint32_t kInline = 1u << 8;       // made inline if that is possible
  static constexpr uint32_t kNeverBlocks = 1u << 9;  // besides kInline: the call never blocks

  // What cancellers and an ending environment have to know of an op's call: the same bits in Operation::facts.
  static constexpr uint32_t kShown = kUninterruptible | kKernelHoldsArena;

  static constexpr int kMaxPins = 10;

  uint32_t nr = 0;
  uint32_t flags = 0;
  uint64_t args[6] = {};
  Block* block = nullptr;    // core-owned memory that the arguments point to (promise layer)
  Block* copies = nullptr;   // copies of memory that the kernel must not read again; or the memory of a result
  uint64_t transferred = 0;  // bytes that an inline call has read or written; the arguments name the rest
  // Arenas that the call, or the op it belongs to, keeps in place.
  Arena** more_pins = nullptr;  // malloc'ed: a vector that spans more arenas than pins[] has room for
  uint32_t pin_count = 0;
  uint32_t more_pin_count = 0;
  Arena* pins[kMaxPins] = {};

  // The result of the whole call; `result` is the kernel's for the rest that an inline call has left.
  int64_t whole(int64_t result) const {
    if (transferred == 0) return result;
    return static_cast<int64_t>(transferred) + (result > 0 ? result : 0);
  }
  // The result of a call whose rest was never made: the bytes that an inline call has transferred, else `error`.
  int64_t not_made(int error) const { return transferred > 0 ? static_cast<int64_t>(transferred) : error; }

  // Copies what the kernel has written into `copies` back to the caller's memory.
  void copy_back(int64_t return_code);
  // Copies number, flags and arguments, and takes one more reference of the memory, so that a result can be disposed of
  // later. No pins.
  void share(Call& with) const;
  // Moves the rest of a call that an inline call has begun, copies included, into another call.
  void move_rest(Call& to);
  // Releases pins, block and copies.
  void drop();
};

template <typename Visitor>
void each_pin(const Call& call, Visitor visit) {
  for (uint32_t i = 0; i < call.pin_count; ++i) visit(*call.pins[i]);
  for (uint32_t i = 0; i < call.more_pin_count; ++i) visit(*call.more_pins[i]);
}

}  // namespace acall

#endif  // ACALL_CORE_OP_CALL_H_
