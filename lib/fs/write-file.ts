/* writeFile: a whole file, as fs.promises.writeFile puts it, or all of it or nothing. */
import { constants as node } from 'node:fs';
import { type CommonOptions, checkCommonOptions } from '../engine';
import { invalidArgType, invalidArgValue, SyscallError } from '../errors';
import { SYS } from '../generated/syscalls';
import { native } from '../native';
import { FileHandle, open } from './file-handle';
import { FileKind, fileOp } from './file-op';
import { fileMode, openFlags } from './open-flags';
import { type PathLike, pathArgument, shownPath } from './paths';
import { Steps } from './steps';
import { gatherChunks, isChunks, type WriteFileData, writeChunks } from './write-chunks';

/** Options of {@link writeFile}; a string is the encoding. */
export interface WriteFileOptions extends CommonOptions {
  /** Of a text; 'utf8' unless told. */
  encoding?: BufferEncoding | null | undefined;
  /** Permissions of a file that is made, less the umask; 0o666 unless told. */
  mode?: number | string | undefined;
  /** How to open the file, as in `fs.open`; 'w' unless told. */
  flag?: string | number | undefined;
  /** true: the promise resolves when the data is on the disk (fsync(2)). With `atomic` it is true unless told. */
  flush?: boolean | undefined;
  /**
   * true: whoever reads the path sees the old file or the new one, also after a crash. The data goes to a temporary file in
   * the same folder, which is synced and renamed; then the folder is synced. A symbolic link stays, and its target is
   * replaced; hard links keep the old content.
   *
   * The new file gets the old one's owner and group, each where we may, its ACL and its mode, and at no moment does it let
   * in anybody whom the old one kept out: where the group could not be kept its members get nothing, set-id bits need both,
   * an ACL too. Other extended attributes are not kept.
   */
  atomic?: boolean | undefined;
}

const kFileSync = 1; // native/core/file_tasks.h, this and the next
const kFileAtomic = 2;

type Whole = string | NodeJS.ArrayBufferView;

/* Text of other encodings as bytes; what is no text and no view is refused. */
function payload(data: unknown, encoding: BufferEncoding): Whole {
  if (typeof data === 'string') return /^utf-?8$/i.test(encoding) ? data : Buffer.from(data, encoding);
  if (ArrayBuffer.isView(data)) return data as NodeJS.ArrayBufferView;
  const types = 'of type string or an instance of Buffer, TypedArray, DataView, Iterable, or AsyncIterable';
  throw invalidArgType('data', types, data);
}

/**
 * Writes a whole file, replacing what was there. Equals `fs.promises.writeFile` but for `atomic`. Content that is there as a
 * whole is copied before the call returns, and opening, writing and closing are one visit to a thread. Of an iterable, an
 * async iterable or a stream each piece is written when it comes; with `atomic` all are gathered first.
 *
 * Rejects with a SyscallError `open`, `write`, `fsync`, `close` or, with `atomic`, `rename`; EINVAL `open` where `atomic` would
 * replace something that is no file. A plain write that fails or is aborted may have written a part; an atomic one leaves
 * the old file and nothing beside it.
 *
 * @param file a path, or an open {@link FileHandle}, which is written to where it stands
 * @example
 * await writeFile('settings.json', JSON.stringify(settings), { atomic: true });
 * @example
 * await writeFile('copy.txt', process.stdin);
 */
export async function writeFile(
  file: PathLike | FileHandle,
  data: WriteFileData,
  options?: BufferEncoding | WriteFileOptions | null,
): Promise<void> {
  const given = typeof options === 'string' ? { encoding: options } : (options ?? {});
  if (typeof given !== 'object') throw invalidArgType('options', 'one of type string or object', options);
  const { flag = 'w', mode = 0o666, atomic = false, signal, timeout, ref } = given as WriteFileOptions;
  const encoding = (given as WriteFileOptions).encoding ?? 'utf8';
  const { flush = atomic } = given as WriteFileOptions;
  if (!Buffer.isEncoding(encoding)) throw invalidArgValue('encoding', 'is invalid encoding', encoding);
  if (typeof flush !== 'boolean') throw invalidArgType('options.flush', 'of type boolean', flush);
  if (typeof atomic !== 'boolean') throw invalidArgType('options.atomic', 'of type boolean', atomic);
  const flags = openFlags(flag ?? 'w');
  if (atomic && file instanceof FileHandle) {
    throw invalidArgValue('options.atomic', 'must be false for an open file', atomic);
  }
  if (atomic && (flags & ~node.O_EXCL) !== (node.O_WRONLY | node.O_CREAT | node.O_TRUNC)) {
    throw invalidArgValue('options.flag', "must be 'w' or 'wx' for an atomic write", flag);
  }
  const writing = (atomic ? kFileAtomic : 0) | (flush ? kFileSync : 0);
  const target =
    file instanceof FileHandle ? file : { path: pathArgument(file), flags, mode: fileMode(mode), options: writing };
  let common: CommonOptions | undefined = { signal, timeout, ref };
  checkCommonOptions(common);
  let content: Whole;
  if (isChunks(data)) {
    const shown = target instanceof FileHandle ? undefined : shownPath(target.path);
    const steps = new Steps(common, 'open', shown);
    if (!atomic) return writePieces(target, data, encoding, flush, steps);
    content = await gatherChunks(data, encoding, steps);
    common = steps.next();
  } else content = payload(data, encoding);
  const done = (): void => {};
  if (!(target instanceof FileHandle)) return fileOp({ kind: FileKind.write, ...target, data: content }, common, done);
  return target.use(
    (fd, record) => fileOp({ kind: FileKind.write, fd, handle: record, data: content, options: writing }, common, done),
    'write',
  );
}

async function writePieces(
  target: FileHandle | { path: string | Uint8Array; flags: number; mode: number },
  data: Iterable<unknown> | AsyncIterable<unknown>,
  encoding: BufferEncoding,
  flush: boolean,
  steps: Steps,
): Promise<void> {
  const toHandle = (handle: FileHandle): Promise<void> =>
    handle.use(async (fd, record) => {
      await writeChunks(fd, record, data, encoding, steps);
      const sync = { kind: FileKind.write, fd, handle: record, data: '', options: kFileSync };
      if (flush) await fileOp(sync, steps.next(), () => {});
    }, 'write');
  if (target instanceof FileHandle) return toHandle(target);
  // Before the opening empties the file. All of one write go down as one op, which asks by itself.
  const calls = flush ? [SYS.openat!, SYS.write!, SYS.fsync!] : [SYS.openat!, SYS.write!];
  if (!native.mayRun(Uint32Array.from(calls))) {
    throw new SyscallError(-1, 'open', { path: shownPath(target.path), refused: true });
  }
  const handle = await open(target.path as PathLike, target.flags, target.mode, steps.next());
  try {
    await toHandle(handle);
  } catch (error) {
    await handle.close().catch(() => {});
    throw error;
  }
  await handle.close();
}
