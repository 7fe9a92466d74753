/* copyFile(): copies the bytes and the mode of a file, as fs.promises.copyFile does. Holes stay holes. */

import { copyModeError } from '../../errors';
import { FileKind } from '../../generated/wire';
import { type CommonOptions, checkCommonOptions, commonOf, withCommon } from '../../promise/options';
import { type PathLike, pathArgument } from '../paths';
import { fileOp } from './file-op';

/** Options of {@link copyFile}; a number is the mode. */
export interface CopyFileOptions extends CommonOptions {
  /**
   * A sum of `fs.constants`. COPYFILE_EXCL: rejects with EEXIST where the target exists. COPYFILE_FICLONE: shares blocks with the
   * source where the file system can. COPYFILE_FICLONE_FORCE: shares blocks or rejects, and a target that existed stays as it was.
   * 0 by default.
   */
  mode?: number | null | undefined;
}

const kOptions = withCommon('mode');
const kAllModes = 7; // COPYFILE_EXCL, _FICLONE and _FICLONE_FORCE

/* Checks the mode as node:fs does, which cuts off the fraction of a number. */
function copyMode(mode: unknown): number {
  if (mode === undefined || mode === null) return 0;
  if (typeof mode !== 'number') throw copyModeError('type');
  if (!Number.isFinite(mode)) throw copyModeError('number');
  const flags = Math.trunc(mode);
  if (flags < 0 || flags > kAllModes) throw copyModeError('range', kAllModes);
  return flags;
}

/**
 * Copies a file. The target gets the source's mode. The result and the errors equal those of `fs.promises.copyFile`, with two
 * differences: a file of /proc, whose size is 0, is copied with its content, and a target is not touched when the source is a
 * folder. The bytes are copied by copy_file_range(2) where the kernel can, and holes stay holes.
 *
 * A new target appears under its name when it is whole, and not at all when the copy fails or is aborted; until then it has a
 * temporary name in the same folder. A target that existed stays in any case; when the copy fails or is aborted, it holds a part
 * of the source. A source that becomes shorter meanwhile, or that has fewer bytes than its size says, is copied with the bytes
 * that it has.
 *
 * Rejects with a SyscallError `copyfile`, with an AbortError or ETIMEDOUT for `signal` and `timeout`, and with
 * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong arguments.
 *
 * @example
 * await copyFile('disk.img', 'backup.img', { signal: AbortSignal.timeout(60_000) });
 */
export async function copyFile(
  src: PathLike,
  dest: PathLike,
  options?: number | CopyFileOptions | null,
): Promise<void> {
  const path = pathArgument(src, 'src');
  const other = pathArgument(dest, 'dest');
  const isObject = typeof options === 'object' && options !== null && !Array.isArray(options);
  const given: CopyFileOptions = isObject ? options : { mode: options as number | null | undefined };
  const { mode } = given;
  const common = commonOf(given);
  checkCommonOptions(given, kOptions);
  return fileOp({ kind: FileKind.copy, path, other, options: copyMode(mode) }, common, () => {});
}
