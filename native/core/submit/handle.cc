// The records of open files, and how they are closed. See handle.h.
#include "op/handle.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <new>

#include "base/seams.h"
#include "completion/complete.h"
#include "completion/ring.h"
#include "launch/launch.h"
#include "op/environment.h"
#include "syscalls/dispose.h"
#include "syscalls/kernel_entry.h"
#include "wire.h"

namespace acall {

namespace {

constexpr uint32_t kChunk = 1024;
constexpr uint32_t kMaxChunks = 1024;  // a million open files
constexpr uint64_t kUsers = kHandleClosing - 1;

Lock handles_lock;               // guards all lists of handles and the growth of the table
Stack<OpenHandle> free_handles;  // records are reused and never freed
uint32_t chunk_count = 0;
std::atomic<OpenHandle*> chunks[kMaxChunks] = {};

bool grow() {
  if (chunk_count == kMaxChunks) return false;
  void* memory = seams.allocate(sizeof(OpenHandle) * kChunk);
  if (memory == nullptr) return false;
  auto* chunk = static_cast<OpenHandle*>(memory);
  for (uint32_t i = kChunk; i-- > 0;) {
    auto* handle = new (&chunk[i]) OpenHandle();
    handle->id = chunk_count * kChunk + i + 1;
    free_handles.push(*handle);
  }
  // release pairs with the acquire in handle_find(): a chunk is whole before it can be seen.
  chunks[chunk_count++].store(chunk, std::memory_order_release);
  return true;
}

// Frees a record whose descriptor is closed or belongs to the caller.
void forget(OpenHandle& handle) {
  Hold hold(handles_lock);
  handle.environment.exchange(nullptr, std::memory_order_relaxed)->handles.remove(handle);
  free_handles.push(handle);
}

// The file that a descriptor refers to. `enter` makes a call; AT_STATX_DONT_SYNC: no server is asked.
template <typename Enter>
HandleIdentity identity_of(int fd, Enter enter) {
  struct statx found {};
  if (enter(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &found) != 0) return {};
  return {uint64_t{found.stx_dev_major} << 32 | found.stx_dev_minor, found.stx_ino, 1};
}

// Closes the descriptor; with `checked`, only if it still refers to the file that was opened. restrict() does not
// apply, since acall has opened the descriptor.
int64_t close_now(OpenHandle& handle, bool checked, PoolThread& self) {
  int64_t result = 0;
  bool is_ours = true;
  if (checked) {
    const HandleIdentity now = identity_of(
        handle.fd, [&self](uint32_t nr, auto... arguments) { return KernelEntry::always(self, nr, arguments...); });
    const HandleIdentity& opened = handle.identity;
    is_ours = opened.is_known && now.is_known && now.device == opened.device && now.inode == opened.inode;
  }
  if (is_ours) result = KernelEntry::close_always(self, handle.fd);
  forget(handle);
  return result;
}

// The same on a thread that has no PoolThread.
int64_t close_here(OpenHandle& handle, bool checked) {
  PoolThread here;
  return close_now(handle, checked, here);
}

// BackEnd::run of a close. op.extra is the handle, args[0] is `checked`.
int64_t run_close(Operation& op, PoolThread& self) {
  return close_now(*static_cast<OpenHandle*>(op.extra), op.call.args[0] != 0, self);
}

// Cancelled or not, it runs: nobody else closes the number.
constexpr BackEnd kClose{.run = run_close, .runs_cancelled = true};

int64_t run_opening(Operation& op, PoolThread& self) {
  const KernelEntry enter(op, self);
  const int64_t result = enter(op.call);
  if (result < 0) return result;
  // When restrict() has taken statx away, the identity stays unknown, and the descriptor is not closed at the
  // environment's end.
  *static_cast<HandleIdentity*>(op.extra) = identity_of(static_cast<int>(result), enter);
  return result;
}

}  // namespace

constinit const BackEnd kOpening{
    .run = run_opening, .carries = call_carries, .collect = collect_of_call, .disposal = &kCallDisposal};

uint32_t handle_make(Environment& environment, int fd, const HandleIdentity& identity) {
  Hold hold(handles_lock);
  if (free_handles.is_empty() && !grow()) return 0;
  OpenHandle& handle = *free_handles.pop();
  handle.fd = fd;
  handle.identity = identity;
  handle.closer = nullptr;
  handle.word.store(0, std::memory_order_relaxed);
  handle.environment.store(&environment, std::memory_order_relaxed);
  environment.handles.push_front(handle);
  return handle.id;
}

OpenHandle* handle_find(Environment& environment, uint32_t id) {
  if (id == 0 || (id - 1) / kChunk >= kMaxChunks) return nullptr;
  OpenHandle* chunk = chunks[(id - 1) / kChunk].load(std::memory_order_acquire);
  if (chunk == nullptr) return nullptr;
  OpenHandle& handle = chunk[(id - 1) % kChunk];
  if (handle.environment.load(std::memory_order_relaxed) != &environment) return nullptr;
  return handle.word.load(std::memory_order_relaxed) & kHandleClosing ? nullptr : &handle;
}

bool handle_enter(OpenHandle& handle) {
  uint64_t word = handle.word.load(std::memory_order_relaxed);
  do {
    if (word & kHandleClosing) return false;
  } while (!handle.word.compare_exchange_weak(word, word + 1, std::memory_order_relaxed));
  return true;
}

bool handle_leave(OpenHandle& handle) {
  // acq_rel: all users have done with the descriptor before it is closed, and handle_send_close() sees `closer`.
  return handle.word.fetch_sub(1, std::memory_order_acq_rel) == (kHandleClosing | 1);
}

void handle_send_close(OpenHandle& handle) {
  Environment& environment = *handle.environment.load(std::memory_order_relaxed);
  Operation* op = handle.closer;
  if (op == nullptr) {
    Call call;
    call.nr = SYS_close;
    call.args[0] = 1;
    if (launch_detached(environment, kClose, &handle, 0, call)) return;
    close_here(handle, true);  // no memory, or no thread can be had
    return;
  }
  Launch later(environment);
  if (later.enter()) return later.send(*op);
  const int64_t result = close_here(handle, false);
  op->state.fetch_add(kReturned - kQueued, std::memory_order_acq_rel);
  count_completed();
  complete(*op, result, Linked::kNo);
}

int handle_close(Environment& environment, Ring& ring, uint32_t id, uint64_t cookie, bool keep_alive, acall_id* op_id) {
  OpenHandle* handle = handle_find(environment, id);
  if (handle == nullptr) return -EBADF;
  Launch launch(environment);
  if (!launch.enter() || launch.allocate(1) == 0 || !launch.into(ring, 1)) return -EAGAIN;
  Operation& op = launch.next();
  op.is_a(kClose);
  op.extra = handle;
  op.cookie = cookie;
  op.call.args[0] = 0;
  op.facts.store(kOpPool | kOpUninterruptible | kOpDetached, std::memory_order_relaxed);
  if (op_id != nullptr) *op_id = operation_table().id_of(op);
  launch.accept(op, keep_alive);
  handle->closer = &op;
  const bool has_users = (handle->word.fetch_or(kHandleClosing, std::memory_order_acq_rel) & kUsers) != 0;
  if (has_users) return kCloseWaits;
  launch.send(op);
  return 0;
}

int handle_detach(Environment& environment, uint32_t id) {
  OpenHandle* handle = handle_find(environment, id);
  if (handle == nullptr) return -EBADF;
  uint64_t nobody = 0;
  if (!handle->word.compare_exchange_strong(nobody, kHandleClosing, std::memory_order_acq_rel)) return -EBUSY;
  forget(*handle);
  return 0;
}

void handles_environment_ended(Environment& environment) {
  Stack<OpenHandle> ending;
  {
    Hold hold(handles_lock);
    for (OpenHandle& handle : environment.handles) {
      if (handle.word.fetch_or(kHandleClosing, std::memory_order_acq_rel) != 0) continue;  // its last user sends it
      ending.push(handle);
    }
  }
  while (OpenHandle* handle = ending.pop()) handle_send_close(*handle);
}

}  // namespace acall
