import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { makeFifo, percentile, settlesWithin, untilBlocked } from '../harness/blocked.mjs';
import { defineCase, Skipped } from '../harness/cases.mjs';

const rounds = 100;

/**
 * One cancel after the other. Only the end of each call is timed, not the time until it blocks.
 * @param {() => Promise<() => unknown>} begin starts a call; when it has blocked, how to end it, which may take a promise
 */
async function timeOfCancels(begin) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const end = await begin();
    const from = process.hrtime.bigint();
    await end();
    times.push(Number(process.hrtime.bigint() - from) / 1000);
  }
  return times;
}

const seen = (/** @type {number[]} */ times) => ({
  cancels: times.length,
  p50: percentile(times, 0.5),
  p99: percentile(times, 0.99),
});

/** @param {'pool' | 'own'} thread */
const reader = (thread) => async () => {
  const { counters, SYS, syscall } = await import('acall');
  const pair = Buffer.alloc(8);
  await syscall('pipe2', [pair, 0]);
  const buffer = Buffer.alloc(1);
  return async () => {
    const controller = new AbortController();
    const read = syscall('read', [pair.readInt32LE(0), buffer, 1], { signal: controller.signal, thread });
    const rejected = read.then(
      () => {
        throw new Error('it was not cancelled');
      },
      () => {},
    );
    await untilBlocked(SYS.read, 1);
    return { abort: () => controller.abort(), rejected, counters };
  };
};

export default defineCase({
  name: 'cancel-latency',
  title: 'from the cancel of a blocked call to its end',
  order: 90,
  metrics: [
    { name: 'p50', unit: 'us', better: 'lower', of: ({ seen }) => seen.p50 },
    { name: 'p99', unit: 'us', better: 'lower', of: ({ seen }) => seen.p99 },
  ],
  baseline: 'C, a signal to the thread',
  targets: [{ driver: 'acall, abort to rejection', metric: 'p99', atMost: 10_000 }],
  ops: rounds,
  expect: () => ({ cancels: rounds }),
  budget: { warmupRuns: 1, runs: 3 },
  drivers: [
    { name: 'C, a signal to the thread', limit: 'cancel', args: () => [String(rounds)] },
    {
      name: 'acall, abort to rejection',
      setup: reader('pool'),
      run: (begin) =>
        timeOfCancels(async () => {
          const { abort, rejected, counters } = await begin();
          // The thread of the call before is idle again, so that each cancel meets an idle engine.
          while (counters().running > 1) await new Promise((resolve) => setImmediate(resolve));
          return () => {
            abort();
            return rejected;
          };
        }),
      check: seen,
    },
    ...['pool', 'own'].map((thread) => ({
      name: `acall, abort until its ${thread === 'pool' ? 'pool' : 'own'} thread is free`,
      setup: reader(/** @type {'pool' | 'own'} */ (thread)),
      run: (/** @type {any} */ begin) =>
        timeOfCancels(async () => {
          const { abort, counters } = await begin();
          return () => {
            abort();
            while (counters().running > 0);
          };
        }),
      check: seen,
    })),
    {
      name: 'acall_cancel until it is in the ring',
      async setup() {
        const { AcallCompletionRing, AcallId, AcallSubmission, addressOf, Arena, ...acall } = await import('acall');
        const pair = Buffer.alloc(8);
        await acall.syscall('pipe2', [pair, 0]);
        const arena = new Arena();
        const ring = new AcallCompletionRing(arena, 8);
        const id = new AcallId(arena);
        const submission = new AcallSubmission(arena);
        submission.nr = acall.SYS.read;
        submission.flags = acall.ACALL_SUBMIT_THREAD_POOL;
        submission.cookie = 1n;
        submission.completion_ring_pointer = ring.address;
        submission.id_pointer = id.address;
        submission.args[0] = BigInt(pair.readInt32LE(0));
        submission.args[1] = addressOf(arena.alloc(8));
        submission.args[2] = 8n;
        return { ...acall, ring, id, submission, taken: 0 };
      },
      run: (state) =>
        timeOfCancels(async () => {
          const { acall_cancel, acall_ring_pwait, acall_submit, id, ring, submission, SYS } = state;
          state.taken += ring.drain(() => {});
          if (acall_submit([submission]) !== 1) throw new Error('it was refused');
          await untilBlocked(SYS.read, 1);
          return () => {
            acall_cancel(id);
            if (acall_ring_pwait(ring, state.taken, 1) !== 1) throw new Error('it was not cancelled');
          };
        }),
      check: seen,
    },
    {
      name: 'fs.promises.readFile, its signal',
      // Asked once: it does not end.
      async setup() {
        const fifo = makeFifo();
        const controller = new AbortController();
        const read = fs.promises.readFile(fifo, { signal: controller.signal });
        controller.abort();
        if (!(await settlesWithin(read, 1000))) {
          fs.closeSync(fs.openSync(fifo, 'r+')); // lets go of the thread, so that the process can end
          throw new Skipped('a second after the abort of readFile() on a FIFO its promise has not settled');
        }
        return fifo;
      },
      run: (fifo) =>
        timeOfCancels(async () => {
          const controller = new AbortController();
          const over = fs.promises.readFile(fifo, { signal: controller.signal }).catch(() => {});
          return () => {
            controller.abort();
            return over;
          };
        }),
      check: seen,
    },
    {
      name: 'a child process, killed',
      setup: makeFifo,
      run: (fifo) =>
        timeOfCancels(async () => {
          const child = spawn('cat', [fifo], { stdio: 'ignore' });
          await new Promise((resolve) => child.once('spawn', resolve));
          const over = new Promise((resolve) => child.once('exit', resolve));
          return () => {
            child.kill('SIGKILL');
            return over;
          };
        }),
      check: seen,
    },
  ],
});
