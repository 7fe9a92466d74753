/* statMany(): many paths in one job, results as columns. */

import type { Stats } from 'node:fs';
import { checkInteger, invalidArgType, SyscallError } from '../../errors';
import { Errno, JobOption, NarrowColumn, WideColumn, Wire } from '../../generated/wire';
import { native, type StatBatchHandle } from '../../native';
import { engine } from '../../promise/engine';
import { JobOp } from '../../promise/job-op';
import { isError, timeoutError } from '../../promise/op';
import { type CommonOptions, checkCommonOptions, withCommon } from '../../promise/options';
import { nextTurn } from '../../promise/turn-clock';
import { kRetryMs } from '../../promise/waiting';
import { setTimeout } from '../../timers';
import { hasNul, kPiece, nulIn, PathFeeder } from '../path-feeder';
import { ownPath, type PathLike, shownPath } from '../paths';
import { Columns, StatRows } from './columns';

/** Options of {@link statMany}. */
export interface StatManyOptions extends CommonOptions {
  /** Descriptor of the directory that relative paths start from; the working directory by default. */
  dirfd?: number | undefined;
  /** false: a symbolic link itself is looked at, as lstat(2) does; true by default. */
  follow?: boolean | undefined;
}

const kOptions = withCommon('dirfd follow');
const kMaxPaths = 0x7fffffff;

/**
 * The result of {@link statMany}: a row for each path, in the order of the paths. A row whose `error` is not 0 has 0 in every
 * other column.
 */
export class StatBatch {
  /** Number of paths. */
  readonly length: number;
  /** 0, or -errno. */
  readonly error: Int32Array;
  /** Bytes. */
  readonly size: Float64Array;
  /** Blocks of 512 bytes. */
  readonly blocks: Float64Array;
  /** Time of the last access, in milliseconds since 1970. */
  readonly atimeMs: Float64Array;
  /** Time of the last change of the content, in milliseconds since 1970. */
  readonly mtimeMs: Float64Array;
  /** Time of the last change of the inode, in milliseconds since 1970. */
  readonly ctimeMs: Float64Array;
  /** Time of birth in milliseconds since 1970; 0 where the file system does not know it. */
  readonly birthtimeMs: Float64Array;
  /** Number of the inode. */
  readonly ino: BigUint64Array;
  /** Device that holds the file. */
  readonly dev: BigUint64Array;
  /** Device that a device file stands for. */
  readonly rdev: BigUint64Array;
  /** Type and permissions. */
  readonly mode: Uint32Array;
  /** Number of hard links. */
  readonly nlink: Uint32Array;
  /** User id of the owner. */
  readonly uid: Uint32Array;
  /** Group id. */
  readonly gid: Uint32Array;
  /** Preferred size of reads and writes, in bytes. */
  readonly blksize: Uint32Array;
  readonly #rows: StatRows;
  readonly #paths: readonly (string | Uint8Array)[];
  readonly #syscall: string;

  /** @internal */
  constructor(columns: Columns, paths: readonly (string | Uint8Array)[], syscall: string) {
    this.length = paths.length;
    this.error = columns.errors();
    this.size = columns.f64(WideColumn.size);
    this.blocks = columns.f64(WideColumn.blocks);
    this.atimeMs = columns.f64(WideColumn.atimeMs);
    this.mtimeMs = columns.f64(WideColumn.mtimeMs);
    this.ctimeMs = columns.f64(WideColumn.ctimeMs);
    this.birthtimeMs = columns.f64(WideColumn.birthtimeMs);
    this.ino = columns.u64(WideColumn.ino);
    this.dev = columns.u64(WideColumn.dev);
    this.rdev = columns.u64(WideColumn.rdev);
    this.mode = columns.u32(NarrowColumn.mode);
    this.nlink = columns.u32(NarrowColumn.nlink);
    this.uid = columns.u32(NarrowColumn.uid);
    this.gid = columns.u32(NarrowColumn.gid);
    this.blksize = columns.u32(NarrowColumn.blksize);
    this.#rows = new StatRows(columns);
    this.#paths = paths;
    this.#syscall = syscall;
  }

  /**
   * One row as node:fs would give it: Stats, or the error of the lookup.
   *
   * @param i from 0 to `length - 1`
   * @throws ERR_OUT_OF_RANGE for any other index
   */
  get(i: number): Stats | SyscallError {
    checkInteger(i, 'i', 0, this.length - 1);
    const error = this.error[i]!;
    return error === 0
      ? this.#rows.stats(i)
      : new SyscallError(error, this.#syscall, { path: shownPath(this.#paths[i]!) });
  }
}

/* One statMany(). */
class StatManyOp extends JobOp<StatBatch, StatBatchHandle> {
  readonly #paths: readonly (string | Uint8Array)[];
  readonly #dirfd: number;
  readonly #flags: number;
  readonly #feeder: PathFeeder;
  #over = false;

  constructor(
    paths: readonly (string | Uint8Array)[],
    dirfd: number,
    flags: number,
    resolve: (batch: StatBatch) => void,
    reject: (error: Error) => void,
  ) {
    super(resolve, reject);
    this.#paths = paths;
    this.#feeder = new PathFeeder(paths);
    this.#dirfd = dirfd;
    this.#flags = flags;
  }

  protected override begin(option: number): StatBatchHandle | null {
    return native.statManyBegin(this.slot, this.#paths.length, this.#dirfd, this.#flags | option);
  }

  protected override begun(): void {
    this.#feed();
  }

  /* Passes paths to the job, and the others in later turns of the loop. */
  readonly #feed = (): void => {
    if (this.#over) return;
    try {
      const status = this.#feeder.feed((joined, count) => native.statManyAdd(this.job!, joined, count, joined.length));
      if (status === -Errno.EAGAIN) setTimeout(this.#feed, kRetryMs);
      else if (status === 0 && !this.#feeder.done) void nextTurn().then(this.#feed);
      // Any other status: the job has ended, and its op completes with the error.
    } catch (error) {
      engine.abandon(this, error as Error);
    }
  };

  override complete(low: number, high: number): void {
    this.#over = true;
    if (isError(low, high)) {
      this.fail(new SyscallError(low | 0, this.#syscall));
      return;
    }
    const length = this.#paths.length;
    const columns = new Columns(native.statManyTake(this.job!), length, length);
    this.resolve(new StatBatch(columns, this.#paths, this.#syscall));
  }

  override reject(error: Error): void {
    this.#over = true;
    this.fail(error);
  }

  override timedOut(): Error {
    return timeoutError(this.#syscall);
  }

  get #syscall(): string {
    return this.#flags & JobOption.noFollow ? 'lstat' : 'stat';
  }
}

/**
 * Makes a stat(2) of many paths and returns the results as columns. Of all calls of acall it costs least for each path. A
 * path that cannot be looked up is a row with its `error`, and does not reject the promise.
 *
 * Rejects with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong arguments, with a SyscallError when
 * there is no memory, and with an AbortError or ETIMEDOUT for `signal` and `timeout`.
 *
 * @param paths strings, Buffers or file URLs; they are copied during the call
 * @example
 * const batch = await statMany(paths);
 * let bytes = 0;
 * for (let i = 0; i < batch.length; i++) bytes += batch.size[i];
 */
export function statMany(paths: readonly PathLike[], options?: StatManyOptions): Promise<StatBatch> {
  return new Promise((resolve, reject) => {
    if (!Array.isArray(paths)) throw invalidArgType('paths', 'an instance of Array', paths);
    checkCommonOptions(options, kOptions);
    const { dirfd = Wire.workingDirectory, follow = true } = options ?? {};
    if (dirfd !== Wire.workingDirectory) checkInteger(dirfd, 'options.dirfd', 0, 0x7fffffff);
    if (typeof follow !== 'boolean') throw invalidArgType('options.follow', 'of type boolean', follow);
    checkInteger(paths.length, 'paths.length', 0, kMaxPaths);
    const copy = paths.slice() as (string | Uint8Array)[]; // the caller may change the array before all paths are passed on
    for (let i = 0; i < copy.length; i++) {
      if (typeof copy[i] !== 'string') copy[i] = ownPath(copy[i], `paths[${i}]`);
    }
    // A short list is checked here, because that costs little; the binding finds a NUL in a long one.
    if (copy.length <= kPiece && copy.some(hasNul)) throw nulIn(copy);
    const op = new StatManyOp(copy, dirfd, follow ? 0 : JobOption.noFollow, resolve, reject);
    if (!engine.watch(op, options, kOptions)) return;
    if (copy.length === 0) {
      engine.settle(op);
      resolve(new StatBatch(new Columns(new ArrayBuffer(0), 0, 0), copy, 'stat'));
      return;
    }
    engine.start(op);
  });
}
