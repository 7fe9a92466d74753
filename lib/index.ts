/* The exports of 'acall'. */

export { type Counters, counters } from './call/counters';
export { restrict, type SyscallOptions, syscall, unsafe } from './call/syscall';
export { AbortError, SyscallError } from './errors';
export { type CopyFileOptions, copyFile } from './fs/file/copy-file';
export type { HasDescriptor } from './fs/file/descriptor';
export { type Advice, FileHandle, open, type ReadOptions } from './fs/file/file-handle';
export { type FlockOptions, flock, type LockOperation } from './fs/file/flock';
export { type MkdirpOptions, mkdirp } from './fs/file/mkdirp';
export { type ReadFileOptions, readFile } from './fs/file/read-file';
export { ReadFiles, type ReadFilesEntry, type ReadFilesOptions, readFiles } from './fs/file/read-files';
export type { WriteFileData } from './fs/file/write-chunks';
export { type WriteFileOptions, writeFile } from './fs/file/write-file';
export type { PathLike } from './fs/paths';
export { type AsyncScope, async_stat, asyncScope, StatBuffer, wait_for_async } from './fs/stat/async-stat';
export { fstat, lstat, type StatOptions, stat } from './fs/stat/stat';
export { StatBatch, type StatManyOptions, statMany } from './fs/stat/stat-many';
export { type DuOptions, type DuResult, du } from './fs/tree/du';
export { type ReaddirOptions, readdir, type WithStats } from './fs/tree/readdir';
export { type RmTreeOptions, rmTree } from './fs/tree/rm-tree';
export { Walk, type WalkEntry, type WalkOptions, walk } from './fs/tree/walk';
export { constants } from './generated/constants';
export { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE } from './generated/layout';
export { SYS, type SyscallArg, type SyscallArgs, type SyscallName } from './generated/syscalls';
export { Arena, addressOf } from './memory/arena';
export { AcallCompletionRing, type RingWaitOptions } from './memory/ring';
export { AcallCompletion, AcallId, AcallSubmission } from './memory/structs';
export type { CommonOptions } from './promise/options';
export {
  acall_cancel,
  acall_comp_pwait,
  acall_ring_pwait,
  acall_submit,
  acall_submit_error,
  type SigSet,
  type Timespec,
} from './raw';
