/* open() and FileHandle: a descriptor with its calls, which is closed when no call uses it any more. */

import type { BigIntStats, Stats } from 'node:fs';
import type { Opened } from '../../call/request';
import { Steps } from '../../call/steps';
import { checkInteger, invalidArgType, invalidArgValue, outOfRange, SyscallError } from '../../errors';
import { constants } from '../../generated/constants';
import type { SyscallArg, SyscallName } from '../../generated/syscalls';
import { Errno } from '../../generated/wire';
import { native, type OpenHandle } from '../../native';
import { type CommonOptions, checkCommonOptions, commonOf, withCommon } from '../../promise/options';
import { emitWarning } from '../../timers';
import { type PathLike, pathArgument, shownPath, terminated } from '../paths';
import { fstatOf, type StatOptions } from '../stat/stat';
import { closeHandle } from './close-handle';
import { kUse } from './descriptor';
import { type FlockOptions, flock } from './flock';
import { fileMode, openFlags } from './open-flags';

/** Options of {@link FileHandle.read} and {@link FileHandle.write}: a region of the buffer, and a position in the file. */
export interface ReadOptions extends CommonOptions {
  /** First byte of the region in the buffer; 0 by default. */
  offset?: number | undefined;
  /** Number of bytes; the rest of the buffer by default. */
  length?: number | undefined;
  /** First byte in the file. Null (the default) or -1: the file's current position, which moves on. */
  position?: number | bigint | null | undefined;
}

/** How a region of a file will be used: see posix_fadvise(2). */
export type Advice = 'normal' | 'sequential' | 'random' | 'willneed' | 'dontneed' | 'noreuse';

const kReadOptions = withCommon('buffer offset length position');
const kDefaultRead = 16_384;
const kMaxTransfer = 0x7ffff000; // what read(2) and write(2) move at most
const kAdvice = {
  normal: 'POSIX_FADV_NORMAL',
  sequential: 'POSIX_FADV_SEQUENTIAL',
  random: 'POSIX_FADV_RANDOM',
  willneed: 'POSIX_FADV_WILLNEED',
  dontneed: 'POSIX_FADV_DONTNEED',
  noreuse: 'POSIX_FADV_NOREUSE',
} as const;

const forgotten = new FinalizationRegistry<Opened>(({ fd, handle }) => {
  emitWarning(`Closing file descriptor ${fd} on garbage collection: a FileHandle must be closed`);
  closeHandle(handle).catch(() => {}); // nobody could handle the error
});

function checkPosition(position: unknown): number | bigint | undefined {
  if (position === null || position === undefined || position === -1 || position === -1n) return undefined;
  if (typeof position === 'bigint') {
    if (position < 0n || position > 2n ** 63n - 1n) throw outOfRange('position', '>= -1 && <= 2 ** 63 - 1', position);
    return position;
  }
  return checkInteger(position, 'position', -1, Number.MAX_SAFE_INTEGER);
}

function checkView(
  buffer: unknown,
  name = 'buffer',
  expected = 'an instance of Buffer, TypedArray, or DataView',
): asserts buffer is ArrayBufferView {
  if (!ArrayBuffer.isView(buffer)) throw invalidArgType(name, expected, buffer);
}

/* The encoding of a text to write. As in node:fs an unknown encoding means UTF-8. */
function encodingOf(text: string, encoding: unknown): BufferEncoding {
  const known =
    typeof encoding === 'string' && encoding !== 'buffer' && Buffer.isEncoding(encoding) ? encoding : 'utf8';
  if (known.toLowerCase() === 'hex' && text.length % 2 !== 0) {
    throw invalidArgValue('encoding', `is invalid for data of length ${text.length}`, encoding);
  }
  return known;
}

function part(view: ArrayBufferView, offset: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, Math.min(length, kMaxTransfer));
}

/* Checks the arguments of read and write after the buffer: options, or offset, length, position and options. */
function region(
  view: ArrayBufferView,
  first: ReadOptions | number | null | undefined,
  length: number | null | undefined,
  position: number | bigint | null | undefined,
  options: CommonOptions | undefined,
): { offset: number; length: number; position: number | bigint | undefined; common: CommonOptions | undefined } {
  const inOptions = typeof first === 'object' && first !== null;
  if (inOptions) checkCommonOptions(first, kReadOptions);
  else checkCommonOptions(options);
  const given = inOptions ? first : { ...options, offset: first, length, position };
  const offset = given.offset ?? 0;
  checkInteger(offset, 'offset', 0, Number.MAX_SAFE_INTEGER);
  return {
    offset,
    length: given.length ?? view.byteLength - offset,
    position: checkPosition(given.position),
    common: commonOf(given),
  };
}

/**
 * An open file. Close it, or let `await using` do so. Its calls take the common options as their last argument; a call on a
 * closed handle rejects with EBADF. What its Worker leaves open is closed when the Worker ends, as with node:fs.
 */
export class FileHandle implements AsyncDisposable {
  #fd: number;
  readonly #handle: OpenHandle; // the engine's record
  #users = 0;
  #closing: Promise<void> | undefined;
  #lastLeft: (() => void) | undefined;

  /** @internal Made by {@link open}. */
  constructor(opened: Opened) {
    this.#fd = opened.fd;
    this.#handle = opened.handle;
    forgotten.register(this, opened, this);
  }

  /** The descriptor; -1 once the handle is closed. */
  get fd(): number {
    return this.#fd;
  }

  /** @internal Runs `work` on the descriptor, which stays open meanwhile. `handle` is the number of the handle in the core. */
  async use<T>(work: (fd: number, handle: OpenHandle) => Promise<T>, syscall = 'read'): Promise<T> {
    if (this.#fd < 0) throw new SyscallError(-Errno.EBADF, syscall);
    this.#users++;
    try {
      return await work(this.#fd, this.#handle);
    } finally {
      if (--this.#users === 0) this.#lastLeft?.();
    }
  }

  /** @internal As {@link use}, for withDescriptor(). */
  [kUse]<T>(work: (fd: number, handle: OpenHandle) => Promise<T>, syscall: string): Promise<T> {
    return this.use(work, syscall);
  }

  #call(
    name: SyscallName,
    args: readonly SyscallArg[],
    options: CommonOptions | undefined,
    label: string = name,
  ): Promise<number> {
    const steps = new Steps(options, label);
    return this.use((fd, handle) => steps.call(name, [fd, ...args], label, undefined, handle), label);
  }

  /**
   * Makes one read(2), or one pread(2) with a `position`, so it may read fewer bytes than asked for. At the end of the file
   * `bytesRead` is 0. Without a buffer it reads up to 16 KiB into a new one.
   *
   * When the read is aborted or times out, `buffer` stays as it was, and bytes that were already taken from a pipe or socket are
   * lost.
   *
   * @example
   * const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
   */
  async read<T extends ArrayBufferView = Buffer>(
    buffer?: T | (ReadOptions & { buffer?: T }) | null,
    offset?: ReadOptions | number | null,
    length?: number | null,
    position?: number | bigint | null,
    options?: CommonOptions,
  ): Promise<{ bytesRead: number; buffer: T }> {
    const isView = ArrayBuffer.isView(buffer);
    if (!isView && buffer !== undefined && buffer !== null && typeof buffer !== 'object') {
      throw invalidArgType('options', 'of type object', buffer);
    }
    const inOptions = isView ? undefined : (buffer as (ReadOptions & { buffer?: T }) | undefined | null);
    const into = (isView ? buffer : (inOptions?.buffer ?? Buffer.alloc(kDefaultRead))) as T;
    checkView(into);
    const from = region(into, inOptions ?? offset, length, position, options);
    if (from.length === 0) return { bytesRead: 0, buffer: into };
    if (into.byteLength === 0) throw invalidArgValue('buffer', 'is empty and cannot be written', into);
    if (typeof from.length === 'number' && from.length < 0) throw outOfRange('length', '>= 0', from.length);
    checkInteger(from.length, 'length', 0, Number.MAX_SAFE_INTEGER);
    if (from.offset + from.length > into.byteLength) {
      throw outOfRange('length', `<= ${into.byteLength - from.offset}`, from.length);
    }
    const { position: at, common } = from;
    const bytes = part(into, from.offset, from.length);
    const bytesRead =
      at === undefined
        ? await this.#call('read', [bytes, bytes.length], common)
        : await this.#call('pread64', [bytes, bytes.length, at], common, 'read');
    return { bytesRead, buffer: into };
  }

  /**
   * Makes one write(2), or one pwrite(2) with a `position`, so it may write fewer bytes than given.
   *
   * @example
   * const { bytesWritten } = await file.write('hello', 0);
   */
  async write(
    buffer: string,
    position?: number | bigint | null,
    encoding?: BufferEncoding | null,
    options?: CommonOptions,
  ): Promise<{ bytesWritten: number; buffer: string }>;
  async write<T extends ArrayBufferView>(
    buffer: T,
    offset?: ReadOptions | number | null,
    length?: number | null,
    position?: number | bigint | null,
    options?: CommonOptions,
  ): Promise<{ bytesWritten: number; buffer: T }>;
  async write(
    buffer: string | ArrayBufferView,
    second?: ReadOptions | number | bigint | null,
    third?: number | string | null,
    fourth?: number | bigint | CommonOptions | null,
    options?: CommonOptions,
  ): Promise<{ bytesWritten: number; buffer: string | ArrayBufferView }> {
    if (ArrayBuffer.isView(buffer) && buffer.byteLength === 0) return { bytesWritten: 0, buffer };
    let bytes: Uint8Array;
    let from: ReturnType<typeof region>;
    if (typeof buffer === 'string') {
      const encoding = encodingOf(buffer, third);
      const common = (fourth ?? undefined) as CommonOptions | undefined;
      from = region(new Uint8Array(0), 0, undefined, second as number | bigint | null | undefined, common);
      bytes = Buffer.from(buffer, encoding);
      bytes = part(bytes, 0, bytes.length);
    } else {
      checkView(buffer, 'buffer', 'of type string or an instance of Buffer, TypedArray, or DataView');
      // As in node:fs, null stands for empty options, and the arguments behind it are ignored.
      const rest = (second === null ? [] : [third, fourth]) as [number?, (number | bigint)?];
      from = region(buffer, second as ReadOptions | number | null | undefined, ...rest, options);
      const { offset, length } = from;
      const left = buffer.byteLength - offset;
      if (left < 0) throw outOfRange('offset', `<= ${buffer.byteLength}`, offset);
      if (typeof length === 'number' && length > left) throw outOfRange('length', `<= ${left}`, length);
      if (typeof length === 'number' && length < 0) throw outOfRange('length', '>= 0', length);
      checkInteger(length, 'length', 0, 0x7fffffff);
      bytes = part(buffer, offset, length);
    }
    const { position, common } = from;
    const bytesWritten =
      position === undefined
        ? await this.#call('write', [bytes, bytes.length], common)
        : await this.#call('pwrite64', [bytes, bytes.length, position], common, 'write');
    return { bytesWritten, buffer };
  }

  /** fstat(2), as `fs.Stats`. */
  stat(options: StatOptions & { bigint: true }): Promise<BigIntStats>;
  stat(options?: StatOptions): Promise<Stats>;
  stat(options?: StatOptions): Promise<Stats | BigIntStats> {
    return this.use((fd, handle) => fstatOf(fd, handle, options), 'fstat');
  }

  /** fsync(2): data and metadata are on the disk. */
  async sync(options?: CommonOptions): Promise<void> {
    await this.#call('fsync', [], options);
  }

  /** fdatasync(2): the data is on the disk, with the metadata that is needed to find it. */
  async datasync(options?: CommonOptions): Promise<void> {
    await this.#call('fdatasync', [], options);
  }

  /** ftruncate(2): cuts the file to `length` bytes, or extends it with zeros. A negative length counts as 0, the default. */
  async truncate(length = 0, options?: CommonOptions): Promise<void> {
    checkInteger(length, 'len', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    await this.#call('ftruncate', [Math.max(0, length)], options);
  }

  /**
   * fallocate(2): reserves disk space for a region of the file.
   *
   * @param offset first byte of the region
   * @param length number of bytes
   * @param mode 0 (the default) also makes the file longer where the region ends behind it; otherwise FALLOC_FL_* of
   *   {@link constants}, for instance to punch a hole
   */
  async allocate(offset: number, length: number, mode = 0, options?: CommonOptions): Promise<void> {
    checkInteger(offset, 'offset', 0, Number.MAX_SAFE_INTEGER);
    checkInteger(length, 'length', 1, Number.MAX_SAFE_INTEGER);
    checkInteger(mode, 'mode', 0, 0x7fffffff);
    await this.#call('fallocate', [mode, offset, length], options);
  }

  /** posix_fadvise(2): announces how a region (in bytes) will be used. A length of 0 means up to the end. */
  async advise(offset: number, length: number, advice: Advice, options?: CommonOptions): Promise<void> {
    checkInteger(offset, 'offset', 0, Number.MAX_SAFE_INTEGER);
    checkInteger(length, 'length', 0, Number.MAX_SAFE_INTEGER);
    if (typeof advice !== 'string' || !Object.hasOwn(kAdvice, advice)) {
      throw invalidArgValue('advice', `must be one of ${Object.keys(kAdvice).join(', ')}`, advice);
    }
    await this.#call('fadvise64', [offset, length, constants[kAdvice[advice]]], options);
  }

  /** Locks the file: see {@link flock}. */
  lock(operation: 'shared' | 'exclusive' = 'exclusive', options?: FlockOptions): Promise<void> {
    return flock(this, operation, options);
  }

  /** Releases the lock of {@link FileHandle.lock}. */
  unlock(options?: CommonOptions): Promise<void> {
    return flock(this, 'unlock', options);
  }

  /**
   * Gives the descriptor to the caller, who must close it from now on; acall does not close it, not even at the end of this
   * Worker. The handle counts as closed.
   *
   * @throws SyscallError EBUSY while calls are under way, also aborted ones; EBADF for a closed handle
   */
  detach(): number {
    const fd = this.#fd;
    if (fd < 0) throw new SyscallError(-Errno.EBADF, 'detach');
    const answer = this.#users > 0 ? -Errno.EBUSY : native.handleDetach(this.#handle);
    if (answer < 0) throw new SyscallError(answer, 'detach');
    this.#fd = -1;
    this.#closing = Promise.resolve();
    forgotten.unregister(this);
    return fd;
  }

  /**
   * Makes close(2) when the calls under way have settled. New calls are refused (EBADF). The promise waits at most 50 ms for
   * aborted calls that the kernel still has; until the last of them returns, the number stays taken and the lock stays held.
   * A second close() returns the promise of the first.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#fd = -1;
    forgotten.unregister(this);
    if (this.#users > 0) {
      await new Promise<void>((resolve) => {
        this.#lastLeft = resolve;
      });
    }
    await closeHandle(this.#handle);
  }

  /** As {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * open(2), close-on-exec. The promise resolves to a {@link FileHandle}.
 *
 * Rejects with a SyscallError `open`, with an AbortError or ETIMEDOUT for `signal` and `timeout`, and with ERR_INVALID_ARG_TYPE,
 * ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong arguments. A file that is opened after its promise was rejected is closed
 * again.
 *
 * @param flags as in node:fs ('r', 'wx+'), or O_* of {@link constants}; 'r' by default
 * @param mode permissions of a new file, less the umask: a number or octal digits; 0o666 by default
 *
 * @example
 * const file = await open('/etc/hostname');
 * const { bytesRead, buffer } = await file.read();
 * await file.close();
 */
export async function open(
  path: PathLike,
  flags?: string | number | null,
  mode?: string | number | null,
  options?: CommonOptions,
): Promise<FileHandle> {
  const argument = pathArgument(path);
  const shown = shownPath(argument);
  const how = openFlags(flags) | constants.O_CLOEXEC;
  const permissions = fileMode(mode, 0o666);
  const steps = new Steps(options, 'open', shown);
  const args = [constants.AT_FDCWD, terminated(argument), how, permissions];
  return new FileHandle(await steps.open('openat', args, 'open', shown));
}
