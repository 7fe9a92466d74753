// How descriptors are found in results, and who closes them. See dispose.h.
#include "syscalls/dispose.h"

#include <cstring>

#include "launch/launch.h"
#include "syscalls/policy_table.h"
#include "threads/leftovers.h"

namespace acall {

namespace {

constexpr int kScmPidfd = 4;              // SCM_PIDFD, Linux 6.5: one descriptor
constexpr uint32_t kNoCall = UINT32_MAX;  // a number without a rule: the result is one descriptor

template <typename Visitor>
void each_holder(const Call& call, Visitor visit) {
  const SyscallRule* rule = find_rule(kSyscallTable, call.nr, call.args);
  for (int i = 0; rule != nullptr && i < rule->nargs; ++i) {
    if ((rule->args[i].flags & kArgHoldsFds) && call.args[i] != 0) visit(rule->args[i], call.args[i]);
  }
}

// The op's call is that of the op that is gone, and its cookie that op's result.
int64_t run_disposal(Operation& op, PoolThread& self) {
  Leftovers leftovers;
  collect_of_call(op.call, nullptr, static_cast<int64_t>(op.cookie), leftovers);
  leftovers.close(self);
  return 0;
}

}  // namespace

constinit const BackEnd kCallDisposal{.run = run_disposal};

bool call_carries(const Call& call, const void*) {
  bool found = call.flags & Call::kReturnsFd;
  each_holder(call, [&](const ArgRule&, uint64_t) { found = true; });
  return found;
}

void collect_of_call(const Call& call, void*, int64_t return_code, Leftovers& into) {
  if (call.flags & Call::kReturnsFd) into.add(static_cast<int>(return_code));
  each_holder(call, [&into](const ArgRule& arg, uint64_t address) {
    if (arg.kind == ArgKind::kMsghdr) {
      collect_rights(*reinterpret_cast<const msghdr*>(address), into);
    } else {
      into.add_all(reinterpret_cast<const unsigned char*>(address), arg.size / sizeof(int));
    }
  });
}

void collect_rights(const msghdr& message, Leftovers& into) {
  const auto* at = static_cast<const unsigned char*>(message.msg_control);
  size_t left = at == nullptr ? 0 : message.msg_controllen;
  while (left >= sizeof(cmsghdr)) {
    cmsghdr part;
    memcpy(&part, at, sizeof part);
    if (part.cmsg_len < CMSG_LEN(0) || part.cmsg_len > left) return;
    if (part.cmsg_level == SOL_SOCKET && (part.cmsg_type == SCM_RIGHTS || part.cmsg_type == kScmPidfd)) {
      into.add_all(at + CMSG_LEN(0), (part.cmsg_len - CMSG_LEN(0)) / sizeof(int));
    }
    const size_t step = CMSG_ALIGN(part.cmsg_len);
    if (step >= left) return;
    at += step;
    left -= step;
  }
}

bool ResultCarrier::take(const Operation& op) {
  const BackEnd& kind = op.kind();
  if (kind.carries == nullptr || !kind.carries(op.call, op.extra)) return false;
  is_set = true;
  back_end = &kind;
  extra = op.extra;
  op.call.share(call);
  return true;
}

void ResultCarrier::forget() {
  call.drop();
  *this = {};
}

void dispose_close(Environment& environment, int fd) {
  Call call;
  call.nr = kNoCall;
  call.flags = Call::kReturnsFd;
  if (launch_detached(environment, kCallDisposal, nullptr, static_cast<uint64_t>(fd), call)) return;
  Leftovers leftovers;
  leftovers.add(fd);
  leftovers.strand();
}

void dispose_later(Environment& environment, ResultCarrier& carrier, int64_t return_code) {
  if (return_code < 0 || !carrier.is_set) return carrier.forget();
  const BackEnd& kind = *carrier.back_end;
  const auto result = static_cast<uint64_t>(return_code);
  if (launch_detached(environment, *kind.disposal, carrier.extra, result, carrier.call)) {
    carrier = {};
    return;
  }
  Leftovers leftovers;
  kind.collect(carrier.call, carrier.extra, return_code, leftovers);
  leftovers.strand();
  carrier.forget();
}

}  // namespace acall
