// Disposal of results. See dispose.h.
#include "dispose.h"

#include <sys/socket.h>

#include <atomic>
#include <cstring>

#include "arenas.h"
#include "block.h"
#include "complete.h"
#include "engine.h"
#include "environment.h"
#include "handle.h"
#include "kernel_entry.h"
#include "policy_table.h"
#include "program.h"
#include "sync.h"
#include "worker.h"

namespace acall {

namespace {

constexpr int kScmPidfd = 4;              // SCM_PIDFD, Linux 6.5: one descriptor
constexpr uint32_t kNoCall = UINT32_MAX;  // no row of the table: the result is a descriptor and nothing else

// What could get neither a thread nor memory for one: closed with the next disposal. A full list leaves them open.
constexpr uint32_t kMostStranded = 1024;
Lock stranded_lock;
int stranded[kMostStranded];              // guarded by stranded_lock
std::atomic<uint32_t> stranded_count{0};  // likewise; read without it as a hint

void strand(const Leftovers& leftovers) {
  Hold hold(stranded_lock);
  uint32_t count = stranded_count.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < leftovers.count() && count < kMostStranded; ++i) stranded[count++] = leftovers.at(i);
  stranded_count.store(count, std::memory_order_relaxed);
}

void close_stranded(Worker& self) {
  while (stranded_count.load(std::memory_order_relaxed) > 0) {
    int fd;
    {
      Hold hold(stranded_lock);
      const uint32_t count = stranded_count.load(std::memory_order_relaxed);
      if (count == 0) return;
      fd = stranded[count - 1];
      stranded_count.store(count - 1, std::memory_order_relaxed);
    }
    KernelEntry::close_always(self, fd);
  }
}

void close_handed(ProgramRun& run, Worker& self) {
  for (int fd; (fd = program_take_handed(run)) >= 0;) KernelEntry::close_always(self, fd);
}

template <typename Visitor>
void each_holder(const Call& call, Visitor visit) {
  const SyscallRule* rule = find_rule(kSyscallTable, call.nr, call.args);
  for (int i = 0; rule != nullptr && i < rule->nargs; ++i) {
    if ((rule->args[i].flags & kArgHoldsFds) && call.args[i] != 0) visit(rule->args[i], call.args[i]);
  }
}

// The call is the one whose result is in the cookie.
int64_t run_disposal(Operation& op, Worker& self) {
  Leftovers leftovers;
  leftovers.take(op.call, static_cast<int64_t>(op.cookie));
  leftovers.close(self);
  return 0;
}

int64_t run_program_disposal(Operation& op, Worker& self) {
  close_handed(*static_cast<ProgramRun*>(op.extra), self);
  close_stranded(self);
  return 0;
}

}  // namespace

bool carries_descriptors(const Operation& op) {
  if (op.call.flags & Call::kReturnsFd) return true;
  if (op.run == run_program) return static_cast<const ProgramRun*>(op.extra)->handed_count > 0;
  bool found = false;
  if (op.run == run_syscall) each_holder(op.call, [&](const ArgRule&, uint64_t) { found = true; });
  return found;
}

void Leftovers::take(Operation& op, int64_t return_code) {
  if (return_code < 0) return;
  if (op.run == run_program) {
    run_ = static_cast<ProgramRun*>(op.extra);
    block_ = op.call.block;
    block_reference(*block_);
  }
  if (op.run != run_syscall && op.run != run_opening) return;
  take(op.call, return_code);
}

void Leftovers::take(const Call& call, int64_t return_code) {
  if (return_code < 0) return;
  if (call.flags & Call::kReturnsFd) add(static_cast<int>(return_code));
  each_holder(call, [this](const ArgRule& arg, uint64_t address) {
    if (arg.kind == ArgKind::kMsghdr) {
      take_rights(*reinterpret_cast<const msghdr*>(address));
    } else {
      add_all(reinterpret_cast<const unsigned char*>(address), arg.size / sizeof(int));
    }
  });
}

void Leftovers::add(int fd) {
  if (count_ < kMost) numbers_[count_++] = fd;
}

void Leftovers::add_all(const unsigned char* from, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    int fd;
    memcpy(&fd, from + i * sizeof fd, sizeof fd);
    add(fd);
  }
}

void Leftovers::take_rights(const msghdr& message) {
  const auto* at = static_cast<const unsigned char*>(message.msg_control);
  size_t left = at == nullptr ? 0 : message.msg_controllen;
  while (left >= sizeof(cmsghdr)) {
    cmsghdr part;
    memcpy(&part, at, sizeof part);
    if (part.cmsg_len < CMSG_LEN(0) || part.cmsg_len > left) return;
    if (part.cmsg_level == SOL_SOCKET && (part.cmsg_type == SCM_RIGHTS || part.cmsg_type == kScmPidfd)) {
      add_all(at + CMSG_LEN(0), (part.cmsg_len - CMSG_LEN(0)) / sizeof(int));
    }
    const size_t step = CMSG_ALIGN(part.cmsg_len);
    if (step >= left) return;
    at += step;
    left -= step;
  }
}

void Leftovers::close(Worker& self) {
  for (; count_ > 0; --count_) KernelEntry::close_always(self, numbers_[count_ - 1]);
  if (run_ != nullptr) close_handed(*run_, self);
  block_release(block_);
  run_ = nullptr;
  block_ = nullptr;
  close_stranded(self);
}

void ResultCarrier::take(const Operation& op) {
  is_set = true;
  program = op.run == run_program ? static_cast<ProgramRun*>(op.extra) : nullptr;
  opened = op.run == run_opening ? static_cast<const HandleIdentity*>(op.extra) : nullptr;
  op.call.share(call);
}

void ResultCarrier::forget() {
  call.drop();
  *this = {};
}

void dispose_close(Environment& environment, int fd) {
  Call call;
  call.nr = kNoCall;
  call.flags = Call::kReturnsFd;
  if (engine_submit_detached(environment, run_disposal, nullptr, static_cast<uint64_t>(fd), call)) return;
  Leftovers leftovers;
  leftovers.add(fd);
  strand(leftovers);
}

void dispose_later(Environment& environment, ResultCarrier& carrier, int64_t return_code) {
  if (return_code < 0 || !carrier.is_set) return carrier.forget();
  const RunFunction run = carrier.program != nullptr ? run_program_disposal : run_disposal;
  if (engine_submit_detached(environment, run, carrier.program, static_cast<uint64_t>(return_code), carrier.call)) {
    carrier = {};
    return;
  }
  // No thread and no memory for one, and this thread must not wait.
  Leftovers leftovers;
  if (carrier.program != nullptr) {
    for (int fd; (fd = program_take_handed(*carrier.program)) >= 0;) leftovers.add(fd);
  } else {
    leftovers.take(carrier.call, return_code);
  }
  strand(leftovers);
  carrier.forget();
}

}  // namespace acall
