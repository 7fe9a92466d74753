/* rmTree(): removes a tree with several threads, and nothing outside of the tree. */

import { invalidArgType, SyscallError } from '../../errors';
import { Errno } from '../../generated/wire';
import { native, type RemoveTreeHandle } from '../../native';
import { engine } from '../../promise/engine';
import { JobOp } from '../../promise/job-op';
import { isError, timeoutError } from '../../promise/op';
import { type CommonOptions, checkCommonOptions, withCommon } from '../../promise/options';
import { inContext } from '../in-context';
import { type PathLike, pathArgument, shownPath } from '../paths';
import { treeError } from './tree-error';

/** Options of {@link rmTree}. */
export interface RmTreeOptions extends CommonOptions {
  /** true: a path that does not exist is no error. */
  force?: boolean | undefined;
  /** Called for each entry that could not be removed, the first thousand of them. The promise then rejects with the first. */
  onError?: ((error: SyscallError) => void) | undefined;
}

const kOptions = withCommon('force onError');

/* One rmTree(). */
class RmTreeOp extends JobOp<void, RemoveTreeHandle> {
  readonly #root: string | Uint8Array;
  readonly #options: RmTreeOptions;

  constructor(root: string | Uint8Array, options: RmTreeOptions, resolve: () => void, reject: (error: Error) => void) {
    super(resolve, reject);
    this.#root = root;
    this.#options = options;
  }

  protected override begin(option: number): RemoveTreeHandle | null {
    return native.removeBegin(this.slot, this.#root, option);
  }

  override complete(low: number, high: number): void {
    const { force = false, onError } = this.#options;
    if (isError(low, high)) {
      const errno = low | 0;
      if (force && errno === -Errno.ENOENT) this.resolve();
      else this.fail(new SyscallError(errno, 'lstat', { path: shownPath(this.#root) }));
      return;
    }
    const errors = native.removeErrors(this.job!, false).map(treeError);
    try {
      if (onError !== undefined) for (const error of errors) onError(error);
    } catch (error) {
      this.fail(error as Error);
      return;
    }
    if (errors.length > 0) this.fail(errors[0]!);
    else this.resolve();
  }

  override timedOut(): Error {
    return timeoutError('rm', shownPath(this.#root));
  }
}

/**
 * Removes a file, a link or a whole tree, as `fs.promises.rm` with `recursive` does. Several threads empty folders at the same
 * time.
 *
 * The path is looked up once, every entry is named relative to the descriptor of its folder, and symbolic links are never
 * followed. So somebody who changes the tree or the folders above it cannot lead the removal out of the tree. If something else
 * has taken the place of the root meanwhile, it stays, and the promise rejects (ENOTDIR, ESTALE).
 *
 * An entry that cannot be removed stays, together with the folders above it; everything else is removed. Then the promise rejects
 * with the first error: a SyscallError `unlink`, `rmdir` or `scandir`. The error is ENOENT `lstat` when the path does not exist,
 * unless `force` is true. A path that rmdir(2) would refuse ("/", a mount point, a path that ends in "." or "..", a link with a
 * slash behind it) is refused before anything is removed. An abort or a time-out does not bring removed entries back.
 *
 * @example
 * await rmTree('node_modules', { force: true });
 */
export function rmTree(path: PathLike, options: RmTreeOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const root = pathArgument(path);
    checkCommonOptions(options, kOptions);
    const { force = false, onError } = options;
    if (typeof force !== 'boolean') throw invalidArgType('options.force', 'of type boolean', force);
    if (onError !== undefined && typeof onError !== 'function') {
      throw invalidArgType('options.onError', 'of type function', onError);
    }
    const op = new RmTreeOp(root, { force, onError: inContext(onError) }, resolve, reject);
    if (engine.watch(op, options, kOptions)) engine.start(op);
  });
}
