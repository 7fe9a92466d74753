/* One promise in flight, as the engine and the helpers see it. */
import type { Link, SignalGroup } from '../abort';
import { SyscallError } from '../errors';
import { Errno, Wire } from '../generated/wire';
import type { Deadline } from './deadlines';

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
interface Watched {
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

  /** Sends the op down or puts it into a batch of the engine; its slot is given. False: no memory, it will be asked again. */
  abstract submit(): boolean;
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

/** What an op that the native side may refuse for good needs. */
export interface Refusable {
  /** It has not been taken, and never will be: -errno. The slot is free, and the promise is still to be rejected. */
  refused(errno: number): void;
}

/** What a batch of paths to stat needs of its ops. */
export interface StatTarget {
  /** Bytes are the op's own: nobody else changes them. */
  readonly path: string | Uint8Array;
  /** StatFlag */
  readonly flags: number;
  /** The span of time in which it went to the pool: see PoolLag. */
  sent: number;
}

/** True for the halves of an error: -1 .. -4095. */
export function isError(low: number, high: number): boolean {
  return high === 2 ** 32 - 1 && low >= 2 ** 32 - Wire.maxErrno;
}

/** ETIMEDOUT, for {@link Op.timedOut}. */
export function timeoutError(syscall: string, path?: string): SyscallError {
  return new SyscallError(-Errno.ETIMEDOUT, syscall, path === undefined ? {} : { path });
}
