/* One promise in flight, as the engine and the helpers see it. */
import { invalidArgType, outOfRange } from '../errors';
import { native } from '../native';

/** Options that every promise call takes. */
export interface CommonOptions {
  /** Rejects the promise with an AbortError within one turn of the loop and cancels the call. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for the whole call; then the promise rejects with a SyscallError ETIMEDOUT and the call is cancelled. */
  timeout?: number | undefined;
  /** false: the call in flight does not keep the process alive. */
  ref?: boolean | undefined;
}

/* Flags of submitStats and tryStat: native/binding/promise.cc */
export const kNoFollow = 1;
export const kIntegers = 2;
export const kUnreferenced = 4;
/** Of a StatTarget, and not of the native calls: it has been tried already, or is not to be. */
export const kTried = 8;

/** From {@link native.abandonSlot} and {@link native.cancelSlot}: -EINPROGRESS. */
export const kInProgress = -115;

/** Where an op is. `abandoned`: its promise is settled and the kernel still has the call. */
export enum Phase {
  waiting,
  batched,
  submitted,
  abandoned,
  settled,
}

/** One promise in flight. Derived classes say what to submit and what a result means. */
export abstract class Op {
  slot = -1;
  phase: Phase = Phase.waiting;
  referenced = true;
  /** Set by the engine's watch(): undoes what signal and timeout registered. */
  unwatch: (() => void) | undefined = undefined;

  /** Puts the op into the engine's current batch; its slot is given. False: no memory, it will be asked again. */
  abstract submit(engine: object): boolean;
  /** Whether submit() sends it down at once. With a signal it is then asked at the end of the tick: see Engine.abandon(). */
  goesAlone(): boolean {
    return false;
  }
  /** The result has arrived, as two halves of 64 bits. The slot is free after this. */
  abstract complete(low: number, high: number): void;
  abstract reject(error: Error): void;
  /** The call's name and paths, for a time-out's error. */
  abstract timedOut(): Error;
  /** A result that nobody takes has arrived; descriptors that it carried are being closed. The slot is free after this. */
  dispose(): void {}
  /**
   * Whether a result may be taken in the middle of a synchronous run of JavaScript that asks for more of the kind: it is
   * seen by nobody but the promise.
   */
  get quiet(): boolean {
    return false;
  }
  /**
   * Asks the kernel to let go of a submitted op whose result nobody wants any more. With `quietly` a thread that is in the
   * kernel is not signalled, which takes its time: true when that is still to be done, by asking again without.
   */
  cancel(quietly: boolean): boolean {
    return native.abandonSlot(this.slot, quietly) === kInProgress;
  }
}

/** True for the halves of -1 .. -4095. */
export function isError(low: number, high: number): boolean {
  return high === 0xffffffff && low >= 0xfffff001;
}

/** Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for common options that are none. */
export function checkCommonOptions(options: CommonOptions): void {
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'of type object', options);
  const { signal, timeout, ref } = options;
  if (ref !== undefined && typeof ref !== 'boolean') throw invalidArgType('options.ref', 'of type boolean', ref);
  if (timeout !== undefined && typeof timeout !== 'number')
    throw invalidArgType('options.timeout', 'of type number', timeout);
  if (timeout !== undefined && !(timeout >= 0)) throw outOfRange('options.timeout', '>= 0', timeout);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
  }
}

/** What a batch of paths to stat needs of its ops. */
export interface StatTarget {
  readonly path: string;
  readonly flags: number;
}
