// The structures that callers see, byte for byte, and the numbers that belong to them. Everything a program may lay out
// in memory by hand is declared here once; scripts/generate reads this file for the TypeScript side. Knows no Node and no
// thread: fields that another thread writes while the caller reads are marked with a `k` prefix in the comments.
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

// k: both words are written by a thread of the pool; return_code first, cookie last with release order.
struct acall_completion {
  uint64_t return_code;
  uint64_t cookie;
};

// k: head and comps are written by threads of the pool; nr is the caller's and is read once.
struct acall_completion_ring {
  uint32_t head;
  uint32_t nr;
  acall_completion comps[];
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

// Flags of acall_submission. Bit 16 (inline execution) is unknown until it exists.
inline constexpr uint32_t ACALL_SUBMIT_THREAD_POOL = 1u;
inline constexpr uint32_t ACALL_SUBMIT_UNSAFE = 1u << 17;
inline constexpr uint32_t kKnownSubmitFlags = ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_UNSAFE;

#endif  // ACALL_CORE_ABI_H_
