// The check of pointer arguments. See pointer_check.h.
#include "syscalls/pointer_check.h"

#include <sys/uio.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "abi.h"
#include "base/block.h"
#include "base/signals.h"
#include "op/arenas.h"
#include "op/environment.h"

namespace acall {

namespace {

uint64_t saturating_multiply(uint64_t a, uint64_t b) {
  uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t saturating_add(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

// The value of an argument that counts something, read as the kernel reads it.
uint64_t count_of(const SyscallRule& rule, const Call& call, uint8_t arg) {
  uint64_t value = call.args[arg];
  switch (rule.args[arg].kind) {
    case ArgKind::kInt:
      return static_cast<int32_t>(value) < 0 ? 0 : static_cast<uint32_t>(value);
    case ArgKind::kUint:
      return static_cast<uint32_t>(value);
    default:
      return value;
  }
}

// The check of one call. First it adds up how much must be copied, then it checks and copies.
class PointerCheck {
 public:
  PointerCheck(const SyscallRule& rule, Call& call, const Memory& memory) : rule_(rule), call_(call), memory_(memory) {}

  int run() {
    memcpy(original_, call_.args, sizeof original_);
    if (rule_.flags & kCallCopies) {
      // The sizes may be different later, when another Worker writes meanwhile: copy_in() checks the room that is left.
      size_t room = 0;
      for (int i = 0; i < rule_.nargs; ++i) room += copy_room(i);
      call_.copies = block_make(room);
      if (call_.copies == nullptr) return -EAGAIN;
    }
    // Length words come first: the buffers to which they belong are checked against the copies of the words.
    for (int pass = 0; pass < 2; ++pass) {
      for (int i = 0; i < rule_.nargs; ++i) {
        const ArgRule& arg = rule_.args[i];
        if (!is_pointer(arg.kind) || (arg.kind == ArgKind::kLenWord) != (pass == 0)) continue;
        if (original_[i] == 0) continue;
        if (int error = check(i, arg); error != 0) return error;
      }
    }
    return 0;
  }

 private:
  static size_t aligned(size_t bytes) { return (bytes + 15) & ~size_t{15}; }

  size_t copy_room(int i) {
    const ArgRule& arg = rule_.args[i];
    if (original_[i] == 0 || !(arg.flags & kArgCopied)) return 0;
    switch (arg.kind) {
      case ArgKind::kIovec: {
        uint64_t count = count_of(rule_, call_, arg.len_arg);
        return count > kMaxVector ? 0 : aligned(count * sizeof(iovec));
      }
      case ArgKind::kMsghdr: {
        const size_t bytes = aligned(sizeof(Msghdr)) + kMaxVector * sizeof(iovec);
        if (!(arg.flags & kArgHoldsFds) || reach(original_[i], sizeof(Msghdr)) != 0) return bytes;
        Msghdr header;
        memcpy(&header, reinterpret_cast<const void*>(original_[i]), sizeof header);
        return bytes + aligned(control_room(header));
      }
      case ArgKind::kSigset:
        return 16;
      case ArgKind::kSigsetPack:
        return 32;
      case ArgKind::kSized:
        return aligned(arg.size);
      case ArgKind::kBytes: {
        uint64_t bytes = saturating_add(arg.extra, saturating_multiply(count_of(rule_, call_, arg.len_arg), arg.size));
        return bytes > kMaxCopied ? 0 : aligned(bytes);
      }
      default:
        return aligned(arg.size);
    }
  }

  struct Msghdr {  // the kernel's user_msghdr
    uint64_t name;
    uint32_t name_length;
    uint32_t padding;
    uint64_t vector;
    uint64_t vector_length;
    uint64_t control;
    uint64_t control_length;
    uint32_t flags;
    uint32_t padding2;
  };
  static_assert(sizeof(Msghdr) == 56);
  static constexpr uint64_t kMaxCopied = 1 << 20;

  // The room for the control bytes of a message to be received. No kernel returns more than kMaxCopied.
  static uint64_t control_room(const Msghdr& header) {
    if (header.control == 0) return 0;
    return header.control_length < kMaxCopied ? header.control_length : kMaxCopied;
  }

  // 0, -EFAULT or -EAGAIN, as all below. `kept`: the kernel uses the bytes after the call has returned, so they must
  // not be memory of the core, which is reused.
  int reach(uint64_t address, uint64_t length, bool kept = false) {
    if (length == 0) return 0;
    for (uint32_t i = 0; i < memory_.segment_count; ++i) {
      const Segment& segment = memory_.segments[i];
      if (address < segment.begin || address >= segment.end) continue;
      return length <= segment.end - address && !kept ? 0 : -EFAULT;
    }
    Arena* arena;
    if (int error = pin_range(call_, memory_, address, length, &arena); error != 0) return error;
    if (kept) arena_keep(*arena);
    call_.flags |= Call::kKernelHoldsArena;
    return 0;
  }

  // Copies [from, from + length) into the call's copies and returns the address of the copy; 0: no room is left, since
  // sizes have changed meanwhile.
  uint64_t copy_in(uint64_t from, uint64_t length) {
    if (aligned(length) > call_.copies->size - used_) return 0;
    unsigned char* to = call_.copies->data() + used_;
    memcpy(to, reinterpret_cast<const void*>(from), length);
    used_ += aligned(length);
    return reinterpret_cast<uint64_t>(to);
  }

  // Notes a copy for Call::copy_back(). `used`: address of the word, in the copies, that will say how many bytes are to
  // be copied back; 0: all.
  void copy_back(uint64_t to, uint64_t from, uint32_t length, uint64_t used = 0) {
    Block& block = *call_.copies;
    if (block.copy_back_count == kMaxCopyBacks) return;
    block.copy_backs[block.copy_back_count++] = {
        to, static_cast<uint32_t>(from - block.address()), length,
        used == 0 ? CopyBack::kWhole : static_cast<uint32_t>(used - block.address())};
  }

  // A text must be in reach up to its NUL, or for `limit` bytes.
  int reach_text(uint64_t address, uint64_t limit) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < memory_.segment_count; ++i) {
      const Segment& segment = memory_.segments[i];
      if (address >= segment.begin && address < segment.end) end = segment.end;
    }
    if (end == 0) {
      Arena* arena;
      if (int error = pin_range(call_, memory_, address, 1, &arena); error != 0) return error;
      end = arena->end;
    }
    uint64_t room = end - address;
    uint64_t looked_at = room < limit ? room : limit;
    const void* nul = memchr(reinterpret_cast<const void*>(address), 0, looked_at);
    if (nul == nullptr && room < limit) return -EFAULT;
    return reach(address, nul ? reinterpret_cast<uint64_t>(nul) - address + 1 : limit);
  }

  int check_vector(uint64_t address, uint64_t count, uint64_t* copy, bool kept) {
    if (int error = reach(address, count * sizeof(iovec)); error != 0) return error;
    *copy = copy_in(address, count * sizeof(iovec));
    if (*copy == 0) return count == 0 ? 0 : -EFAULT;
    auto* entries = reinterpret_cast<iovec*>(*copy);
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t base = reinterpret_cast<uint64_t>(entries[i].iov_base);
      // The kernel refuses the whole vector (-EINVAL) when one length is negative as ssize_t, before it uses any.
      if (base == 0 || static_cast<int64_t>(entries[i].iov_len) < 0) continue;
      if (int error = reach(base, entries[i].iov_len, kept); error != 0) return error;
    }
    return 0;
  }

  // Checks and copies the T that argument `i` points to; the kernel gets the copy.
  template <typename T>
  int take_copy(int i, T** result) {
    if (int error = reach(original_[i], sizeof(T)); error != 0) return error;
    uint64_t copy = copy_in(original_[i], sizeof(T));
    if (copy == 0) return -EFAULT;
    call_.args[i] = copy;
    *result = reinterpret_cast<T*>(copy);
    return 0;
  }

  int check_msghdr(int i) {
    Msghdr* header;
    if (int error = take_copy(i, &header); error != 0) return error;
    if (header->name != 0 && static_cast<int32_t>(header->name_length) > 0) {
      if (int error = reach(header->name, header->name_length); error != 0) return error;
    }
    if (header->control != 0) {
      if (int error = reach(header->control, header->control_length); error != 0) return error;
    }
    if (header->vector != 0 &&
        header->vector_length <= kMaxVector) {  // the kernel refuses more with -EMSGSIZE before it reads
      uint64_t vector;
      if (int error = check_vector(header->vector, header->vector_length, &vector, is_kept(i)); error != 0)
        return error;
      header->vector = vector;
    }
    if (rule_.args[i].flags & kArgHoldsFds) {
      if (int error = take_control(i, header); error != 0) return error;
    }
    if (rule_.args[i].flags & kArgOut) {
      const uint64_t copy = call_.args[i];
      copy_back(original_[i] + offsetof(Msghdr, name_length), copy + offsetof(Msghdr, name_length), 4);
      copy_back(original_[i] + offsetof(Msghdr, control_length), copy + offsetof(Msghdr, control_length), 8);
      copy_back(original_[i] + offsetof(Msghdr, flags), copy + offsetof(Msghdr, flags), 4);
    }
    return 0;
  }

  // The kernel writes the control bytes into a copy, from which they go to the caller's memory. So collect_rights()
  // finds the descriptors of a message whatever the caller writes into that memory meanwhile.
  int take_control(int i, Msghdr* header) {
    const uint64_t room = control_room(*header);
    if (room == 0) return 0;
    const uint64_t copy = copy_in(header->control, room);
    if (copy == 0) return -EFAULT;
    copy_back(header->control, copy, static_cast<uint32_t>(room), call_.args[i] + offsetof(Msghdr, control_length));
    header->control = copy;
    header->control_length = room;
    return 0;
  }

  int check_sigset(uint64_t address, uint64_t size, uint64_t* copy) {
    if (size != sizeof(uint64_t)) return 0;  // the kernel refuses it with -EINVAL before it reads
    if (int error = reach(address, size); error != 0) return error;
    *copy = copy_in(address, size);
    if (*copy == 0) return -EFAULT;
    *reinterpret_cast<uint64_t*>(*copy) &= ~reserved_signals();  // a mask must not swallow a cancel
    return 0;
  }

  int check_sigset_pack(int i) {
    struct Pack {
      uint64_t set;
      uint64_t size;
    };
    Pack* pack;
    if (int error = take_copy(i, &pack); error != 0) return error;
    return pack->set == 0 ? 0 : check_sigset(pack->set, pack->size, &pack->set);
  }

  int check_sized(int i, const ArgRule& arg) {
    if (int error = reach(original_[i], sizeof(uint32_t)); error != 0) return error;
    uint32_t word;
    memcpy(&word, reinterpret_cast<const void*>(original_[i]), sizeof word);
    uint64_t bytes = static_cast<uint64_t>(arg.extra) + word;
    if (bytes > arg.size) bytes = arg.size;
    if (bytes < arg.len_arg) bytes = arg.len_arg;
    if (int error = reach(original_[i], bytes); error != 0) return error;
    uint64_t copy = copy_in(original_[i], bytes);
    if (copy == 0) return -EFAULT;
    // The word that was checked: a larger one, written meanwhile, would make the kernel read behind the copy.
    memcpy(reinterpret_cast<void*>(copy), &word, sizeof word);
    call_.args[i] = copy;
    if (arg.flags & kArgOut) copy_back(original_[i], copy, static_cast<uint32_t>(bytes));
    return 0;
  }

  // Checks a number of bytes, and copies them when the rule says so.
  int check_extent(int i, const ArgRule& arg, uint64_t bytes) {
    if (int error = reach(original_[i], bytes, is_kept(i)); error != 0) return error;
    if (!(arg.flags & kArgCopied) || bytes == 0 || bytes > kMaxCopied) return 0;
    uint64_t copy = copy_in(original_[i], bytes);
    if (copy == 0) return -EFAULT;
    call_.args[i] = copy;
    if (arg.flags & kArgOut) copy_back(original_[i], copy, static_cast<uint32_t>(bytes));
    return 0;
  }

  int check(int i, const ArgRule& arg) {
    uint64_t address = original_[i];
    switch (arg.kind) {
      case ArgKind::kPath:
      case ArgKind::kString:
        return reach_text(address, arg.size);
      case ArgKind::kFixed:
      case ArgKind::kLenWord:
        return check_extent(i, arg, arg.size);
      case ArgKind::kBytes:
        return check_extent(
            i, arg, saturating_add(arg.extra, saturating_multiply(count_of(rule_, call_, arg.len_arg), arg.size)));
      case ArgKind::kBits:
        return check_extent(i, arg, (saturating_add(count_of(rule_, call_, arg.len_arg), 63) / 64) * 8);
      case ArgKind::kPages:
        return check_extent(i, arg, saturating_add(count_of(rule_, call_, arg.len_arg), 4095) / 4096);
      case ArgKind::kLenBytes: {
        if (original_[arg.len_arg] == 0) return 0;
        // call_.args has the address of the copy of the word by now, which nothing but the kernel changes.
        uint32_t length;
        memcpy(&length, reinterpret_cast<const void*>(call_.args[arg.len_arg]), sizeof length);
        const bool refused = arg.extra == 0 && static_cast<int32_t>(length) < 0;  // by the kernel, with its own error
        return refused ? 0 : reach(address, length);
      }
      case ArgKind::kIovec: {
        uint64_t count = count_of(rule_, call_, arg.len_arg);
        if (count > kMaxVector) return 0;
        uint64_t copy = 0;
        if (int error = check_vector(address, count, &copy, is_kept(i)); error != 0) return error;
        if (copy != 0) call_.args[i] = copy;
        return 0;
      }
      case ArgKind::kMsghdr:
        return check_msghdr(i);
      case ArgKind::kSigset: {
        uint64_t copy = address;
        int error = check_sigset(address, count_of(rule_, call_, arg.len_arg), &copy);
        call_.args[i] = copy;
        return error;
      }
      case ArgKind::kSigsetPack:
        return check_sigset_pack(i);
      case ArgKind::kSized:
        return check_sized(i, arg);
      default:  // cannot be checked: policy_admit() lets it through with `unsafe` only; see pin_arguments()
        return 0;
    }
  }

  bool is_kept(int i) const { return rule_.args[i].flags & kArgKept; }

  const SyscallRule& rule_;
  Call& call_;
  const Memory& memory_;
  uint64_t original_[6];
  size_t used_ = 0;
};

// With `unsafe` any argument may be a pointer. Every argument that lies in an arena pins it, and an environment that
// ends waits until the call has returned.
int pin_arguments(const SyscallRule* rule, Call& call, const Memory& memory) {
  for (int i = 0; i < 6; ++i) {
    if (call.args[i] == 0) continue;
    Arena* arena;
    const int error = pin_range(call, memory, call.args[i], 1, &arena);
    if (error == -EAGAIN) return error;
    if (error != 0) continue;
    if (rule != nullptr && rule->args[i].kind == ArgKind::kUnchecked && (rule->args[i].flags & kArgKept))
      arena_keep(*arena);
    call.flags |= Call::kKernelHoldsArena;
  }
  return 0;
}

}  // namespace

int check_pointers(const SyscallRule* rule, Call& call, const Memory& memory) {
  if (call.flags & Call::kUnsafe) {
    if (int error = pin_arguments(rule, call, memory); error != 0) return error;
  }
  if (rule == nullptr || !(rule->flags & kCallHasPointers)) return 0;
  return PointerCheck(*rule, call, memory).run();
}

}  // namespace acall
