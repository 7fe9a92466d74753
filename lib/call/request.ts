/*
 * One system call as an op: from name, arguments and options to a record in the batch of calls, and from the result to the
 * promise.
 */
import { checkInteger, invalidArgType, invalidArgValue, isArray, rangeError, SyscallError } from '../errors';
import { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL } from '../generated/layout';
import { SYS, type SyscallArg, type SyscallName } from '../generated/syscalls';
import { CallFact, CallRecord, Errno } from '../generated/wire';
import { kNoHandle, native, type OpenHandle } from '../native';
import { kGoesAlone } from '../promise/call-batch';
import { engine } from '../promise/engine';
import { isError, Op, type Refusable, timeoutError } from '../promise/op';
import { type CommonOptions, checkCommonOptions, withCommon } from '../promise/options';
import { align16, type Layout, lay } from './layout';
import { checkArgumentCount, signatureOf, syscallName } from './signature';

/** Options of `syscall`. */
export interface SyscallOptions extends CommonOptions {
  /**
   * 'pool' (the default): inline where the call cannot block, otherwise in the pool. 'own': on a thread of its own, which calls
   * that change their thread need (docs/threads.md).
   */
  thread?: 'pool' | 'own' | undefined;
  /** true: the result is a bigint. Otherwise a result above 2^53 - 1 rejects with ERR_OUT_OF_RANGE. */
  bigint?: boolean | undefined;
}

const kOptions = withCommon('thread bigint');

/* Calls with more data go down alone: of writes of 17 KiB three fill a batch, and then each takes 80 % more processor time. */
const kMaxBatchedData = 16 * 1024;
/* Errors of acall's own checks, before the kernel has seen the call. */
const kRefusals = new Set<number>([-Errno.EPERM, -Errno.EFAULT]);

/** Called for a call that is aborted or times out. */
interface LateHooks {
  /** The promise is being rejected. `mayRun`: the call has been submitted, and `answered` follows. */
  abandoned(mayRun: boolean): void;
  /** The call has ended; its result is unknown. */
  answered(): void;
}

/* The bytes that a view has now, at most `length`: since the call its buffer may have been detached or resized. */
function bytesNow(view: ArrayBufferView, length: number): Uint8Array {
  const left = Math.min(view.byteLength, length);
  return left === 0 ? new Uint8Array(0) : new Uint8Array(view.buffer, view.byteOffset, left);
}

/* One system call. */
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
    if (handle !== kNoHandle) {
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

/* Closes a descriptor that acall has opened, even when restrict() has taken `close` away. */
function closeOurs(fd: number): Promise<number> {
  return request('close', [fd], undefined, 0, { facts: CallFact.closesOurs }) as Promise<number>;
}

/** @internal Closes a descriptor that nobody owns, and ignores an error. */
export function closeQuietly(fd: number): void {
  closeOurs(fd).catch(() => {});
}

/** @internal A call with {@link LateHooks}: flock() must release a lock that is granted after the abort. */
export function callThatMayComeLate(
  name: SyscallName,
  args: readonly SyscallArg[],
  options: CommonOptions | undefined,
  late: LateHooks,
  handle: OpenHandle,
): Promise<number> {
  return request(name, args, options, 0, { late, handle }) as Promise<number>;
}

/** @internal A call with the descriptor of a handle of the core, which counts the call as a user; {@link kNoHandle}: of none. */
export function callThrough(
  handle: OpenHandle,
  name: SyscallName,
  args: readonly SyscallArg[],
  options: CommonOptions | undefined,
): Promise<number> {
  return request(name, args, options, 0, { handle }) as Promise<number>;
}

/** @internal A descriptor and the number of its handle in the core (native/core/op/handle.h). */
export interface Opened {
  readonly fd: number;
  readonly handle: OpenHandle;
}

/** @internal A call whose result is a descriptor. The core closes it when this environment ends while it is open. */
export function callThatOpens(
  handle: OpenHandle,
  name: SyscallName,
  args: readonly SyscallArg[],
  options: CommonOptions | undefined,
): Promise<Opened> {
  return request(name, args, options, 0, { handle, opens: true }) as Promise<never>;
}

interface Special {
  readonly late?: LateHooks;
  readonly handle?: OpenHandle;
  readonly opens?: boolean;
  readonly facts?: number;
}

/** @internal Checks and starts one system call. `extraFlags`: ACALL_SUBMIT_UNSAFE or 0. */
export function request(
  name: SyscallName | number,
  args: readonly SyscallArg[],
  options: SyscallOptions | undefined,
  extraFlags: number,
  { late, handle = kNoHandle, opens = false, facts = 0 }: Special = {},
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
    const layout = lay(signature, args, extraFlags !== 0);
    layout.words[CallRecord.nr] = nr;
    layout.words[CallRecord.facts] = facts;
    layout.words[CallRecord.flags] =
      extraFlags | (thread === 'pool' ? ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_INLINE : 0);
    layout.words[CallRecord.handle] = handle;
    const op = new CallOp(label, layout, bigint, resolve, reject, late, opens);
    if (engine.watch(op, options, kOptions)) engine.start(op);
  });
}
