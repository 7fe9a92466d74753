/*
 * Timers, the clock, microtasks and warnings, taken from Node's modules once, when acall is loaded. jest, vitest and sinon replace
 * the global ones in tests, and calls in flight must not wait for faked timers.
 */
import process from 'node:process';
import timers from 'node:timers';
import { native } from './native';

export const setTimeout = timers.setTimeout;
export const clearTimeout = timers.clearTimeout;
export const setInterval = timers.setInterval;
export const clearInterval = timers.clearInterval;
export const setImmediate = timers.setImmediate;

/** `process.emitWarning` of Node. */
export const emitWarning: typeof process.emitWarning = process.emitWarning.bind(process);

/** Emits a warning for a thrown value, which may be anything. */
export function warnOf(thrown: unknown): void {
  try {
    emitWarning(thrown as Error);
  } catch {
    // The value is no Error of this realm. Nothing of it is printed, because looking at it may throw again.
    emitWarning('acall: what is no Error of this realm has been thrown');
  }
}

/** Milliseconds on the monotonic clock. */
export const now: () => number = native.now;

/**
 * Fairness: milliseconds that one kind of work may take in one turn of the loop. Nothing may hold the loop for more than 10
 * ms, and the caller's reactions to the work may take as long again.
 */
export const kTurnMs = 5;

/** Likewise: so many ops are started, completed or rejected. Each takes 2 us or more, with whoever awaits it. */
export const kTurnOps = 2048;

/** The longest time that a timer of Node takes, in milliseconds. */
export const kLongestMs = 0x7fffffff;

const settled = Promise.resolve();

/** Calls `callback`, which must not throw, at the end of the current tick. No module of Node has the global queueMicrotask. */
export function queueMicrotask(callback: () => void): void {
  settled.then(callback);
}
/** `process.versions.node`, for instance '20.20.2'. */
export const nodeVersion: string = process.versions.node;
