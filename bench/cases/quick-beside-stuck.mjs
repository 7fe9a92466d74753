import fs from 'node:fs';
import { createRequire } from 'node:module';
import { makeFifo, settlesWithin, untilBlocked } from '../harness/blocked.mjs';
import { defineCase, Skipped } from '../harness/cases.mjs';
import { microsecondsEach } from '../harness/metrics.mjs';

const quick = 20_000;
const path = '/etc/passwd';
const require = createRequire(import.meta.url); // heeds NODE_PATH, for what is installed elsewhere

const load = (/** @type {string} */ name) => {
  try {
    return require(name);
  } catch {
    throw new Skipped(`${name} is not installed`);
  }
};

/** @param {(path: string) => Promise<{ size: number }>} stat */
const quickCalls = (stat) => Promise.all(Array.from({ length: quick }, () => stat(path)));
const right = (/** @type {{ size: number }[]} */ stats) => ({
  right: stats.filter(({ size }) => size === fs.statSync(path).size).length,
});

/**
 * Stats beside so many opens of a FIFO that nobody writes to.
 * @param {number} stuck
 * @param {'pool' | 'own'} [thread]
 * @returns {import('../harness/cases.mjs').Driver}
 */
function acallBeside(stuck, thread = 'pool') {
  return {
    name:
      stuck === 0 ? 'acall stat' : `acall stat, ${stuck} stuck ${thread === 'pool' ? 'in the pool' : 'on own threads'}`,
    async setup() {
      const { constants, stat, syscall, SYS } = await import('acall');
      const fifo = makeFifo();
      for (let i = 0; i < stuck; i++) syscall('openat', [constants.AT_FDCWD, fifo, 0], { thread }).catch(() => {});
      await untilBlocked(SYS.openat, stuck);
      return stat;
    },
    run: quickCalls,
    check: right,
  };
}

/**
 * The same with fs.promises, beside calls that `block` starts. libuv has four threads.
 * @param {string} name
 * @param {(fifo: string) => (() => void) | void | Promise<(() => void) | void>} block starts them, and gives what frees them;
 *   throws {@link Skipped} where it cannot
 * @returns {import('../harness/cases.mjs').Driver}
 */
function nodeBeside(name, block) {
  return {
    name: `fs.promises.stat${name}`,
    async setup() {
      const fifo = makeFifo();
      const free = (await block(fifo)) ?? (() => {});
      process.prependOnceListener('exit', free); // a process does not end while a thread of libuv's is stuck
      if (await settlesWithin(fs.promises.stat(path), 1000)) return fs.promises.stat;
      throw new Skipped('not one has an answer after a second');
    },
    run: quickCalls,
    check: right,
  };
}

const opens = (/** @type {number} */ count) => (/** @type {string} */ fifo) => {
  for (let i = 0; i < count; i++) fs.open(fifo, 'r', () => {});
  return () => {
    for (let i = 0; i < count; i++) fs.openSync(fifo, 'r+'); // a writer: the readers are let in
  };
};

export default defineCase({
  name: 'quick-beside-stuck',
  title: 'quick calls beside stuck ones, a promise each',
  order: 94,
  metrics: [microsecondsEach],
  baseline: 'fs.promises.stat',
  targets: [
    { driver: 'acall stat, 200 stuck in the pool', atLeast: 0.8, of: 'acall stat' },
    { driver: 'acall stat, 2000 stuck on own threads', atLeast: 0.9, of: 'acall stat' },
    { driver: 'acall stat, 10000 stuck on own threads', atLeast: 0.9, of: 'acall stat' },
  ],
  ops: quick,
  expect: () => ({ right: quick }),
  drivers: [
    acallBeside(0),
    acallBeside(200),
    acallBeside(2000, 'own'),
    acallBeside(10_000, 'own'),
    nodeBeside('', () => {}),
    nodeBeside(', 3 opens stuck', opens(3)),
    nodeBeside(', 4 opens stuck', opens(4)),
    nodeBeside(", 4 of koffi's reads stuck", async () => {
      const libc = load('koffi').load('libc.so.6');
      const pair = new Int32Array(2);
      libc.func('int pipe2(_Out_ int *ends, int flags)')(pair, 0);
      const read = libc.func('long read(int fd, void *bytes, size_t length)');
      for (let i = 0; i < 4; i++) read.async(pair[0], Buffer.alloc(1), 1, () => {});
      return () => fs.writeSync(pair[1], 'four');
    }),
    nodeBeside(', 4 locks of fs-ext stuck', async (fifo) => {
      const { flock, flockSync } = load('fs-ext');
      const held = `${fifo}.lock`;
      fs.writeFileSync(held, '');
      const holder = fs.openSync(held, 'r');
      flockSync(holder, 'ex');
      for (let i = 0; i < 4; i++) flock(fs.openSync(held, 'r'), 'sh', () => {});
      return () => flockSync(holder, 'un');
    }),
  ],
});
