/* What `require('acall')` and `import 'acall'` give. */
export type { CommonOptions } from './engine';
export { AbortError, SyscallError } from './errors';
export { type AsyncScope, async_stat, asyncScope, StatBuffer, wait_for_async } from './fs/async-stat';
export { type CopyFileOptions, copyFile } from './fs/copy-file';
export { type Counters, counters } from './fs/counters';
export type { HasDescriptor } from './fs/descriptor';
export { type DuOptions, type DuResult, du } from './fs/du';
export { type Advice, FileHandle, open, type ReadOptions } from './fs/file-handle';
export { type FlockOptions, flock, type LockOperation } from './fs/flock';
export { type MkdirpOptions, mkdirp } from './fs/mkdirp';
export type { PathLike } from './fs/paths';
export { type ReadFileOptions, readFile } from './fs/read-file';
export { ReadFiles, type ReadFilesEntry, type ReadFilesOptions, readFiles } from './fs/read-files';
export { type ReaddirOptions, readdir, type WithStats } from './fs/readdir';
export { type RmTreeOptions, rmTree } from './fs/rm-tree';
export { fstat, lstat, type StatOptions, stat } from './fs/stat';
export { StatBatch, type StatManyOptions, statMany } from './fs/stat-many';
export { restrict, type SyscallOptions, syscall, unsafe } from './fs/syscall';
export { Walk, type WalkEntry, type WalkOptions, walk } from './fs/walk';
export type { WriteFileData } from './fs/write-chunks';
export { type WriteFileOptions, writeFile } from './fs/write-file';
export { constants } from './generated/constants';
export { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE } from './generated/layout';
export { SYS, type SyscallArg, type SyscallArgs, type SyscallName } from './generated/syscalls';
export { Arena, addressOf } from './memory/arena';
export { AcallCompletionRing, type RingWaitOptions } from './memory/ring';
export { AcallCompletion, AcallId, AcallSubmission } from './memory/structs';
export {
  acall_cancel,
  acall_comp_pwait,
  acall_ring_pwait,
  acall_submit,
  acall_submit_error,
  type SigSet,
  type Timespec,
} from './raw';
