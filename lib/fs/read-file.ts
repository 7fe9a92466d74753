/* readFile: a whole file, as fs.promises.readFile gives it, in one visit to the pool. */
import { type CommonOptions, checkCommonOptions } from '../engine';
import { invalidArgType, invalidArgValue } from '../errors';
import { native } from '../native';
import { FileHandle } from './file-handle';
import { FileKind, fileOp } from './file-op';
import { openFlags } from './open-flags';
import { type PathLike, pathArgument } from './paths';

/** Options of {@link readFile}; a string is the encoding. */
export interface ReadFileOptions extends CommonOptions {
  /** Text in this encoding instead of a Buffer. */
  encoding?: BufferEncoding | null | undefined;
  /** How to open the file, as in `fs.open`; 'r' unless told. */
  flag?: string | number | undefined;
}

/* From here on a Buffer lies over the memory that the file was read into; below, a copy costs less than its bookkeeping. */
const kExternalBytes = 64 * 1024;

/** @internal Checks the options that readFile and readFiles share. */
export function readOptions(options: unknown): {
  encoding: BufferEncoding | undefined;
  flags: number;
  common: CommonOptions | undefined;
} {
  const given = typeof options === 'string' ? { encoding: options } : (options ?? {});
  if (typeof given !== 'object') throw invalidArgType('options', 'one of type string or object', options);
  const { encoding, flag = 'r', signal, timeout, ref } = given as ReadFileOptions;
  if (encoding !== undefined && encoding !== null && !Buffer.isEncoding(encoding)) {
    throw invalidArgValue('encoding', 'is invalid encoding', encoding);
  }
  const isPlain = signal === undefined && timeout === undefined && ref === undefined;
  const common = isPlain ? undefined : { signal, timeout, ref };
  if (common !== undefined) checkCommonOptions(common);
  return { encoding: encoding ?? undefined, flags: openFlags(flag ?? 'r'), common };
}

function takeBuffer(slot: number, length: number): Buffer {
  if (length >= kExternalBytes) return Buffer.from(native.fileTakeContent(slot, length));
  const buffer = Buffer.allocUnsafeSlow(length);
  if (length > 0) native.fileCopyContent(slot, buffer, length);
  return buffer;
}

/**
 * A whole file as a Buffer, or as text with `encoding`; files of unknown size (/proc, FIFOs) are read to their end. Equals
 * `fs.promises.readFile`, errors included. Opening, reading and closing are one visit to a thread.
 *
 * Rejects with a SyscallError `open` or `read` (EISDIR for a folder), ERR_FS_FILE_TOO_LARGE above 2 GiB.
 *
 * @param path a path, or an open {@link FileHandle}, which is read from where it stands
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
  const { encoding, flags, common } = readOptions(options);
  const take = (slot: number, length: number): string | Buffer => {
    const buffer = takeBuffer(slot, length);
    return encoding === undefined ? buffer : buffer.toString(encoding);
  };
  if (path instanceof FileHandle) {
    return path.use((fd, handle) => fileOp({ kind: FileKind.read, fd, handle }, common, take), 'read');
  }
  return fileOp({ kind: FileKind.read, path: pathArgument(path), flags, mode: 0o666 }, common, take);
}
