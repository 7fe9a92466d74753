/* Op: one promise in flight, as the engine and the helpers see it. */
import type { Link, SignalGroup } from '../abort';
import { SyscallError } from '../errors';
import { Errno, Wire } from '../generated/wire';
import type { Slot } from '../native';
import type { Deadline } from './deadlines';

/**
 * Where an op is.
 *
 * - `waiting`: it has no slot yet.
 * - `batched`: it has a slot, and has not been submitted.
 * - `submitted`: the core has it.
 * - `abandoned`: the core still has it, and nobody wants its result.
 * - `settled`: it has ended.
 *
 * An abort moves all ops of its signal to `abandoned` or `settled` at once. Some of their promises are rejected in later turns
 * of the loop: see {@link Watched.error}.
 */
export enum Phase {
  waiting,
  batched,
  submitted,
  abandoned,
  settled,
}

/** What may end an op early: its signal and its time-out, and the op's places in their lists. */
interface Watched {
  readonly group: SignalGroup<Op> | undefined;
  signal: Link<Op> | undefined;
  deadline: Deadline<Op> | undefined;
  /** Makes the error to reject with. Set while the op has ended early and its promise is still to be rejected. */
  error: ((op: Op) => Error) | undefined;
}

/** The slot of an op that has none; also what Slots.take() returns when there is no memory for more slots. */
export const kNoSlot = -1 as Slot;

/** One promise in flight. A derived class knows what to submit and what a result means. */
export abstract class Op {
  /** The slot of the promise layer, kNoSlot without one. */
  slot = kNoSlot;
  phase: Phase = Phase.waiting;
  /** Whether the op keeps the event loop alive while it is in flight. */
  referenced = true;
  /** Set by the engine's watch() for an op with a signal or a time-out. */
  watched: Watched | undefined = undefined;

  /** Submits the op, or adds it to a batch of the engine. The op has its slot. False: no memory; the engine tries again later. */
  abstract submit(): boolean;
  /**
   * Whether submit() makes a native call of its own. The engine then submits an op with a signal at the end of the tick, so that
   * an op aborted within its tick never runs.
   */
  goesAlone(): boolean {
    return false;
  }
  /** Takes the result, as the two halves of 64 bits. The slot is free afterwards. */
  abstract complete(low: number, high: number): void;
  abstract reject(error: Error): void;
  /** The error of a time-out, with the call's name and paths. */
  abstract timedOut(): Error;
  /** Called when a result arrives that nobody takes. The core closes descriptors in it. The slot is free afterwards. */
  dispose(): void {}
  /**
   * Whether the result may be taken in the middle of a burst, while synchronous JavaScript goes on starting ops. True only where
   * complete() does nothing but settle the promise, so that no code of the caller's runs.
   */
  get quiet(): boolean {
    return false;
  }
  /**
   * Called when nobody wants the result of the submitted op any more. True: the op itself has cancelled its work, and no further
   * call of it begins. False: the engine abandons the slot, together with all others of the abort, in one native call.
   */
  cancel(): boolean {
    return false;
  }
}

/** An op that the core may refuse. */
export interface Refusable {
  /** Rejects the promise: the core has refused the op with -errno. The slot is free. */
  refused(errno: number): void;
}

/** An op for the batch of stats. */
export interface StatTarget {
  /** Text, or bytes that belong to the op: nobody else changes them. */
  readonly path: string | Uint8Array;
  /** StatFlag */
  readonly flags: number;
  /** The time span in which the op went to the pool: see PoolLag. */
  sent: number;
}

/** Whether the two halves are an error: -1 to -4095. */
export function isError(low: number, high: number): boolean {
  return high === 2 ** 32 - 1 && low >= 2 ** 32 - Wire.maxErrno;
}

/** A SyscallError ETIMEDOUT, for {@link Op.timedOut}. */
export function timeoutError(syscall: string, path?: string): SyscallError {
  return new SyscallError(-Errno.ETIMEDOUT, syscall, path === undefined ? {} : { path });
}
