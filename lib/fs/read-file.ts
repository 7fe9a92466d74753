/* readFile: a whole file, as fs.promises.readFile gives it. */
import { constants as node } from 'node:fs';
import type { CommonOptions } from '../engine';
import { invalidArgType, invalidArgValue } from '../errors';
import { constants } from '../generated/constants';
import { FileHandle } from './file-handle';
import { openFlags } from './open-flags';
import { type PathLike, pathArgument, shownPath, terminated } from './paths';
import { fstat } from './stat';
import { Steps } from './steps';
import { closeQuietly } from './syscall';

/** Options of {@link readFile}; a string is the encoding. */
export interface ReadFileOptions extends CommonOptions {
  /** Text in this encoding instead of a Buffer. */
  encoding?: BufferEncoding | null | undefined;
  /** How to open the file, as in `fs.open`; 'r' unless told. */
  flag?: string | number | undefined;
}

const kUnknownPiece = 64 * 1024; // of files whose size stat(2) does not know
const kLargestPiece = 8 * 1024 * 1024;
const kLargestFile = 2 ** 31 - 1; // as node:fs

function tooLarge(size: number): RangeError {
  return Object.assign(new RangeError(`File size (${size}) is greater than 2 GiB`), { code: 'ERR_FS_FILE_TOO_LARGE' });
}

async function readAll(fd: number, steps: Steps): Promise<Buffer> {
  const { size, mode } = await fstat(fd, steps.next());
  const known = (mode & node.S_IFMT) === node.S_IFREG ? size : 0;
  if (known > kLargestFile) throw tooLarge(known);
  if (known === 0) {
    const pieces: Buffer[] = [];
    for (let total = 0; ; ) {
      const piece = Buffer.allocUnsafe(kUnknownPiece);
      const got = await steps.call('read', [fd, piece, piece.length], 'read');
      if (got === 0) return Buffer.concat(pieces, total);
      pieces.push(piece.subarray(0, got));
      total += got;
      if (total > kLargestFile) throw tooLarge(total);
    }
  }
  // As long as stat said: what is appended meanwhile is left, what is cut off is not there.
  const whole = Buffer.allocUnsafeSlow(known);
  let at = 0;
  while (at < known) {
    const piece = whole.subarray(at, Math.min(known, at + kLargestPiece));
    const got = await steps.call('read', [fd, piece, piece.length], 'read');
    if (got === 0) break;
    at += got;
  }
  return at === known ? whole : whole.subarray(0, at);
}

/**
 * A whole file as a Buffer, or as text with `encoding`; files of unknown size (/proc, FIFOs) are read to their end. Equals
 * `fs.promises.readFile`, errors included.
 *
 * Rejects with a SyscallError `open` or `read` (EISDIR for a folder), ERR_FS_FILE_TOO_LARGE above 2 GiB.
 *
 * @example
 * const text = await readFile('/proc/self/status', 'utf8');
 */
export function readFile(
  path: PathLike | FileHandle,
  options: BufferEncoding | (ReadFileOptions & { encoding: BufferEncoding }),
): Promise<string>;
export function readFile(
  path: PathLike | FileHandle,
  options?: (ReadFileOptions & { encoding?: null | undefined }) | null,
): Promise<Buffer>;
export function readFile(
  path: PathLike | FileHandle,
  options?: BufferEncoding | ReadFileOptions | null,
): Promise<string | Buffer>;
export async function readFile(
  path: PathLike | FileHandle,
  options?: BufferEncoding | ReadFileOptions | null,
): Promise<string | Buffer> {
  const given = typeof options === 'string' ? { encoding: options } : (options ?? {});
  if (typeof given !== 'object') throw invalidArgType('options', 'of type string or object', options);
  const { encoding, flag = 'r', signal, timeout, ref } = given as ReadFileOptions;
  if (encoding !== undefined && encoding !== null && !Buffer.isEncoding(encoding)) {
    throw invalidArgValue('encoding', 'is invalid encoding', encoding);
  }
  const text = (bytes: Buffer): string | Buffer => (encoding ? bytes.toString(encoding) : bytes);
  if (path instanceof FileHandle) {
    return path.use(async (fd) => text(await readAll(fd, new Steps({ signal, timeout, ref }, 'read'))));
  }
  const argument = pathArgument(path);
  const flags = openFlags(flag, 'options.flag');
  const shown = shownPath(argument);
  const steps = new Steps({ signal, timeout, ref }, 'open', shown);
  const fd = await steps.call(
    'openat',
    [constants.AT_FDCWD, terminated(argument), flags | constants.O_CLOEXEC, 0o666],
    'open',
    shown,
  );
  try {
    return text(await readAll(fd, steps));
  } finally {
    closeQuietly(fd);
  }
}
