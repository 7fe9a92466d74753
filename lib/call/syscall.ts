/* Any system call as a promise: lays the arguments out in the engine's batch, copies results out on the loop. */

import {
  checkInteger,
  invalidArgType,
  invalidArgValue,
  isArray,
  outOfRange,
  rangeError,
  SyscallError,
} from '../errors';
import { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE } from '../generated/layout';
import {
  ArgFlag,
  ArgKind,
  Place,
  SYS,
  type SyscallArg,
  type SyscallArgs,
  type SyscallName,
} from '../generated/syscalls';
import { ArgumentKind, CallArgument, CallFact, CallRecord, Errno } from '../generated/wire';
import { native } from '../native';
import { kGoesAlone } from '../promise/call-batch';
import { engine } from '../promise/engine';
import { isError, Op, type Refusable, timeoutError } from '../promise/op';
import { type CommonOptions, checkCommonOptions, withCommon } from '../promise/options';
import { type ArgSignature, checkArgumentCount, type Signature, signatureOf, syscallName } from './signature';

/** Options of {@link syscall}. */
export interface SyscallOptions extends CommonOptions {
  /** Where it runs: in the pool (default), or on a thread of its own. Calls that change their thread need 'own'. */
  thread?: 'pool' | 'own' | undefined;
  /** true: the result is a bigint. Without it a result above 2^53 - 1 rejects with ERR_OUT_OF_RANGE. */
  bigint?: boolean | undefined;
}

const kOptions = withCommon('thread bigint');
const kMaxBatchedData = 16 * 1024;
const kRefusals = new Set<number>([-Errno.EPERM, -Errno.EFAULT]); // EPERM and EFAULT before the kernel was asked

/* Calls whose result is the number of bytes stored in their one buffer: no more than that is copied out. */
const kReturnsLength = new Set([
  'read',
  'pread64',
  'recvfrom',
  'getrandom',
  'getdents',
  'getdents64',
  'readlink',
  'readlinkat',
  'getxattr',
  'lgetxattr',
  'fgetxattr',
  'listxattr',
  'llistxattr',
  'flistxattr',
  'getcwd',
  'mq_timedreceive',
  'sched_getaffinity',
  'syslog',
]); // prettier-ignore

/** @internal Whether a call's result is the length of what it stored. */
export function returnsLength(name: string): boolean {
  return kReturnsLength.has(name);
}

interface OutCopy {
  readonly view: ArrayBufferView;
  readonly offset: number; // in the op's memory
  readonly length: number;
  readonly byResult: boolean;
  readonly alsoOnFailure: boolean;
}

interface Layout {
  readonly words: Uint32Array; // the record's header
  readonly data: {
    readonly offset: number;
    readonly length: number;
    readonly text?: string;
    readonly view?: ArrayBufferView;
  }[];
  readonly dataBytes: number;
  readonly outs: OutCopy[];
  readonly path?: string | undefined;
  readonly dest?: string | undefined;
}

/* Most calls have none: not an array for each. */
const kNoData: Layout['data'] = [];
const kNoOuts: OutCopy[] = [];

function align16(bytes: number): number {
  return (bytes + 15) & ~15;
}

function valueWords(value: number | bigint, name: string): [low: number, high: number] {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw outOfRange(name, 'a safe integer', value);
    return [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
  }
  if (value < -(2n ** 63n) || value >= 2n ** 64n) throw outOfRange(name, '>= -(2n ** 63n) and < 2n ** 64n', value);
  const bits = BigInt.asUintN(64, value);
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
}

/* The kernel takes 32 bits of it: what does not fit, signed or unsigned, would be another number to it, 2 ** 32 the 0. */
function takes32Bits(rule: ArgSignature | undefined): boolean {
  return rule !== undefined && rule.kind >= ArgKind.uint && rule.kind <= ArgKind.dirfd;
}

function check32Bits(value: number | bigint, name: string): void {
  const signed = typeof value === 'bigint' && value >= 2n ** 63n ? BigInt.asIntN(64, value) : value;
  if (signed < -(2 ** 31) || signed >= 2 ** 32) throw outOfRange(name, '>= -(2 ** 31) and < 2 ** 32', value);
}

/*
 * What the kernel has left in memory is told also when it refuses: the size it wants with ERANGE and EOVERFLOW, what is left
 * of a time-out with EINTR. Large buffers say nothing then.
 */
function saysSomethingOnFailure(rule: ArgSignature | undefined): boolean {
  return rule !== undefined && ((rule.flags & ArgFlag.in) !== 0 || rule.kind === ArgKind.fixed);
}

function lay(name: string, signature: Signature | undefined, args: readonly SyscallArg[], isUnsafe: boolean): Layout {
  const words = new Uint32Array(CallRecord.sizeInWords);
  let data = kNoData;
  let outs = kNoOuts;
  let path: string | undefined;
  let dest: string | undefined;
  let offset = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const rule = signature?.args[i];
    const label = `args[${i}]`;
    const at = CallRecord.args + i * CallArgument.sizeInWords;
    if (typeof arg === 'number' || typeof arg === 'bigint') {
      [words[at + CallArgument.low], words[at + CallArgument.high]] = valueWords(arg, label);
      if (takes32Bits(rule)) check32Bits(arg, label);
      continue;
    }
    // What the table takes for 64 bits may be a pointer to a call that only `unsafe` lets through (ioctl, fcntl).
    const mayPoint = rule === undefined || rule.kind >= ArgKind.path || (isUnsafe && rule.kind === ArgKind.long);
    if (!mayPoint) throw invalidArgType(label, 'of type number or bigint', arg);
    if (arg === null) continue;
    let length: number;
    if (typeof arg === 'string') {
      if (arg.includes('\0')) throw invalidArgValue(label, 'must be a string without null bytes', arg);
      if (rule !== undefined && (rule.flags & ArgFlag.out) !== 0)
        throw invalidArgType(label, 'an ArrayBufferView', arg);
      length = Buffer.byteLength(arg) + 1;
      if (data === kNoData) data = [];
      data.push({ offset, length, text: arg });
      if (rule?.kind === ArgKind.path) {
        if (path === undefined) path = arg;
        else dest ??= arg;
      }
    } else if (ArrayBuffer.isView(arg)) {
      length = arg.byteLength;
      if (data === kNoData) data = [];
      data.push({ offset, length, view: arg });
      const isUnknown = rule === undefined || rule.kind < ArgKind.path || rule.kind === ArgKind.unchecked;
      if (isUnknown || (rule.flags & ArgFlag.out) !== 0) {
        const byResult = kReturnsLength.has(name) && rule?.kind === ArgKind.bytes;
        const alsoOnFailure = isUnknown || saysSomethingOnFailure(rule);
        if (outs === kNoOuts) outs = [];
        outs.push({ view: arg, offset, length, byResult, alsoOnFailure });
      }
    } else throw invalidArgType(label, 'of type number, bigint or string, an ArrayBufferView, or null', arg);
    words[at + CallArgument.kind] = ArgumentKind.pointer;
    words[at + CallArgument.length] = length;
    words[at + CallArgument.low] = offset;
    offset += align16(Math.max(1, length));
  }
  return { words, data, dataBytes: offset, outs, path, dest };
}

/* Told what becomes of a call whose caller has gone. */
interface LateHooks {
  /** The promise is rejected by abort or time-out. `mayRun`: the call is on its way, and `answered` follows. */
  abandoned(mayRun: boolean): void;
  /** The kernel is through with the call. Nobody knows whether it failed. */
  answered(): void;
}

/* What is there now of the `length` bytes a view had when the call was made: its buffer may have been detached or resized. */
function bytesNow(view: ArrayBufferView, length: number): Uint8Array {
  const left = Math.min(view.byteLength, length);
  return left === 0 ? new Uint8Array(0) : new Uint8Array(view.buffer, view.byteOffset, left);
}

class CallOp extends Op implements Refusable {
  readonly #name: string;
  readonly #layout: Layout;
  readonly #bigint: boolean;
  readonly #resolve: (value: number | bigint) => void;
  readonly #reject: (error: Error) => void;
  readonly #late: LateHooks | undefined;
  readonly #opens: boolean;
  #isOnItsWay = false;

  constructor(
    name: string,
    layout: Layout,
    bigint: boolean,
    resolve: (value: number | bigint) => void,
    reject: (error: Error) => void,
    late: LateHooks | undefined,
    opens: boolean,
  ) {
    super();
    this.#name = name;
    this.#layout = layout;
    this.#bigint = bigint;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#late = late;
    this.#opens = opens;
  }

  override submit(): boolean {
    const { words, data, dataBytes, outs } = this.#layout;
    const bytes = CallRecord.sizeInBytes + align16(dataBytes);
    words[CallRecord.slot] = this.slot;
    words[CallRecord.bytes] = bytes;
    words[CallRecord.facts]! |=
      (outs.length > 0 ? CallFact.keep : 0) |
      (this.referenced ? 0 : CallFact.unreferenced) |
      (this.#opens ? CallFact.opens : 0);
    words[CallRecord.dataBytes] = dataBytes;
    const at = dataBytes <= kMaxBatchedData ? engine.addCall(this, bytes) : kGoesAlone;
    if (at === kGoesAlone) {
      native.submitCall(
        new Uint8Array(words.buffer),
        ...data.map(({ text, view, length }) =>
          view !== undefined ? bytesNow(view, length) : Buffer.from(`${text}\0`),
        ),
      );
      engine.answered(this, words[CallRecord.status]! | 0);
      return true;
    }
    engine.calls.words.set(words, at >> 2);
    for (const { offset, length, text, view } of data) {
      const place = engine.calls.records.subarray(
        at + CallRecord.sizeInBytes + offset,
        at + CallRecord.sizeInBytes + offset + length,
      );
      if (view !== undefined) {
        const bytes = bytesNow(view, length);
        place.set(bytes);
        place.fill(0, bytes.length);
      } else {
        Buffer.from(place.buffer, place.byteOffset, length).write(text!, 0, 'utf8');
        place[length - 1] = 0;
      }
    }
    return true;
  }

  refused(errno: number): void {
    this.#reject(this.#error(errno, kRefusals.has(errno)));
  }

  #error(errno: number, refused = false): SyscallError {
    const { path, dest } = this.#layout;
    return new SyscallError(errno, this.#name, { path, dest, refused: refused || undefined });
  }

  override complete(low: number, high: number): void {
    const { outs } = this.#layout;
    const failed = isError(low, high);
    if (outs.length > 0) {
      for (const { view, offset, length, byResult, alsoOnFailure } of outs) {
        if (failed && !alsoOnFailure) continue;
        const wanted = bytesNow(view, byResult ? Math.min(length, low) : length);
        if (wanted.length > 0) native.copyOut(this.slot, offset, wanted, wanted.length);
      }
      native.release(this.slot);
    }
    if (failed) {
      this.#reject(this.#error(low | 0));
    } else if (this.#opens) {
      this.#opened(low);
    } else if (this.#bigint) {
      this.#resolve(BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)));
    } else {
      const value = (high | 0) * 2 ** 32 + low;
      if (Number.isSafeInteger(value)) this.#resolve(value);
      else this.#reject(rangeError(`The result of ${this.#name} is above 2^53 - 1: ask for a bigint`));
    }
  }

  #opened(fd: number): void {
    const handle = native.takeHandle();
    if (handle !== 0) {
      this.#resolve({ fd, handle } as never);
      return;
    }
    closeQuietly(fd);
    this.#reject(this.#error(-Errno.ENOMEM));
  }

  override reject(error: Error): void {
    this.#late?.abandoned(this.#isOnItsWay);
    this.#reject(error);
  }

  override cancel(): boolean {
    this.#isOnItsWay = true;
    return false;
  }

  override timedOut(): Error {
    return timeoutError(this.#name, this.#layout.path);
  }

  override dispose(): void {
    this.#late?.answered();
    if (this.#layout.outs.length > 0) native.release(this.slot);
  }
}

/* Closes a descriptor that acall has opened, also when restrict() has taken `close` away. */
function closeOurs(fd: number): Promise<number> {
  return request('close', [fd], undefined, 0, { facts: CallFact.closesOurs }) as Promise<number>;
}

/** @internal Closes a descriptor that nobody owns, off the event loop. */
export function closeQuietly(fd: number): void {
  closeOurs(fd).catch(() => {});
}

/** @internal A call whose late answer somebody must hear of: a lock, say, that nobody wants any more. */
export function callThatMayComeLate(
  name: SyscallName,
  args: readonly SyscallArg[],
  options: CommonOptions | undefined,
  late: LateHooks,
  handle: number,
): Promise<number> {
  return request(name, args, options, 0, { late, handle }) as Promise<number>;
}

/** @internal A call with the descriptor of a handle of the engine; 0: with none. */
export function callThrough(
  handle: number,
  name: SyscallName,
  args: readonly SyscallArg[],
  options: CommonOptions | undefined,
): Promise<number> {
  return request(name, args, options, 0, { handle }) as Promise<number>;
}

/** @internal A descriptor and the engine's record of it. */
export interface Opened {
  readonly fd: number;
  readonly handle: number;
}

/** @internal A call whose result is a descriptor, which the engine closes when this environment ends before its owner. */
export function callThatOpens(
  handle: number,
  name: SyscallName,
  args: readonly SyscallArg[],
  options: CommonOptions | undefined,
): Promise<Opened> {
  return request(name, args, options, 0, { handle, opens: true }) as Promise<never>;
}

interface Special {
  readonly late?: LateHooks;
  readonly handle?: number;
  readonly opens?: boolean;
  readonly facts?: number;
}

function request(
  name: SyscallName | number,
  args: readonly SyscallArg[],
  options: SyscallOptions | undefined,
  extraFlags: number,
  { late, handle = 0, opens = false, facts = 0 }: Special = {},
): Promise<number | bigint> {
  return new Promise((resolve, reject) => {
    let nr: number;
    let label: string;
    if (typeof name === 'number') {
      nr = checkInteger(name, 'name', 0, 0xffffffff);
      label = syscallName(nr) ?? `syscall_${nr}`;
    } else {
      if (typeof name !== 'string') throw invalidArgType('name', 'of type string or number', name);
      if (!Object.hasOwn(SYS, name)) throw invalidArgValue('name', 'must be the name of a system call', name);
      label = name;
      const known = SYS[name];
      if (known === undefined) throw new SyscallError(-Errno.ENOSYS, name);
      nr = known;
    }
    if (!isArray(args)) throw invalidArgType('args', 'an instance of Array', args);
    checkCommonOptions(options, kOptions);
    const { thread = 'pool', bigint = false } = options ?? {};
    if (thread !== 'pool' && thread !== 'own')
      throw invalidArgValue('options.thread', "must be 'pool' or 'own'", thread);
    if (typeof bigint !== 'boolean') throw invalidArgType('options.bigint', 'of type boolean', bigint);
    const signature = signatureOf(label, args);
    checkArgumentCount(label, signature, args);
    const layout = lay(label, signature, args, extraFlags !== 0);
    layout.words[CallRecord.nr] = nr;
    layout.words[CallRecord.facts] = facts;
    layout.words[CallRecord.flags] =
      extraFlags | (thread === 'pool' ? ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_INLINE : 0);
    layout.words[CallRecord.handle] = handle;
    const op = new CallOp(label, layout, bigint, resolve, reject, late, opens);
    if (engine.watch(op, options, kOptions)) engine.start(op);
  });
}

/** The arguments of a call, by its name; any for a number. */
export type ArgsOf<Name> = Name extends keyof SyscallArgs ? SyscallArgs[Name] : readonly SyscallArg[];

/**
 * Makes a system call on a thread of the engine. Text is passed NUL-terminated; views are copied in at the call and, where
 * the kernel writes to them, copied back before the promise resolves; a number or bigint where a pointer belongs is a native
 * address inside an arena (`addressOf`). Trailing arguments that the man page calls optional may be left out; `undefined` is
 * refused anywhere, and null where the call takes no pointer.
 *
 * Rejects with a {@link SyscallError} in Node's shape; its `refused` is true when acall's policy refused the call and not the
 * kernel: EPERM for a call that may not run (see docs/syscalls.md), EFAULT for a buffer shorter than the call may use.
 *
 * @param name the call, or its number on the running architecture
 * @example
 * const fd = await syscall('openat', [constants.AT_FDCWD, '/etc/hostname', constants.O_RDONLY]);
 * const buffer = Buffer.alloc(64);
 * const length = await syscall('read', [fd, buffer, buffer.length]);
 * await syscall('close', [fd]);
 */
export function syscall<Name extends SyscallName>(
  name: Name,
  args: ArgsOf<Name>,
  options: SyscallOptions & { bigint: true },
): Promise<bigint>;
export function syscall<Name extends SyscallName>(
  name: Name,
  args?: ArgsOf<Name>,
  options?: SyscallOptions,
): Promise<number>;
export function syscall(
  name: SyscallName | number,
  args: readonly SyscallArg[],
  options: SyscallOptions & { bigint: true },
): Promise<bigint>;
export function syscall(
  name: SyscallName | number,
  args?: readonly SyscallArg[],
  options?: SyscallOptions,
): Promise<number>;
export function syscall(
  name: SyscallName | number,
  args: readonly SyscallArg[] = [],
  options?: SyscallOptions,
): Promise<number | bigint> {
  return request(name, args, options, 0);
}

/** {@link syscall} with arguments of any kind, because the table does not always know which of them are pointers. */
export interface UnsafeSyscall {
  (
    name: SyscallName | number,
    args: readonly SyscallArg[],
    options: SyscallOptions & { bigint: true },
  ): Promise<bigint>;
  (name: SyscallName | number, args?: readonly SyscallArg[], options?: SyscallOptions): Promise<number>;
}

/** Calls whose pointers cannot be checked. The kernel gets what you pass: a wrong address corrupts the process. */
export const unsafe = {
  /**
   * {@link syscall} without the refusals that the table marks `unsafe`; the calls that are never run stay refused.
   *
   * Views and text may stand wherever 64 bits may (the argument of `ioctl` and `fcntl`): they are copied in whole, and views
   * are copied out whole, also when the call fails. An address that lies in an arena keeps the arena until the call has ended;
   * you must keep memory that only other memory points to. What the kernel uses after the call has returned (docs/syscalls.md)
   * must lie in an arena.
   *
   * @example
   * const size = new Uint16Array(4);
   * await unsafe.syscall('ioctl', [1, 0x5413, size]); // TIOCGWINSZ: rows, columns
   */
  syscall: ((name: SyscallName | number, args: readonly SyscallArg[] = [], options?: SyscallOptions) =>
    request(name, args, options, ACALL_SUBMIT_UNSAFE)) as UnsafeSyscall,
};

/**
 * Leaves only these calls runnable through this copy of acall, in every environment of the process, for ever. Queued ops are
 * checked again when they start. Other copies, other addons and Node itself are not covered. A second call can only leave fewer
 * calls. Names of calls that never run are accepted and have no effect.
 *
 * @throws ERR_INVALID_ARG_VALUE for a name that no system call has
 */
export function restrict(names: readonly SyscallName[]): void {
  if (!isArray(names)) throw invalidArgType('names', 'an instance of Array', names);
  const numbers: number[] = [];
  for (const name of names) {
    if (typeof name !== 'string' || !Object.hasOwn(SYS, name))
      throw invalidArgValue('names', 'must hold names of system calls', name);
    const nr = SYS[name as SyscallName];
    if (nr !== undefined && signatureOf(name, [])?.place !== Place.never) numbers.push(nr);
  }
  native.restrict(Uint32Array.from(numbers));
}
