// Ops of the promise layer: calls whose memory the core owns, and ops with a back end of their own. Entered by the
// environment's thread; no lock.
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

// One call whose memory the core owns. Its completion is stored in the ring with `cookie`.
struct PromiseCall {
  uint32_t nr = 0;
  InlineCalls inline_calls = InlineCalls::kAll;
  uint32_t flags = 0;  // ACALL_SUBMIT_*
  uint64_t cookie = 0;
  uint64_t args[6] = {};
  const Segment* segments = nullptr;
  uint32_t segment_count = 0;
  Block* block = nullptr;            // one reference goes to the op, also when the call is refused
  OpenHandle* handle = nullptr;      // the handle whose descriptor is among the arguments
  HandleIdentity* opens = nullptr;   // in the block. The result is a descriptor for a handle, and this is filled
  ResultCarrier* carrier = nullptr;  // filled when the result may carry descriptors; the cookie then says so
  bool keep_alive = true;
  bool closes_ours = false;  // close() of a descriptor that acall has opened: restrict() lets it pass
};
// 0: the op is on its way. -EPERM, -EFAULT, -EAGAIN, -EBADF (the handle is being closed): nothing has happened.
// kCallDone: the call was made inline (ACALL_SUBMIT_INLINE) and has *result; nothing comes to the ring. `id` may be
// null, and `result` too for calls without that flag.
int engine_submit_call(Environment& environment, Ring& ring, const PromiseCall& request, acall_id* id,
                       int64_t* result = nullptr);

// An inline stat of the promise layer. False: the stat must go to the pool (kStat).
struct StatRequest {
  int dirfd;
  const char* path;
  uint32_t flags;  // AT_EMPTY_PATH, with an empty path: the descriptor itself; AT_SYMLINK_NOFOLLOW
  bool integers;   // the stat result is StatIntegers, else StatNumbers
};
bool engine_inline_stat(Environment& environment, const StatRequest& request, void* into, int64_t* result);

// An op with a back end of its own. It runs on a pool thread.
struct PromiseWork {
  const BackEnd* back_end = nullptr;
  void* extra = nullptr;
  uint64_t cookie = 0;
  uint64_t args[6] = {};
  Block* block = nullptr;        // one reference of this and the next goes to the op
  Block* result = nullptr;       // the memory of the result
  OpenHandle* handle = nullptr;  // as in PromiseCall; handle_find() has just returned it
  bool keep_alive = true;
};
// Submits `count` of them in order. Returns how many were accepted; fewer only when memory is short, none also when no
// thread can be had.
uint32_t engine_submit_work(Environment& environment, Ring& ring, const PromiseWork* works, uint32_t count,
                            acall_id* ids);

}  // namespace acall

#endif  // ACALL_CORE_SUBMIT_PROMISE_CALL_H_
