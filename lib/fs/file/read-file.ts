/* readFile(): a whole file as fs.promises.readFile gives it, in one op. */
import type * as fs from 'node:fs';
import { FileKind } from '../../generated/wire';
import { native, type Slot } from '../../native';
import { type CommonOptions, commonOf, withCommon } from '../../promise/options';
import { descriptor, isNodeHandle, textOptions, useNodeHandle } from '../node-like';
import { type PathLike, pathArgument } from '../paths';
import { FileHandle } from './file-handle';
import { fileOp } from './file-op';
import { openFlags } from './open-flags';

/** Options of {@link readFile}. A string is the encoding. */
export interface ReadFileOptions extends CommonOptions {
  /** The result is text in this encoding, not a Buffer. */
  encoding?: BufferEncoding | null | undefined;
  /** The flags to open the file with, as in `fs.open`; 'r' by default. */
  flag?: string | number | null | undefined;
}

const kOptions = withCommon('encoding flag');
/* From this size on, the Buffer is the memory that the file was read into. A smaller file is copied, which costs less. */
const kExternalBytes = 64 * 1024;

/** @internal Checks the options that readFile and readFiles share. @throws as textOptions() */
export function readOptions(options: unknown): {
  encoding: BufferEncoding | undefined;
  flag: string | number | undefined;
  common: CommonOptions | undefined;
} {
  const given = textOptions<ReadFileOptions>(options, kOptions);
  return { encoding: given.encoding || undefined, flag: given.flag || undefined, common: commonOf(given) };
}

function takeBuffer(slot: Slot, length: number): Buffer {
  if (length >= kExternalBytes) return Buffer.from(native.fileTakeContent(slot, length));
  const buffer = Buffer.allocUnsafeSlow(length);
  if (length > 0) native.fileCopyContent(slot, buffer, length);
  return buffer;
}

/**
 * Reads a whole file as a Buffer, or as text with `encoding`. A file of unknown size (/proc, a FIFO) is read to its end.
 * Result and errors equal those of `fs.promises.readFile`. Opening, reading and closing are one op.
 *
 * Rejects with a SyscallError `open` or `read` (EISDIR for a folder), with ERR_FS_FILE_TOO_LARGE above 2 GiB, with an
 * AbortError or ETIMEDOUT for `signal` and `timeout`, and with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or
 * ERR_OUT_OF_RANGE for wrong arguments.
 *
 * @param path a path, or an open FileHandle of acall or of node:fs, which is read from its current position
 * @example
 * const text = await readFile('/proc/self/status', 'utf8');
 */
export function readFile(
  path: PathLike | FileHandle | fs.promises.FileHandle,
  options: BufferEncoding | (ReadFileOptions & { encoding: BufferEncoding }),
): Promise<string>;
export function readFile(
  path: PathLike | FileHandle | fs.promises.FileHandle,
  options?: (ReadFileOptions & { encoding?: null | undefined }) | null,
): Promise<Buffer>;
export function readFile(
  path: PathLike | FileHandle | fs.promises.FileHandle,
  options?: BufferEncoding | ReadFileOptions | null,
): Promise<string | Buffer>;
export async function readFile(
  path: PathLike | FileHandle | fs.promises.FileHandle,
  options?: BufferEncoding | ReadFileOptions | null,
): Promise<string | Buffer> {
  const { encoding, flag, common } = readOptions(options);
  const take = (slot: Slot, length: number): string | Buffer => {
    const buffer = takeBuffer(slot, length);
    if (encoding === undefined) return buffer;
    // An encoding that Buffer does not know ('buffer') is refused for an empty file too: toString() would not look at it.
    return Buffer.isEncoding(encoding) ? buffer.toString(encoding) : Buffer.alloc(1).toString(encoding);
  };
  if (path instanceof FileHandle) {
    return path.use((fd, handle) => fileOp({ kind: FileKind.read, fd, handle }, common, take), 'read');
  }
  if (isNodeHandle(path))
    return useNodeHandle(path, (fd) => fileOp({ kind: FileKind.read, fd: descriptor(fd, 'read') }, common, take));
  const argument = pathArgument(path);
  return fileOp({ kind: FileKind.read, path: argument, flags: openFlags(flag), mode: 0o666 }, common, take);
}
