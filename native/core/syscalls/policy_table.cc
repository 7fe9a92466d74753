// The generated syscall table of this architecture. Constant data: any thread, no lock.
#include "syscalls/policy_table.h"

namespace acall {
namespace {
#if defined(__x86_64__)
#include "generated/policy_table_x64.inc"
#elif defined(__aarch64__)
#include "generated/policy_table_arm64.inc"
#else
#error "acall runs on x86-64 and AArch64"
#endif
}  // namespace

constinit const SyscallTable kSyscallTable = {kSyscallRules,  sizeof(kSyscallRules) / sizeof(kSyscallRules[0]),
                                              kVariantRules,  kSelectors,
                                              kSelectorCases, kSyscallNames};

}  // namespace acall
