// The structures that callers see, byte for byte, and the numbers that belong to them. Everything that a program may
// lay out in memory by hand is declared here once; scripts/generate.mjs reads this file for the TypeScript side. No
// code, no lock. A comment that begins with `k:` names the fields that a thread of acall writes while the caller reads.
#ifndef ACALL_CORE_ABI_H_
#define ACALL_CORE_ABI_H_

#include <cstddef>
#include <cstdint>

extern "C" {

struct acall_submission {
  uint32_t nr;
  uint32_t flags;
  uint64_t cookie;
  uint64_t completion_ring_pointer;
  uint64_t completion_pointer;
  uint64_t id_pointer;
  uint64_t args[6];
};

struct acall_id {
  uint64_t opaque[2];
};

// k: the thread that completes the op writes both words, return_code first, cookie last with release order.
struct acall_completion {
  uint64_t return_code;
  uint64_t cookie;
};

// k: threads that complete ops write head and comps. The caller writes nr, which is read once.
struct acall_completion_ring {
  uint32_t head;
  uint32_t nr;
  acall_completion comps[];
};

// An atom: one step of a program (syslet). arg_ptr are pointers to 8-byte values, read when the atom runs; the list
// ends at the first null pointer. `private_data` is the caller's; only SYSLET_NR_STOP reads it.
struct syslet_uatom {
  uint32_t flags;
  uint32_t nr;
  uint64_t ret_ptr;
  uint64_t next;
  uint64_t arg_ptr[6];
  uint64_t private_data;
};

// How a program of the promise layer ended. Stored at the beginning of the program's memory.
struct syslet_report {
  uint64_t last;   // offset of the atom at which the program ended
  int64_t result;  // result of that atom
  uint32_t end;    // SYSLET_END_*
  uint32_t steps;  // atoms executed
};

}  // extern "C"

static_assert(sizeof(acall_submission) == 88);
static_assert(offsetof(acall_submission, nr) == 0);
static_assert(offsetof(acall_submission, flags) == 4);
static_assert(offsetof(acall_submission, cookie) == 8);
static_assert(offsetof(acall_submission, completion_ring_pointer) == 16);
static_assert(offsetof(acall_submission, completion_pointer) == 24);
static_assert(offsetof(acall_submission, id_pointer) == 32);
static_assert(offsetof(acall_submission, args) == 40);
static_assert(sizeof(acall_id) == 16);
static_assert(sizeof(acall_completion) == 16);
static_assert(offsetof(acall_completion, return_code) == 0);
static_assert(offsetof(acall_completion, cookie) == 8);
static_assert(sizeof(acall_completion_ring) == 8);
static_assert(offsetof(acall_completion_ring, head) == 0);
static_assert(offsetof(acall_completion_ring, nr) == 4);
static_assert(offsetof(acall_completion_ring, comps) == 8);
static_assert(sizeof(syslet_uatom) == 80);
static_assert(offsetof(syslet_uatom, flags) == 0);
static_assert(offsetof(syslet_uatom, nr) == 4);
static_assert(offsetof(syslet_uatom, ret_ptr) == 8);
static_assert(offsetof(syslet_uatom, next) == 16);
static_assert(offsetof(syslet_uatom, arg_ptr) == 24);
static_assert(offsetof(syslet_uatom, private_data) == 72);
static_assert(sizeof(syslet_report) == 24);

// Flags of acall_submission.
inline constexpr uint32_t ACALL_SUBMIT_THREAD_POOL = 1u;
inline constexpr uint32_t ACALL_SUBMIT_INLINE = 1u << 16;  // made inline if that cannot block
inline constexpr uint32_t ACALL_SUBMIT_UNSAFE = 1u << 17;
inline constexpr uint32_t kKnownSubmitFlags = ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_INLINE | ACALL_SUBMIT_UNSAFE;

// Flags of an atom, and the number of the one call that the kernel does not have.
inline constexpr uint32_t SYSLET_ASYNC = 0x1;        // goes to the pool without an inline call
inline constexpr uint32_t SYSLET_SYNC = 0x2;         // async_exec returns no earlier than this atom
inline constexpr uint32_t SYSLET_NO_COMPLETE = 0x4;  // a program that ends here leaves no completion
inline constexpr uint32_t SYSLET_STOP_ON_NONZERO = 0x8;
inline constexpr uint32_t SYSLET_STOP_ON_ZERO = 0x10;
inline constexpr uint32_t SYSLET_STOP_ON_NEGATIVE = 0x20;
inline constexpr uint32_t SYSLET_STOP_ON_NON_POSITIVE = 0x40;
inline constexpr uint32_t SYSLET_SKIP_TO_NEXT_ON_STOP = 0x80;  // a stop goes on at the next atom in memory
inline constexpr uint32_t SYSLET_NR_UMEM_ADD = 0x80000000;     // (at, value): adds to the word; result: its new value

// Calls that only programs of the promise layer may make, since the core owns their memory; -ENOSYS elsewhere.
inline constexpr uint32_t SYSLET_NR_SET = 0x80000001;       // (at, value): stores the value; result: the value
inline constexpr uint32_t SYSLET_NR_SUBTRACT = 0x80000002;  // (at, value): subtracts; result: the new value
inline constexpr uint32_t SYSLET_NR_COMPARE = 0x80000003;   // (a, b): -1, 0 or 1, as signed numbers
inline constexpr uint32_t SYSLET_NR_LOAD = 0x80000004;      // (at, from): copies a word; result: its value
inline constexpr uint32_t SYSLET_NR_CLOSE = 0x80000005;     // (at): closes the descriptor there, if any; stores -1
// (to, from): closes the descriptor at `to`, if any, moves the one at `from` there, and stores -1 at `from`.
inline constexpr uint32_t SYSLET_NR_MOVE = 0x80000006;
// (result): the program stops. It reports the atom that private_data names as its last; 0: this one.
inline constexpr uint32_t SYSLET_NR_STOP = 0x80000007;
// (first, second, from): two moves, from two ints that pipe2 or socketpair has stored; none when they are -1.
inline constexpr uint32_t SYSLET_NR_SPLIT = 0x80000008;

inline constexpr uint32_t SYSLET_END_DONE = 0;     // the last atom had no next one
inline constexpr uint32_t SYSLET_END_STOPPED = 1;  // by the stop mask of the last atom, or by SYSLET_NR_STOP
inline constexpr uint32_t SYSLET_END_CANCELLED = 2;
inline constexpr uint32_t SYSLET_END_STEPS = 3;   // the program would have run more atoms than allowed
inline constexpr uint32_t SYSLET_END_BROKEN = 4;  // the next atom could not be read, or has unknown flags

#endif  // ACALL_CORE_ABI_H_
