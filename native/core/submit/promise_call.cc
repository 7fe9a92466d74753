// Ops of the promise layer. See promise_call.h.
#include "submit/promise_call.h"

#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

#include "base/block.h"
#include "completion/ring.h"
#include "files/stat_columns.h"
#include "inline/inline_call.h"
#include "launch/launch.h"
#include "op/arenas.h"
#include "op/environment.h"
#include "syscalls/policy.h"
#include "syscalls/run_syscall.h"

namespace acall {

int engine_submit_call(Environment& environment, Ring& ring, const PromiseCall& request, acall_id* id,
                       int64_t* result) {
  Launch launch(environment);
  const bool may_be_inline =
      (request.flags & ACALL_SUBMIT_INLINE) && request.inline_calls != InlineCalls::kNone && request.opens == nullptr;
  if ((!may_be_inline && !launch.enter()) || launch.allocate(1) == 0) {
    block_release(request.block);
    return -EAGAIN;
  }
  Operation& op = launch.next();
  Call& call = op.call;
  memcpy(call.args, request.args, sizeof call.args);
  call.nr = request.nr;
  call.block = request.block;
  call.flags = Call::kPromise | (request.closes_ours && request.nr == SYS_close ? Call::kClosesOurs : 0);
  op.cookie = request.cookie;
  op.is_a(request.opens == nullptr ? kSyscall : kOpening);
  op.extra = request.opens;
  const SyscallRule* rule;
  int error = policy_admit(call, request.flags, &rule);
  if (error == 0) {
    Hold hold(arenas_lock);
    Memory memory{environment, request.segments, request.segment_count};
    error = check_pointers(rule, call, memory);
  }
  op.show_call(request.flags & ACALL_SUBMIT_THREAD_POOL ? kOpPool : 0);
  if (error == 0 && request.handle != nullptr) {
    if (handle_enter(*request.handle)) {
      op.handle = request.handle;
    } else {
      error = -EBADF;
    }
  }
  if (error == 0 && may_be_inline) inline_mark(call, rule);
  const uint32_t wanted = request.inline_calls == InlineCalls::kAll ? Call::kInline : Call::kNeverBlocks;
  bool done = error == 0 && (call.flags & wanted) && inline_run(environment, call, result);
  if (error == 0 && !done && (!launch.enter() || !launch.into(ring, 1))) {
    error = -EAGAIN;
    if (call.transferred > 0) {  // the part counts: a caller that submits the call again would transfer it twice
      *result = static_cast<int64_t>(call.transferred);
      done = true;
    }
  }
  if (done) {
    launch.complete_here(op, *result);
    return kCallDone;
  }
  if (error != 0) {
    launch.refuse(op);
    return error;
  }
  if (id != nullptr) *id = operation_table().id_of(op);
  if (request.carrier != nullptr && request.carrier->take(op)) {
    request.carrier->opened = request.opens;
    op.cookie |= kCarriesDescriptors;
  }
  launch.accept(op, request.keep_alive);
  launch.send(op);
  return 0;
}

bool engine_inline_stat(Environment& environment, const StatRequest& request, void* into, int64_t* result) {
  struct statx found;
  const bool hit = policy_allows(SYS_statx) &&
                   inline_stat(environment, request.dirfd, request.path, request.flags, kStatMask, &found, result);
  inline_count(hit);
  if (!hit || *result != 0) return hit;
  if (request.integers) {
    to_integers(found, *static_cast<StatIntegers*>(into));
  } else {
    to_numbers(found, *static_cast<StatNumbers*>(into));
  }
  return true;
}

uint32_t engine_submit_work(Environment& environment, Ring& ring, const PromiseWork* works, uint32_t count,
                            acall_id* ids) {
  Launch launch(environment);
  if (count == 0 || !launch.enter()) return 0;
  const uint32_t got = launch.allocate(count);
  if (got == 0 || !launch.into(ring, got)) return 0;
  uint32_t keeping = 0;
  for (uint32_t i = 0; i < got; ++i) keeping += works[i].keep_alive;
  launch.keep_alive(keeping);
  for (uint32_t i = 0; i < got; ++i) {
    const PromiseWork& work = works[i];
    Operation& op = launch.next();
    op.is_a(*work.back_end);
    op.extra = work.extra;
    op.cookie = work.cookie;
    op.call.block = work.block;
    op.call.copies = work.result;
    if (work.handle != nullptr && handle_enter(*work.handle)) op.handle = work.handle;
    memcpy(op.call.args, work.args, sizeof op.call.args);
    op.facts.store(kOpPool, std::memory_order_relaxed);
    if (ids != nullptr) ids[i] = operation_table().id_of(op);
    launch.publish(op, work.keep_alive);
    launch.send(op);
  }
  return got;
}

}  // namespace acall
