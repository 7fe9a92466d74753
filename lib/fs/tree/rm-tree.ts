/* rmTree: removes a tree by several threads, and nothing outside of it. */

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
  /** true: a path with nothing there is no error. */
  force?: boolean | undefined;
  /** Called for each entry that could not be removed, the first thousand of them; the promise rejects with the first. */
  onError?: ((error: SyscallError) => void) | undefined;
}

const kOptions = withCommon('force onError');

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
 * Removes a file, a link or a whole tree, as `fs.promises.rm` with `recursive` does. Folders are emptied side by side.
 * Everything is named relative to the descriptor of its folder, the path itself is looked up once, and symbolic links are
 * never followed, so somebody who changes the tree or the folders above it cannot lead the removal out of the tree. What has
 * taken the place of the root meanwhile stays, and is an error (ENOTDIR, ESTALE).
 *
 * What cannot be removed stays, with the folders above it, and everything else is removed. Then the promise rejects with the
 * first error: a SyscallError `unlink`, `rmdir` or `scandir`. The error is ENOENT `lstat` when there is nothing at the path,
 * unless `force` is true. A path that rmdir(2) refuses anyway ("/", a mount point, one that ends in "." or "..", a link with a
 * slash behind it) is refused before anything is removed. What an aborted removal has removed does not come back.
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
