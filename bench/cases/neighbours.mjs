import { makeFifo, settlesWithin, untilBlocked } from '../harness/blocked.mjs';
import { defineCase, Skipped } from '../harness/cases.mjs';

const measured = 1000;
const threads = 1000;
const counts = [1, 1000, 60_000];
const nameOf = (/** @type {number} */ count) => `acall, beside ${count}`;

/**
 * What one op costs beside so many that are stuck on own threads or wait behind those: to start it (a call that blocks), to
 * abort it until its promise has rejected, and to complete it (a quick call in the pool).
 * @param {number} count
 * @returns {import('../harness/cases.mjs').Driver}
 */
function beside(count) {
  return {
    name: nameOf(count),
    async setup() {
      process.env.ACALL_OWN_MAX = String(threads); // the rest of them is pending
      const { constants, counters, syscall, SYS } = await import('acall');
      const fifo = makeFifo();
      const stuck = (/** @type {object} */ options) => syscall('openat', [constants.AT_FDCWD, fifo, 0], options);
      for (let i = 0; i < count; i++) stuck({ thread: 'own' }).catch(() => {});
      await untilBlocked(SYS.openat, Math.min(count, threads));
      if (!(await settlesWithin(syscall('getppid', [], { thread: 'pool' }), 5000)))
        throw new Skipped('a quick call beside them has no answer after five seconds');
      return { counters, stuck, quick: () => syscall('getppid', [], { thread: 'pool' }), rest: counters().running };
    },
    async run({ counters, stuck, quick, rest }) {
      const microseconds = (/** @type {bigint} */ from) => Number(process.hrtime.bigint() - from) / 1000 / measured;
      const controller = new AbortController();
      let from = process.hrtime.bigint();
      const all = Array.from({ length: measured }, () => stuck({ signal: controller.signal }));
      await undefined; // they go to the core in the microtask behind them
      const start = microseconds(from);
      const settled = Promise.allSettled(all);
      while (counters().running < rest + measured) await new Promise((resolve) => setImmediate(resolve));
      from = process.hrtime.bigint();
      controller.abort();
      const ends = await settled;
      const abort = microseconds(from);
      while (counters().running > rest) await new Promise((resolve) => setImmediate(resolve));
      from = process.hrtime.bigint();
      const answers = await Promise.all(Array.from({ length: measured }, quick));
      const complete = microseconds(from);
      const aborted = ends.filter((end) => end.status === 'rejected' && end.reason.code === 'ABORT_ERR').length;
      return { aborted, right: answers.filter((ppid) => ppid === process.ppid).length, start, abort, complete };
    },
    check: (result) => result,
  };
}

const [few] = counts.map(nameOf);

export default defineCase({
  name: 'neighbours',
  title: 'what an op costs beside others that are stuck or pending',
  order: 95,
  metrics: ['start', 'abort', 'complete'].map((name) => ({
    name,
    unit: 'us',
    better: /** @type {const} */ ('lower'),
    of: ({ seen }) => seen[name],
  })),
  baseline: few,
  targets: counts
    .slice(1)
    .flatMap((count) =>
      ['start', 'abort', 'complete'].map((metric) => ({ driver: nameOf(count), metric, atLeast: 1 / 1.2, of: few })),
    ),
  ops: measured,
  expect: () => ({ aborted: measured, right: measured }),
  drivers: counts.map(beside),
});
