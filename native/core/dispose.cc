// Disposal of results. See dispose.h.
#include "dispose.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arenas.h"
#include "block.h"
#include "complete.h"
#include "engine.h"
#include "environment.h"
#include "policy_table.h"
#include "program.h"

namespace acall {

namespace {

void close_all(const unsigned char* from, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    int fd;
    memcpy(&fd, from + i * sizeof fd, sizeof fd);
    close(fd);
  }
}

// Descriptors that a message has brought along (SCM_RIGHTS). The bytes may lie in an arena and change under our eyes:
// each length is read once.
void close_rights(const msghdr& message) {
  const auto* at = static_cast<const unsigned char*>(message.msg_control);
  size_t left = at == nullptr ? 0 : message.msg_controllen;
  while (left >= sizeof(cmsghdr)) {
    cmsghdr part;
    memcpy(&part, at, sizeof part);
    if (part.cmsg_len < CMSG_LEN(0) || part.cmsg_len > left) return;
    if (part.cmsg_level == SOL_SOCKET && part.cmsg_type == SCM_RIGHTS) {
      close_all(at + CMSG_LEN(0), (part.cmsg_len - CMSG_LEN(0)) / sizeof(int));
    }
    const size_t step = CMSG_ALIGN(part.cmsg_len);
    if (step >= left) return;
    at += step;
    left -= step;
  }
}

template <typename Visitor>
void each_holder(uint32_t nr, const uint64_t args[6], Visitor visit) {
  const SyscallRule* rule = find_rule(kSyscallTable, nr, args);
  for (int i = 0; rule != nullptr && i < rule->nargs; ++i) {
    if ((rule->args[i].flags & kArgHoldsFds) && args[i] != 0) visit(rule->args[i], args[i], i);
  }
}

void dispose(uint32_t nr, bool returns_fd, const uint64_t args[6], int64_t return_code) {
  if (returns_fd) close(static_cast<int>(return_code));
  each_holder(nr, args, [](const ArgRule& arg, uint64_t address, int) {
    if (arg.kind == ArgKind::kMsghdr) {
      close_rights(*reinterpret_cast<const msghdr*>(address));
    } else {
      close_all(reinterpret_cast<const unsigned char*>(address), arg.size / sizeof(int));
    }
  });
}

// The result is in the cookie; whether it is a descriptor in `extra`, since this op's own result is none.
int64_t run_disposal(Operation& op, Worker&) {
  dispose(op.nr, op.extra != nullptr, op.args, static_cast<int64_t>(op.cookie));
  return 0;
}

int64_t run_program_disposal(Operation& op, Worker&) {
  program_dispose(*static_cast<ProgramRun*>(op.extra));
  return 0;
}

// The control bytes of a message lie in the caller's arena, which he may free meanwhile: they are copied behind the
// header. nullptr: they are gone, or there is no memory.
Block* copy_message(Environment& environment, const msghdr& message) {
  const size_t length = message.msg_control == nullptr ? 0 : message.msg_controllen;
  Block* block = block_make(sizeof(msghdr) + length);
  if (block == nullptr) return nullptr;
  auto& copy = *reinterpret_cast<msghdr*>(block->data());
  copy = message;
  copy.msg_control = block->data() + sizeof(msghdr);
  Hold hold(arenas_lock);
  if (length > 0 && arena_find(environment, reinterpret_cast<uintptr_t>(message.msg_control), length) == nullptr) {
    block_release(block);
    return nullptr;
  }
  if (length > 0) memcpy(copy.msg_control, message.msg_control, length);
  return block;
}

}  // namespace

bool carries_descriptors(const Operation& op) {
  if (op.facts.load(std::memory_order_relaxed) & kOpReturnsFd) return true;
  if (op.run == run_program) return static_cast<const ProgramRun*>(op.extra)->handed_count > 0;
  bool found = false;
  if (op.run == run_syscall) each_holder(op.nr, op.args, [&](const ArgRule&, uint64_t, int) { found = true; });
  return found;
}

void dispose_result(Operation& op, int64_t return_code) {
  if (return_code < 0) return;
  if (op.run == run_program) return program_dispose(*static_cast<ProgramRun*>(op.extra));
  if (op.run != run_syscall) return;
  dispose(op.nr, op.facts.load(std::memory_order_relaxed) & kOpReturnsFd, op.args, return_code);
}

void ResultCarrier::take(const Operation& op) {
  is_set = true;
  program = op.run == run_program ? static_cast<ProgramRun*>(op.extra) : nullptr;
  nr = op.nr;
  returns_fd = op.facts.load(std::memory_order_relaxed) & kOpReturnsFd;
  memcpy(args, op.args, sizeof args);
  block = op.block;
  copies = op.copies;
  if (block != nullptr) block_reference(*block);
  if (copies != nullptr) block_reference(*copies);
}

void ResultCarrier::forget() {
  block_release(block);
  block_release(copies);
  *this = {};
}

void dispose_later(Environment& environment, ResultCarrier& carrier, int64_t return_code, bool intact) {
  if (return_code >= 0 && carrier.program != nullptr) {
    PromiseWork work;
    work.run = run_program_disposal;
    work.extra = carrier.program;
    work.block = carrier.block;  // the run lives there
    if (engine_submit_detached(environment, work, 0)) {
      carrier = {};
      return;
    }
    program_dispose(*carrier.program);
    return_code = -ECANCELED;
  }
  if (return_code >= 0 && carrier.is_set) {
    each_holder(carrier.nr, carrier.args, [&](const ArgRule& arg, uint64_t address, int i) {
      if (arg.kind != ArgKind::kMsghdr) return;
      Block* copy = !intact ? nullptr : copy_message(environment, *reinterpret_cast<const msghdr*>(address));
      block_release(carrier.copies);
      carrier.copies = copy;
      carrier.args[i] = copy != nullptr ? copy->address() : 0;
    });
    PromiseWork work;
    work.run = run_disposal;
    work.extra = carrier.returns_fd ? &carrier : nullptr;  // not followed
    work.cookie = static_cast<uint64_t>(return_code);
    memcpy(work.args, carrier.args, sizeof work.args);
    work.block = carrier.block;
    work.result = carrier.copies;
    if (engine_submit_detached(environment, work, carrier.nr)) {
      carrier = {};
      return;
    }
    dispose(carrier.nr, carrier.returns_fd, carrier.args,
            return_code);  // no thread and no memory for one: here and now
  }
  carrier.forget();
}

}  // namespace acall
