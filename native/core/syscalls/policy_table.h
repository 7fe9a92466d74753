// The shape of the generated syscall table: for every syscall of this architecture, where it may run and what its
// arguments are. Made by scripts/generate.mjs from native/core/syscalls/signatures.txt and the kernel headers; the data
// is constant, so any thread may read it without a lock. find_rule() finds a call's rule; policy.cc, pointer_check.cc,
// dispose.cc and inline_call.cc interpret it.
//
// A pointer argument may always be null. ArgKind says how its bytes are found otherwise (a: the op's six arguments).
// Sums and products may overflow 64 bits for wild counts: compute them saturating.
#ifndef ACALL_CORE_SYSCALLS_POLICY_TABLE_H_
#define ACALL_CORE_SYSCALLS_POLICY_TABLE_H_

#include <cstddef>
#include <cstdint>

namespace acall {

// Where a call may run.
enum class Place : uint8_t {
  kUnknown,   // a hole in the numbering: never enters the kernel, -ENOSYS
  kAnywhere,  // pool or own thread
  kOwn,       // changes or binds to the thread that makes it: own thread only, -EPERM with THREAD_POOL
  kUnsafe,    // cannot be checked: only with ACALL_SUBMIT_UNSAFE
  kNever,     // would break the process that hosts it: -EPERM
};

enum class ArgKind : uint8_t {
  kNone,   // the call has no such argument; its value is passed on and means nothing
  kLong,   // 64-bit value; also addresses that the kernel does not dereference (mlock, msync)
  kUint,   // the kernel reads the low 32 bits, unsigned
  kInt,    // the kernel reads the low 32 bits, signed; as a length, the kernel refuses a negative one: 0 bytes
  kFd,     // descriptor
  kDirfd,  // descriptor or AT_FDCWD
  // Pointers from here on.
  kPath,        // file name: to its NUL, or `size` (PATH_MAX) bytes when there is none
  kString,      // other text: to its NUL, or `size` bytes when there is none
  kFixed,       // `size` bytes
  kBytes,       // `extra` + a[len_arg] * size bytes; the count is read as its own kind says (kInt, kUint, kLong)
  kBits,        // a bit set of a[len_arg] bits in whole 64-bit words
  kPages,       // one byte for each page (4 KiB) of a[len_arg] bytes (mincore)
  kLenWord,     // the length word of a value-result buffer, `size` bytes (4: 32 bits), in and out, always copied
  kLenBytes,    // value-result buffer: as many bytes as the word that a[len_arg] points to says, read once from there
                // (no bytes when that pointer is null: the kernel refuses the call). extra 0: the
                // word is signed and the kernel refuses a negative one; 1: it is unsigned
  kIovec,       // a[len_arg] struct iovec, each base checked for its length in this argument's direction; copied
  kMsghdr,      // struct msghdr: name, iovec and control checked; copied, and name length, control length, flags back
  kSigset,      // a[len_arg] bytes of signal set (anything but 8 the kernel refuses); copied, cancel signal removed
  kSigsetPack,  // { const sigset_t *, size_t } (pselect6, io_pgetevents): both levels copied, cancel signal removed
  kSized,       // a struct whose u32 at offset 0 is its size: max(len_arg, min(extra + word, size)) bytes, where
                // `len_arg` is a number of bytes and no index; copied
  kNull,        // only null may pass without unsafe
  kUnchecked,   // pointer whose extent cannot be known: only null may pass without unsafe
};
inline constexpr ArgKind kFirstPointerKind = ArgKind::kPath;
constexpr bool is_pointer(ArgKind kind) { return kind >= kFirstPointerKind; }

enum ArgFlag : uint8_t {
  kArgIn = 1,         // the kernel reads the bytes
  kArgOut = 2,        // the kernel writes them
  kArgCopied = 4,     // copied into the call: the kernel must not read it again from memory that JavaScript can change
  kArgHoldsFds = 8,   // on success the bytes contain descriptors (pipe2, socketpair: int[2]; recvmsg: SCM_RIGHTS)
  kArgOptional = 32,  // callers may leave it out, and its value is 0 then
  kArgKept = 64,      // the kernel uses the bytes after the call has returned: they must lie in an arena
  kArgTimeout = 16,   // relative time-out: null, or a negative value for kInt, means for ever. With a finite one the
                      // call is not made again after an EINTR, since it would wait longer
};

enum CallFlag : uint16_t {
  kCallReturnsFd = 1,         // a result >= 0 is a new descriptor
  kCallHarmless = 2,          // an unprivileged process survives it with wild values in every field
  kCallNeverInterrupted = 4,  // close, close_range, dup2, dup3: acall_cancel answers -EALREADY
  kCallRerunnable = 8,        // after -EINTR nothing has been done: the same call may be made again
  kCallNeverBlocks = 16,      // may always run inline
  kCallProcessWide = 32,      // changes the whole process or machine; runs, and is listed in the docs
  kCallHasPointers = 64,      // at least one argument is a pointer
  kCallCopies = 128,          // at least one argument is kArgCopied
  kCallMayBlock = 256,        // can wait for ever for another party (pipe, lock, socket, signal, child)
  kCallKeepsMemory = 1024,    // at least one argument is kArgKept
  kCallReturnsLength = 2048,  // the result is how many bytes of its one buffer the kernel has filled
  kCallUnimplemented = 512,   // no kernel on which Node 20 runs implements it: always -ENOSYS, nothing is touched
};

struct ArgRule {
  ArgKind kind;
  uint8_t flags;    // ArgFlag bits
  uint8_t len_arg;  // index of the argument that holds the count, where the kind has one
  uint8_t extra;    // bytes added to the count, where the kind has them
  uint16_t size;    // bytes: whole size, element size, limit or width, as the kind says
};

struct SyscallRule {
  uint16_t name;   // offset into kSyscallNames
  uint16_t flags;  // CallFlag bits
  Place place;
  uint8_t nargs;
  uint8_t selector;  // index into kSelectors, 0 for none: an argument decides which rule holds (fcntl, ioctl, prctl)
  uint8_t reserved;
  ArgRule args[6];
};
static_assert(sizeof(ArgRule) == 6 && sizeof(SyscallRule) == 44);

// Selects another rule by the low 32 bits of a[arg] & mask: kSelectorCases[first .. first + count) are ascending,
// disjoint ranges, and the one that contains the value names the rule, which may have a selector too. When none
// contains the value, the rule stays.
struct Selector {
  uint32_t mask;
  uint16_t first;
  uint8_t count;
  uint8_t arg;
};
struct SelectorCase {
  uint32_t low, high;  // inclusive
  uint16_t rule;       // index into kVariantRules
};

struct SyscallTable {
  const SyscallRule* rules;  // by syscall number
  uint32_t count;            // numbers 0 .. count - 1; above: newer than the table
  const SyscallRule* variants;
  const Selector* selectors;
  const SelectorCase* cases;
  const char* names;  // NUL-terminated names one after the other
};

// The table of the architecture this was compiled for.
extern const SyscallTable kSyscallTable;

// The rule for `nr` with these arguments: selectors resolved. Null when `nr` is above the table or a hole in it.
inline const SyscallRule* find_rule(const SyscallTable& table, uint64_t nr, const uint64_t* args) {
  if (nr >= table.count) return nullptr;
  const SyscallRule* rule = &table.rules[nr];
  if (rule->place == Place::kUnknown) return nullptr;
  while (rule->selector != 0) {
    const Selector& selector = table.selectors[rule->selector];
    const uint32_t value = static_cast<uint32_t>(args[selector.arg]) & selector.mask;
    const SelectorCase* begin = table.cases + selector.first;
    const SelectorCase* end = begin + selector.count;
    while (begin != end && begin->high < value) ++begin;
    if (begin == end || begin->low > value) break;
    rule = &table.variants[begin->rule];
  }
  return rule;
}

}  // namespace acall

#endif  // ACALL_CORE_SYSCALLS_POLICY_TABLE_H_
