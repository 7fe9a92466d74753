/* What `require('acall')` and `import 'acall'` give. */
export type { CommonOptions } from './engine';
export { AbortError, SyscallError } from './errors';
export { type Counters, counters } from './fs/counters';
export { fstat, lstat, type StatOptions, stat } from './fs/stat';
export { restrict, type SyscallOptions, syscall, unsafe } from './fs/syscall';
export { constants } from './generated/constants';
export { ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE } from './generated/layout';
export { SYS, type SyscallArg, type SyscallArgs, type SyscallName } from './generated/syscalls';
export { Arena, addressOf } from './memory/arena';
export { AcallCompletionRing, type RingWaitOptions } from './memory/ring';
export { AcallCompletion, AcallId, AcallSubmission } from './memory/structs';
export { acall_cancel, acall_comp_pwait, acall_ring_pwait, acall_submit, acall_submit_error, type SigSet, type Timespec } from './raw';
