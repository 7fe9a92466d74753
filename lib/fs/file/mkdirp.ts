/* mkdirp(): makes a folder and all missing folders above it, as fs.promises.mkdir with `recursive` does. */

import { invalidArgType, invalidArgValue } from '../../errors';
import { FileKind } from '../../generated/wire';
import { type CommonOptions, checkCommonOptions, commonOf, withCommon } from '../../promise/options';
import { type PathLike, pathArgument, shownPath } from '../paths';
import { fileOp } from './file-op';
import { fileMode } from './open-flags';

/** Options of {@link mkdirp}. A number, or a string of octal digits, is the mode. */
export interface MkdirpOptions extends CommonOptions {
  /** Permissions of new folders, less the umask; 0o777 by default. */
  mode?: number | string | null | undefined;
  /** For options written for `fs.mkdir`: only true is taken. */
  recursive?: boolean | undefined;
}

const kOptions = withCommon('mode recursive');

/**
 * Makes a folder and all missing folders above it, in one op. Resolves to the first path that was made, or to undefined when
 * all of them existed. Result and errors equal those of `fs.promises.mkdir(path, { recursive: true })`.
 *
 * Rejects with a SyscallError `mkdir` (EEXIST where the path exists and is no folder, ENOTDIR where a path above it is no folder),
 * with an AbortError or ETIMEDOUT for `signal` and `timeout`, and with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or
 * ERR_OUT_OF_RANGE for wrong arguments.
 *
 * @example
 * await mkdirp('out/reports/2026'); // 'out'
 */
export async function mkdirp(
  path: PathLike,
  options?: number | string | MkdirpOptions | null,
): Promise<string | undefined> {
  const given = typeof options === 'number' || typeof options === 'string' ? { mode: options } : (options ?? {});
  const argument = pathArgument(path);
  checkCommonOptions(given, kOptions);
  const { mode, recursive = true } = given;
  if (typeof recursive !== 'boolean') throw invalidArgType('options.recursive', 'of type boolean', recursive);
  if (!recursive)
    throw invalidArgValue('options.recursive', 'must be true: mkdirp makes all that is missing', recursive);
  const permissions = fileMode(mode, 0o777);
  const request = { kind: FileKind.makeDirectories, path: argument, mode: permissions };
  return fileOp(request, commonOf(given), (_slot, _result, facts) => {
    const { number } = facts();
    if (number === 0) return undefined;
    const bytes = typeof argument === 'string' ? Buffer.from(argument) : argument;
    return shownPath(bytes.subarray(0, number));
  });
}
