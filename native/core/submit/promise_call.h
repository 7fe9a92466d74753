// Ops of the promise layer: calls whose memory is the core's, and work that is more than one call.
#ifndef ACALL_CORE_SUBMIT_PROMISE_CALL_H_
#define ACALL_CORE_SUBMIT_PROMISE_CALL_H_

#include <cstdint>

#include "abi.h"
#include "op/handle.h"
#include "syscalls/dispose.h"
#include "syscalls/pointer_check.h"
#include "wire.h"

namespace acall {

struct Block;
struct Environment;
struct Ring;

// One op of the promise layer: a call whose memory is the core's. Its completion is stored in `ring` with `cookie`.
struct PromiseCall {
  uint32_t nr = 0;
  InlineCalls inline_calls = InlineCalls::kAll;
  uint32_t flags = 0;  // as in a submission
  uint64_t cookie = 0;
  uint64_t args[6] = {};
  const Segment* segments = nullptr;
  uint32_t segment_count = 0;
  Block* block = nullptr;        // one reference goes to the op, also when it is refused
  OpenHandle* handle = nullptr;  // whose descriptor is among the arguments: -EBADF when it is being closed
  HandleIdentity* opens =
      nullptr;  // in the block: filled when the result is a descriptor that a handle is to be made of
  ResultCarrier* carrier = nullptr;  // filled when a result may carry descriptors; the cookie says so then
  bool keep_alive = true;
  bool closes_ours = false;  // close() of a descriptor that acall has opened: restrict() does not keep it open
};
// 0 or the error of the first half (-EPERM, -EFAULT, -EAGAIN). kCallDone: it was to be tried (ACALL_SUBMIT_INLINE) and
// is complete, with *result; nothing comes to the ring. `id` may be null, and `result` for calls without that flag.
int engine_submit_call(Environment& environment, Ring& ring, const PromiseCall& request, acall_id* id,
                       int64_t* result = nullptr);

// One stat of the promise layer, here and now, by means that never block. False: it must go to the pool (kStat).
struct StatRequest {
  int dirfd;
  const char* path;
  uint32_t flags;  // AT_EMPTY_PATH: the descriptor itself, with an empty path; AT_SYMLINK_NOFOLLOW
  bool integers;
};
bool engine_inline_stat(Environment& environment, const StatRequest& request, void* into, int64_t* result);

// An op with a back end of its own, on a pool thread.
struct PromiseWork {
  const BackEnd* back_end = nullptr;
  void* extra = nullptr;
  uint64_t cookie = 0;
  uint64_t args[6] = {};
  Block* block = nullptr;  // one reference of each block goes to the op
  Block* result = nullptr;
  OpenHandle* handle = nullptr;  // as in PromiseCall; the caller has found it just now
  bool keep_alive = true;
};
// Queues `count` of them in order. Returns how many were taken; fewer only when memory is short.
uint32_t engine_submit_work(Environment& environment, Ring& ring, const PromiseWork* works, uint32_t count,
                            acall_id* ids);

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_PROMISE_CALL_H_
