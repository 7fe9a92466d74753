/* One promise in flight, as the engine and the helpers see it. */

import type { Link, SignalGroup } from '../abort';
import { isAbortSignal } from '../abort';
import { checkOptions, invalidArgType, type OptionNames, optionNames, outOfRange } from '../errors';
import { Wire } from '../generated/wire';
import type { Deadline } from './deadlines';

/** Options that every promise call takes. */
export interface CommonOptions {
  /** Rejects the promise with an AbortError within one turn of the loop and cancels the call. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for the whole call; then the promise rejects with a SyscallError ETIMEDOUT and the call is cancelled. */
  timeout?: number | undefined;
  /** false: the call in flight does not keep the process alive. */
  ref?: boolean | undefined;
}

/**
 * Where an op is. `abandoned`: nobody wants its result, and the kernel still has the call; `settled`: it is over. Of many
 * that one signal aborts all are the one or the other at once, and some of the promises are rejected later: see
 * {@link Watched.error}.
 */
export enum Phase {
  waiting,
  batched,
  submitted,
  abandoned,
  settled,
}

/** What may end an op early, and where it stands in the lists of those. */
export interface Watched {
  readonly group: SignalGroup<Op> | undefined;
  signal: Link<Op> | undefined;
  deadline: Deadline<Op> | undefined;
  /** It has come to an end early: what its promise is still to be rejected with. */
  error: ((op: Op) => Error) | undefined;
}

/** One promise in flight. Derived classes say what to submit and what a result means. */
export abstract class Op {
  slot = -1;
  phase: Phase = Phase.waiting;
  referenced = true;
  /** Set by the engine's watch() for an op with a signal or a time-out. */
  watched: Watched | undefined = undefined;

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
   * Nobody wants the result of the submitted op any more. False: the engine abandons the slot, with all others of the abort
   * in one call. True: the op has seen to it that no further call of it begins.
   */
  cancel(): boolean {
    return false;
  }
}

/** True for the halves of an error: -1 .. -4095. */
export function isError(low: number, high: number): boolean {
  return high === 2 ** 32 - 1 && low >= 2 ** 32 - Wire.maxErrno;
}

const kCommonNames = 'signal timeout ref';

/** The names of a function's own options, one blank between two, and those of the common ones. */
export function withCommon(own: string): OptionNames {
  return optionNames(`${own} ${kCommonNames}`);
}

const kOnlyCommon = optionNames(kCommonNames);

/**
 * What every function that takes the common options asks of them, one way for all: an object, or undefined for none; no option
 * that is not among `known`; a signal, a time-out and a `ref` that are such. Throws in Node's manner.
 */
export function checkCommonOptions(options: CommonOptions | undefined, known: OptionNames = kOnlyCommon): void {
  if (options === undefined) return;
  checkOptions(options, known);
  const { signal, timeout, ref } = options;
  if (ref !== undefined && typeof ref !== 'boolean') throw invalidArgType('options.ref', 'of type boolean', ref);
  if (timeout !== undefined && typeof timeout !== 'number')
    throw invalidArgType('options.timeout', 'of type number', timeout);
  if (timeout !== undefined && !(timeout >= 0)) throw outOfRange('options.timeout', '>= 0', timeout);
  if (signal !== undefined && !isAbortSignal(signal)) {
    throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
  }
}

/** What an op that the native side may refuse for good needs. */
export interface Refusable {
  /** It has not been taken, and never will be: -errno. The slot is free, and the promise is still to be rejected. */
  refused(errno: number): void;
}

/** What a batch of paths to stat needs of its ops. */
export interface StatTarget {
  readonly path: string;
  /** StatFlag */
  readonly flags: number;
  /** When it went to the pool: see {@link Engine.tryStat}. */
  sent: number;
}
