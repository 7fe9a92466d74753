/* du(): the space that a tree uses, equal to GNU du to the byte. */

import { invalidArgType, SyscallError } from '../../errors';
import { DuTotals, JobOption } from '../../generated/wire';
import { type DuHandle, native } from '../../native';
import { engine } from '../../promise/engine';
import { JobOp } from '../../promise/job-op';
import { isError, timeoutError } from '../../promise/op';
import { type CommonOptions, checkCommonOptions, withCommon } from '../../promise/options';
import { clearInterval, setInterval } from '../../timers';
import { inContext } from '../in-context';
import { type PathLike, pathArgument, shownPath } from '../paths';
import { treeError } from './tree-error';

/** The sums of a tree. */
export interface DuResult {
  /** Bytes on disk (512 for each block), or with `apparentSize` the sum of all sizes. */
  bytes: number;
  /** The number of entries that are no directories. A file with several names counts once. */
  files: number;
  /** The number of directories, the root included. */
  directories: number;
  /** The number of entries that could not be read; the sums do not contain them. */
  errors: number;
}

/** Options of {@link du}. */
export interface DuOptions extends CommonOptions {
  /** true: sizes instead of blocks, those of directories included, as `du -b` of coreutils 9.1. */
  apparentSize?: boolean | undefined;
  /** true: leaves out directories of other file systems, as `du -x`. */
  oneFileSystem?: boolean | undefined;
  /** Called with the sums so far ten times a second, and with the result at the end. */
  onProgress?: ((sum: DuResult) => void) | undefined;
  /** Called at the end for each entry that could not be read, the first thousand of them. */
  onError?: ((error: SyscallError) => void) | undefined;
}

const kOptions = withCommon('apparentSize oneFileSystem onProgress onError');
const kProgressMs = 100;

/* One du(). */
class DuOp extends JobOp<DuResult, DuHandle> {
  readonly #root: string | Uint8Array;
  readonly #flags: number;
  readonly #options: DuOptions;
  readonly #totals = new Float64Array(DuTotals.sizeInDoubles);
  #timer: NodeJS.Timeout | undefined;

  constructor(
    root: string | Uint8Array,
    flags: number,
    options: DuOptions,
    resolve: (result: DuResult) => void,
    reject: (error: Error) => void,
  ) {
    super(resolve, reject);
    this.#root = root;
    this.#flags = flags;
    this.#options = options;
  }

  protected override begin(option: number): DuHandle | null {
    return native.duBegin(this.slot, this.#root, this.#flags | option);
  }

  protected override begun(): void {
    if (this.#options.onProgress !== undefined) this.#timer = setInterval(this.#report, kProgressMs).unref();
  }

  #sums(): DuResult {
    const totals = this.#totals;
    native.duTotals(this.job!, totals);
    return {
      bytes: totals[DuTotals.bytes]!,
      files: totals[DuTotals.files]!,
      directories: totals[DuTotals.directories]!,
      errors: totals[DuTotals.errors]!,
    };
  }

  readonly #report = (): void => {
    try {
      this.#options.onProgress!(this.#sums());
    } catch (error) {
      engine.abandon(this, error as Error);
    }
  };

  override complete(low: number, high: number): void {
    clearInterval(this.#timer);
    if (isError(low, high)) {
      this.fail(new SyscallError(low | 0, 'lstat', { path: shownPath(this.#root) }));
      return;
    }
    const result = this.#sums();
    try {
      const { onError, onProgress } = this.#options;
      if (onError !== undefined) for (const error of native.duErrors(this.job!, false)) onError(treeError(error));
      onProgress?.({ ...result });
    } catch (error) {
      this.fail(error as Error);
      return;
    }
    this.resolve(result);
  }

  override reject(error: Error): void {
    clearInterval(this.#timer);
    this.fail(error);
  }

  override timedOut(): Error {
    return timeoutError('lstat', shownPath(this.#root));
  }
}

/**
 * Adds up a tree: bytes, files and directories, the root included. `bytes` equals that of `du -s -B1 ROOT` and, with
 * `apparentSize`, of `du -s -b ROOT`. A file with several names is counted once. Symbolic links are not followed, except a root
 * that ends with a slash.
 *
 * Rejects with a SyscallError `lstat` when the root cannot be looked at (ENOENT), with an AbortError or ETIMEDOUT for `signal` and
 * `timeout`, with an exception of a callback, and with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong
 * arguments. Everything else that cannot be read is counted in `errors`.
 *
 * @example
 * const { bytes, files } = await du('/usr/share');
 * console.log(`${files} files, ${bytes} bytes`);
 */
export function du(root: PathLike, options: DuOptions = {}): Promise<DuResult> {
  return new Promise((resolve, reject) => {
    const path = pathArgument(root, 'root');
    checkCommonOptions(options, kOptions);
    const { apparentSize = false, oneFileSystem = false, onProgress, onError } = options;
    if (typeof apparentSize !== 'boolean')
      throw invalidArgType('options.apparentSize', 'of type boolean', apparentSize);
    if (typeof oneFileSystem !== 'boolean') {
      throw invalidArgType('options.oneFileSystem', 'of type boolean', oneFileSystem);
    }
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      throw invalidArgType('options.onProgress', 'of type function', onProgress);
    }
    if (onError !== undefined && typeof onError !== 'function') {
      throw invalidArgType('options.onError', 'of type function', onError);
    }
    const flags = (apparentSize ? JobOption.apparentSize : 0) | (oneFileSystem ? JobOption.oneFileSystem : 0);
    const op = new DuOp(
      path,
      flags,
      { onProgress: inContext(onProgress), onError: inContext(onError) },
      resolve,
      reject,
    );
    if (engine.watch(op, options, kOptions)) engine.start(op);
  });
}
