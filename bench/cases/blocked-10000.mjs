import fs from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { residentKiB, untilBlocked } from '../harness/blocked.mjs';
import { defineCase, Skipped } from '../harness/cases.mjs';

const count = 10_000;

/**
 * @param {any} state
 * @param {() => unknown} begin starts them all
 */
async function blockAll({ gc, acall }, begin) {
  gc();
  const before = residentKiB();
  const from = performance.now();
  begin();
  const blocked = await untilBlocked(acall.SYS.read, count);
  const ms = performance.now() - from;
  gc();
  return { blocked, ms, each: (residentKiB() - before) / count };
}

async function prepare() {
  const acall = await import('acall');
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const pair = Buffer.alloc(8);
  await acall.syscall('pipe2', [pair, 0]);
  // Memory that is allocated at first use, or to look for threads, is not counted.
  await acall.syscall('getppid', [], { thread: 'own' });
  await untilBlocked(acall.SYS.read, 1, 1);
  return { acall, gc, from: pair.readInt32LE(0), to: pair.readInt32LE(4) };
}

const seen = (/** @type {Awaited<ReturnType<typeof blockAll>>} */ result) => result;

export default defineCase({
  name: 'blocked-10000',
  title: 'ten thousand reads that block, each on a thread of its own',
  order: 92,
  metrics: [
    { name: 'until all have blocked', unit: 'ms', better: 'lower', of: ({ seen }) => seen.ms },
    { name: 'resident each', unit: 'KiB', better: 'lower', of: ({ seen }) => seen.each },
  ],
  baseline: 'C, a pthread with a stack of 64 KiB each',
  targets: [{ driver: "acall syscall('read'), promises", metric: 'resident each', atMost: 16 }],
  ops: count,
  expect: () => ({ blocked: count }),
  budget: { warmupRuns: 0, runs: 1 },
  drivers: [
    { name: 'C, a pthread with a stack of 64 KiB each', limit: 'blocked', args: () => [String(count)] },
    {
      name: "acall syscall('read'), promises",
      setup: prepare,
      run: (state) =>
        blockAll(state, () => {
          const buffer = Buffer.alloc(1);
          for (let i = 0; i < count; i++) {
            state.acall.syscall('read', [state.from, buffer, 1], { thread: 'own' }).catch(() => {});
          }
        }),
      check: seen,
    },
    {
      name: 'acall_submit, without promises',
      async setup() {
        const state = await prepare();
        const { AcallCompletionRing, addressOf, Arena, SYS } = state.acall;
        const arena = new Arena(1 << 20);
        const ring = new AcallCompletionRing(arena, count);
        const submissions = Buffer.alloc(88 * count);
        const target = addressOf(arena.alloc(8));
        for (let i = 0; i < count; i++) {
          submissions.writeUInt32LE(SYS.read, i * 88);
          submissions.writeBigUInt64LE(BigInt(i + 1), i * 88 + 8);
          submissions.writeBigUInt64LE(ring.address, i * 88 + 16);
          submissions.writeBigUInt64LE(BigInt(state.from), i * 88 + 40);
          submissions.writeBigUInt64LE(target, i * 88 + 48);
          submissions.writeBigUInt64LE(1n, i * 88 + 56);
        }
        return { ...state, arena, ring, submissions };
      },
      run: (state) =>
        blockAll(state, () => {
          if (state.acall.acall_submit(state.submissions) !== count) throw new Error('not all were accepted');
        }),
      check: seen,
    },
    {
      name: 'fs.read',
      async setup() {
        const { acall, from, to } = await prepare();
        for (let i = 0; i < count; i++) fs.read(from, Buffer.alloc(1), () => {});
        const blocked = await untilBlocked(acall.SYS.read, count, 1000);
        if (blocked === count) throw new Error('measure it');
        fs.writeSync(to, Buffer.alloc(count));
        throw new Skipped(`${blocked} of them have blocked after a second: libuv has no more threads`);
      },
      run: () => {},
      check: () => ({}),
    },
  ],
});
