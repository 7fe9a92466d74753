// The record of an open file that JavaScript holds as a FileHandle: the descriptor, how many ops use it, whether it is
// being closed. The descriptor stays open until the last op that uses it has returned, an aborted op included, so that
// the call of an op never finds another file under that number. Then it is closed on a pool thread. A record belongs to
// an environment and ends with it. Implemented in submit/handle.cc.
//
// One atomic word decides: the number of users, and a bit after which no op enters. The thread that brings it to
// "closing, no users" sends the close on its way, and no other thread does. The environment's thread makes, finds,
// closes and detaches handles; any thread that completes an op leaves them. handles_lock guards the lists.
#ifndef ACALL_CORE_OP_HANDLE_H_
#define ACALL_CORE_OP_HANDLE_H_

#include <atomic>
#include <cstdint>

#include "base/intrusive_list.h"
#include "op/operation.h"

namespace acall {

// Which file was opened. At the end of an environment a descriptor is closed only if it still refers to that file.
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
  Operation* closer = nullptr;  // the op of the close; written before kHandleClosing, read after the last user
  Links<OpenHandle> links;      // among the handles of the environment; guarded by handles_lock, as the next one
  OpenHandle* next = nullptr;   // among the free records, or among those that end with their environment
};
inline constexpr uint64_t kHandleClosing = uint64_t{1} << 32;

// Makes a record and returns the number by which JavaScript names it; 0: no memory.
uint32_t handle_make(Environment& environment, int fd, const HandleIdentity& identity);
// nullptr: there is no such handle, it belongs to another environment, or it is being closed.
OpenHandle* handle_find(Environment& environment, uint32_t id);

// An op begins to use the descriptor; false: the handle is being closed.
bool handle_enter(OpenHandle& handle);
// The op has done with it. True: it was the last one and the handle is being closed; the caller sends the close.
[[nodiscard]] bool handle_leave(OpenHandle& handle);
void handle_send_close(OpenHandle& handle);

// Closes a handle; from here on no op enters. The close is an op: it completes in `ring` with `cookie` and runs when
// the last user has left. 0: it has been sent; kCloseWaits: there are users; -EBADF, -EAGAIN: nothing has happened.
int handle_close(Environment& environment, Ring& ring, uint32_t id, uint64_t cookie, bool keep_alive, acall_id* op_id);
// Frees the record and leaves the descriptor to the caller. -EBUSY: ops use it; -EBADF: no such handle.
int handle_detach(Environment& environment, uint32_t id);
// The environment ends and the process does not: pool threads close its descriptors, each when its last user has left.
void handles_environment_ended(Environment& environment);

// The back end of a call that opens a descriptor for a handle. The op's `extra` is the HandleIdentity to fill.
extern const BackEnd kOpening;

}  // namespace acall

#endif  // ACALL_CORE_OP_HANDLE_H_
