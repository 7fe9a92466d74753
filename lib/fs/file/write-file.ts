/* writeFile(): writes a whole file as fs.promises.writeFile does; with `atomic` the file is replaced as a whole. */
import { constants as node, type promises } from 'node:fs';
import { Steps } from '../../call/steps';
import { invalidArgType, invalidArgValue, SyscallError } from '../../errors';
import { SYS } from '../../generated/syscalls';
import { Errno, FileKind, Wire } from '../../generated/wire';
import { kNoHandle, native, type OpenHandle } from '../../native';
import { type CommonOptions, commonOf, withCommon } from '../../promise/options';
import { descriptor, isNodeHandle, isUtf8, textOptions, useNodeHandle } from '../node-like';
import { type PathLike, pathArgument, shownPath } from '../paths';
import { FileHandle, open } from './file-handle';
import { fileOp } from './file-op';
import { fileMode, openFlags } from './open-flags';
import { gatherChunks, isChunks, type WriteFileData, writeChunks } from './write-chunks';

/** Options of {@link writeFile}. A string is the encoding. */
export interface WriteFileOptions extends CommonOptions {
  /** Encoding of a text; 'utf8' by default. */
  encoding?: BufferEncoding | null | undefined;
  /** Permissions of a new file, less the umask; 0o666 by default. */
  mode?: number | string | null | undefined;
  /** The flags to open the file with, as in `fs.open`; 'w' by default. With `atomic` only 'w' and 'wx' are taken. */
  flag?: string | number | null | undefined;
  /** true: the promise resolves when the data is on the disk (fsync(2)). With `atomic` it is true by default. */
  flush?: boolean | null | undefined;
  /**
   * true: a reader of the path sees the old file or the new one, also after a crash. The data goes to a temporary file in
   * the same folder, which is synced and renamed; then the folder is synced. A symbolic link stays, and its target is
   * replaced; hard links keep the old content.
   *
   * The new file gets the owner and the group of the old file, each where the process may set it, and the ACL and the mode of the
   * old file. At no moment can anybody open the new file who could not open the old one: where the group could not be kept, the
   * members of the group get no access; set-id bits and the ACL are kept only where owner and group were kept. Other extended
   * attributes are not kept.
   */
  atomic?: boolean | undefined;
}

const kOptions = withCommon('encoding mode flag flush atomic');

type Whole = string | NodeJS.ArrayBufferView;

/* Encodes a text that is not UTF-8. @throws ERR_INVALID_ARG_TYPE for data that is neither text nor a view */
function payload(data: unknown, encoding: BufferEncoding): Whole {
  if (typeof data === 'string') return isUtf8(encoding) ? data : Buffer.from(data, encoding);
  if (ArrayBuffer.isView(data)) return data as NodeJS.ArrayBufferView;
  throw invalidArgType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
}

/* The target: a path and how to open it, or an open file. */
interface PathTarget {
  readonly path: string | Uint8Array;
  readonly flags: number;
  readonly mode: number;
  readonly options: number;
}
interface HandleTarget {
  use<T>(work: (fd: number, handle: OpenHandle) => Promise<T>): Promise<T>;
  readonly options: number;
}

function targetOf(file: unknown, given: WriteFileOptions, options: number): PathTarget | HandleTarget {
  const isAtomic = (options & Wire.fileAtomic) !== 0;
  if (file instanceof FileHandle || isNodeHandle(file)) {
    if (isAtomic) throw invalidArgValue('options.atomic', 'must be false for an open file', true);
    if (file instanceof FileHandle) return { use: (work) => file.use(work, 'write'), options };
    return { use: (work) => useNodeHandle(file, (fd) => work(descriptor(fd, 'write'), kNoHandle)), options };
  }
  const path = pathArgument(file);
  const flags = openFlags(given.flag || 'w');
  const mode = fileMode(given.mode, 0o666);
  if (isAtomic && (flags & ~node.O_EXCL) !== (node.O_WRONLY | node.O_CREAT | node.O_TRUNC)) {
    throw invalidArgValue('options.flag', "must be 'w' or 'wx' for an atomic write", given.flag);
  }
  return { path, flags, mode, options };
}

/**
 * Writes a whole file and replaces its content. Without `atomic`, result and errors equal those of `fs.promises.writeFile`. For
 * text or bytes as a whole, opening, writing and closing are one op. Each piece of an iterable, an async iterable or a stream is
 * written when it comes; with `atomic` all pieces are gathered first.
 *
 * Rejects with a SyscallError `open`, `write`, `fsync`, `close` or, with `atomic`, `rename`; EINVAL `open` where `atomic` would
 * replace something that is no file. Rejects with an AbortError or ETIMEDOUT for `signal` and `timeout`, and with
 * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong arguments. A plain write that fails or is aborted may
 * have written a part. An atomic write that fails or is aborted leaves the old file and nothing beside it.
 *
 * @param file a path, or an open FileHandle of acall or of node:fs, which is written to at its current position
 * @param data text, bytes, or pieces of text or bytes; do not change bytes before the promise has settled
 * @example
 * await writeFile('settings.json', JSON.stringify(settings), { atomic: true });
 * @example
 * await writeFile('copy.txt', process.stdin);
 */
export async function writeFile(
  file: PathLike | FileHandle | promises.FileHandle,
  data: WriteFileData,
  options?: BufferEncoding | WriteFileOptions | null,
): Promise<void> {
  const given = textOptions<WriteFileOptions>(options, kOptions);
  const { atomic = false } = given;
  const encoding = given.encoding || 'utf8';
  const flush = given.flush ?? atomic;
  if (typeof atomic !== 'boolean') throw invalidArgType('options.atomic', 'of type boolean', atomic);
  if (typeof flush !== 'boolean') throw invalidArgType('options.flush', 'of type boolean', flush);
  const whole = isChunks(data) ? undefined : payload(data, encoding);
  let common = commonOf(given);
  const target = targetOf(file, given, (atomic ? Wire.fileAtomic : 0) | (flush ? Wire.fileSync : 0));
  let content: Whole;
  if (whole === undefined) {
    const steps = new Steps(common, 'open', 'path' in target ? shownPath(target.path) : undefined);
    const chunks = data as Exclude<WriteFileData, Whole>;
    if (!atomic) return writePieces(target, chunks, encoding, flush, steps);
    content = await gatherChunks(chunks, encoding, steps);
    common = steps.next();
  } else content = whole;
  const done = (): void => {};
  if ('path' in target) return fileOp({ kind: FileKind.write, ...target, data: content }, common, done);
  return target.use((fd, handle) =>
    fileOp({ kind: FileKind.write, fd, handle, data: content, options: target.options }, common, done),
  );
}

async function writePieces(
  target: PathTarget | HandleTarget,
  data: Iterable<unknown> | AsyncIterable<unknown>,
  encoding: BufferEncoding,
  flush: boolean,
  steps: Steps,
): Promise<void> {
  const write = async (fd: number, handle: OpenHandle): Promise<void> => {
    await writeChunks(fd, handle, data, encoding, steps);
    const sync = { kind: FileKind.write, fd, handle, data: '', options: Wire.fileSync };
    if (flush) await fileOp(sync, steps.next(), () => {});
  };
  if (!('path' in target)) return target.use(write);
  // Asked before the opening empties the file. A write of the whole data is one op, which the core checks by itself.
  const calls = flush ? [SYS.openat!, SYS.write!, SYS.fsync!] : [SYS.openat!, SYS.write!];
  if (!native.mayRun(Uint32Array.from(calls))) {
    throw new SyscallError(-Errno.EPERM, 'open', { path: shownPath(target.path), refused: true });
  }
  const handle = await open(target.path as PathLike, target.flags, target.mode, steps.next());
  try {
    await handle.use(write, 'write');
  } catch (error) {
    await handle.close().catch(() => {});
    throw error;
  }
  await handle.close();
}
