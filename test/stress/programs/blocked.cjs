/* A program of blocked.test.ts. Needs --expose-gc. */
const acall = require('acall');
const fs = require('node:fs');
const { isOpen, stats, threadsIn, until } = require('../../support/inside.cjs');

/** Resident kibibytes, without the garbage in V8's heap, which belongs to the test. */
function resident() {
  global.gc?.();
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return (rss - heapTotal + heapUsed) / 1024;
}

/** So many calls blocked at once, each on a thread of its own, and all aborted. @param {number} count */
async function blockMany(count) {
  const pair = Buffer.alloc(8);
  await acall.syscall('pipe2', [pair, 0]);
  const from = pair.readInt32LE(0);
  await acall.syscall('getppid', [], { thread: 'own' });
  const threads = fs.readdirSync('/proc/self/task').length;
  const before = resident();
  const controller = new AbortController();
  const { signal } = controller;
  let settled = 0;
  const buffer = Buffer.alloc(1);
  for (let i = 0; i < count; i++) {
    acall.syscall('read', [from, buffer, 1], { thread: 'own', signal }).catch(() => settled++);
  }
  await until(() => acall.counters().ownThreads === count);
  await until(() => threadsIn('read') === count);
  const each = (resident() - before) / count;
  const answered = (await stats(5000)).length;
  controller.abort();
  // In portions, one in each turn; the least is 256.
  let turns = 0;
  await until(() => turns++ > count / 256 || settled === count);
  const now = settled;
  await until(() => acall.counters().ownThreads === 0);
  await until(() => fs.readdirSync('/proc/self/task').length <= threads + 2);
  return { each, stats: answered, settled: now, isOpen: isOpen(from) };
}

module.exports = { blockMany };
