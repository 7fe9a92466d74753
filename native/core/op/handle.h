// The record of an open file that JavaScript holds as a FileHandle: the descriptor, how many ops use it, whether it is
// being closed. The number stays taken until the last op that was given it has come back, an aborted one included, so
// that no call of an op ever finds another file behind it; then the last one back has it closed, on a thread of the
// pool. The record belongs to an environment and ends with it.
//
// One atomic word decides: the users, and a bit from which on nobody enters. Whoever brings it to "closing, no users"
// sends the close on its way, and nobody else does. Made, found, closed and detached by the environment's thread; left
// by whichever thread completes an op.
#ifndef ACALL_CORE_OP_HANDLE_H_
#define ACALL_CORE_OP_HANDLE_H_

#include <atomic>
#include <cstdint>

#include "base/intrusive_list.h"
#include "op/operation.h"

namespace acall {

// Which file a descriptor was when it was opened. At the end of an environment it is closed only if it is that still.
struct HandleIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t is_known = 0;
};

struct OpenHandle {
  std::atomic<uint64_t> word{0};  // users, and kHandleClosing
  int fd = -1;
  uint32_t id = 0;  // place in the table and 1, constant
  HandleIdentity identity;
  std::atomic<Environment*> environment{nullptr};  // nullptr: the record is free
  Operation* closer = nullptr;  // completes when it is closed; written before kHandleClosing, read after the last user
  Links<OpenHandle> links;      // among the environment's; guarded by handles_lock, as the next one
  OpenHandle* next = nullptr;   // among the free ones, and those that end with their environment
};
inline constexpr uint64_t kHandleClosing = uint64_t{1} << 32;

// The number by which JavaScript names the record; 0: no memory.
uint32_t handle_make(Environment& environment, int fd, const HandleIdentity& identity);
// nullptr: there is none, it is another environment's, or it is being closed.
OpenHandle* handle_find(Environment& environment, uint32_t id);

// An op is given the descriptor; false: it is being closed. The op gives it back in operation_drop_resources().
bool handle_enter(OpenHandle& handle);
void handle_leave(OpenHandle& handle);

// From here on nobody enters. The close is an op of its own: it completes in `ring` with `cookie`, and runs when the
// last user has left. 0: it is on its way; kCloseWaits: users are left; -EBADF, -EAGAIN: nothing has happened.
int handle_close(Environment& environment, Ring& ring, uint32_t id, uint64_t cookie, bool keep_alive, acall_id* op_id);
// The descriptor is the caller's from here on. -EBUSY: ops use it; -EBADF.
int handle_detach(Environment& environment, uint32_t id);
// The environment ends and the process does not: what is open is closed as soon as nobody uses it, in the pool.
void handles_environment_ended(Environment& environment);

// A call that returns a descriptor for a handle: the op's `extra` is the HandleIdentity to fill.
extern const BackEnd kOpening;

}  // namespace acall

#endif  // ACALL_CORE_OP_HANDLE_H_
