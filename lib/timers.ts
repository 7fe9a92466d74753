/*
 * Timers, microtasks and the clock as they were when this module was loaded: the faked ones of a test (jest, vitest, sinon
 * replace the globals and the members of node:timers and performance) must not hold up the engine.
 */
import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';

const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers;
const queueMicrotask = globalThis.queueMicrotask;
export { clearInterval, clearTimeout, queueMicrotask, setImmediate, setInterval, setTimeout };

/** Milliseconds of the monotonic clock, with fractions. */
export const now: () => number = performance.now.bind(performance);
