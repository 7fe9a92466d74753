/* writeFile: a whole file, as fs.promises.writeFile puts it, or all of it or nothing. */
import { constants as node } from 'node:fs';
import { type CommonOptions, checkCommonOptions } from '../engine';
import { invalidArgType, invalidArgValue } from '../errors';
import { FileHandle } from './file-handle';
import { FileKind, fileOp } from './file-op';
import { fileMode, openFlags } from './open-flags';
import { type PathLike, pathArgument } from './paths';

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
   * replaced; the new file gets the old one's mode and, where we may, its owner; hard links keep the old content.
   */
  atomic?: boolean | undefined;
}

const kFileSync = 1; // native/core/file_tasks.h, this and the next
const kFileAtomic = 2;

type Data = string | NodeJS.ArrayBufferView;

/** @internal Text of other encodings as bytes; what is no text and no view is refused. */
function payload(data: unknown, encoding: BufferEncoding): Data {
  if (typeof data === 'string') return /^utf-?8$/i.test(encoding) ? data : Buffer.from(data, encoding);
  if (ArrayBuffer.isView(data)) return data as NodeJS.ArrayBufferView;
  throw invalidArgType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
}

/**
 * Writes a whole file, replacing what was there. Equals `fs.promises.writeFile` but for `atomic`; opening, writing and closing
 * are one visit to a thread. `data` is copied before the call returns.
 *
 * Rejects with a SyscallError `open`, `write`, `fsync`, `close` or, with `atomic`, `rename`; EINVAL `open` where `atomic` would
 * replace something that is no file. A plain write that fails or is aborted may have written a part; an atomic one leaves
 * the old file and nothing beside it.
 *
 * @param file a path, or an open {@link FileHandle}, which is written to where it stands
 * @example
 * await writeFile('settings.json', JSON.stringify(settings), { atomic: true });
 */
export async function writeFile(
  file: PathLike | FileHandle,
  data: string | NodeJS.ArrayBufferView,
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
  const common = { signal, timeout, ref };
  checkCommonOptions(common);
  const bytes = payload(data, encoding);
  const done = (): void => {};
  const writing = (atomic ? kFileAtomic : 0) | (flush ? kFileSync : 0);
  if (file instanceof FileHandle) {
    if (atomic) throw invalidArgValue('options.atomic', 'must be false for an open file', atomic);
    return file.use((fd) => fileOp({ kind: FileKind.write, fd, data: bytes, options: writing }, common, done), 'write');
  }
  if (atomic && (flags & ~node.O_EXCL) !== (node.O_WRONLY | node.O_CREAT | node.O_TRUNC)) {
    throw invalidArgValue('options.flag', "must be 'w' or 'wx' for an atomic write", flag);
  }
  const path = pathArgument(file);
  const request = { kind: FileKind.write, path, data: bytes, flags, mode: fileMode(mode), options: writing };
  return fileOp(request, common, done);
}
