/*
 * Time as this process has it. Tests put other timers, clocks and microtasks in place of the global ones (jest, vitest,
 * sinon); what is in flight here must not wait for theirs. So these are taken once, from their modules, when we are loaded.
 */
import process from 'node:process';
import timers from 'node:timers';
import { native } from './native';

export const setTimeout = timers.setTimeout;
export const clearTimeout = timers.clearTimeout;
export const setInterval = timers.setInterval;
export const clearInterval = timers.clearInterval;
export const setImmediate = timers.setImmediate;

/** `process.emitWarning` */
export const emitWarning: typeof process.emitWarning = process.emitWarning.bind(process);

/** A warning of what somebody has thrown, which may be anything. */
export function warnOf(thrown: unknown): void {
  try {
    emitWarning(thrown as Error);
  } catch {
    emitWarning('acall: what is no Error of this realm has been thrown'); // and may throw again when it is looked at
  }
}

/** Milliseconds on the monotonic clock. */
export const now: () => number = native.now;

const settled = Promise.resolve();

/** Calls `callback`, which must not throw, at the end of the current tick. The global function has no module to take it from. */
export function queueMicrotask(callback: () => void): void {
  settled.then(callback);
}
/** `process.versions.node` */
export const nodeVersion: string = process.versions.node;
