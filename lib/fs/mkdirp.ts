/* mkdirp: a folder and all above it, as fs.promises.mkdir with `recursive` makes them. */
import { type CommonOptions, checkCommonOptions } from '../engine';
import { invalidArgType } from '../errors';
import { FileKind, fileOp } from './file-op';
import { fileMode } from './open-flags';
import { type PathLike, pathArgument, shownPath } from './paths';

/** Options of {@link mkdirp}; a number or octal digits are the mode. */
export interface MkdirpOptions extends CommonOptions {
  /** Permissions of the folders that are made, less the umask; 0o777 unless told. */
  mode?: number | string | undefined;
}

/**
 * Makes a folder and those above it that are missing, in one visit to a thread. Resolves to the first path that was made, or
 * undefined when all of them were there: as `fs.promises.mkdir(path, { recursive: true })`, errors included.
 *
 * Rejects with a SyscallError `mkdir`: EEXIST where the path is no folder, ENOTDIR where one above it is none.
 *
 * @example
 * await mkdirp('out/reports/2026'); // 'out'
 */
export async function mkdirp(
  path: PathLike,
  options?: number | string | MkdirpOptions | null,
): Promise<string | undefined> {
  const argument = pathArgument(path);
  const given = typeof options === 'object' && options !== null ? options : { mode: options ?? undefined };
  if (typeof options === 'function' || typeof options === 'boolean')
    throw invalidArgType('options', 'of type object', options);
  const { mode = 0o777, signal, timeout, ref } = given as MkdirpOptions;
  const common = { signal, timeout, ref };
  checkCommonOptions(common);
  const request = { kind: FileKind.makeDirectories, path: argument, mode: fileMode(mode) };
  return fileOp(request, common, (_slot, _result, facts) => {
    const { number } = facts();
    if (number === 0) return undefined;
    const bytes = typeof argument === 'string' ? Buffer.from(argument) : argument;
    return shownPath(bytes.subarray(0, number));
  });
}
