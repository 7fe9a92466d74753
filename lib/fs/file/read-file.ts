/* readFile: a whole file, as fs.promises.readFile gives it, in one visit to the pool. */
import type * as fs from 'node:fs';
import { FileKind } from '../../generated/wire';
import { native, type Slot } from '../../native';
import { type CommonOptions, commonOf, withCommon } from '../../promise/options';
import { descriptor, isNodeHandle, textOptions, useNodeHandle } from '../node-like';
import { type PathLike, pathArgument } from '../paths';
import { FileHandle } from './file-handle';
import { fileOp } from './file-op';
import { openFlags } from './open-flags';

/** Options of {@link readFile}; a string is the encoding. */
export interface ReadFileOptions extends CommonOptions {
  /** Text in this encoding instead of a Buffer. */
  encoding?: BufferEncoding | null | undefined;
  /** How to open the file, as in `fs.open`; 'r' by default. */
  flag?: string | number | null | undefined;
}

const kOptions = withCommon('encoding flag');
/* From here on a Buffer lies over the memory that the file was read into; below, a copy costs less than its bookkeeping. */
const kExternalBytes = 64 * 1024;

/** @internal Checks the options that readFile and readFiles share. */
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
 * A whole file as a Buffer, or as text with `encoding`; files of unknown size (/proc, FIFOs) are read to their end. Equals
 * `fs.promises.readFile`, errors included. Opening, reading and closing are one visit to a thread.
 *
 * Rejects with a SyscallError `open` or `read` (EISDIR for a folder), ERR_FS_FILE_TOO_LARGE above 2 GiB.
 *
 * @param path a path, or an open {@link FileHandle} or one of node:fs, which is read from its position
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
