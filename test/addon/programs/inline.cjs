/* Programs of inline.test.ts. */
const { constants, counters, stat, syscall } = require('acall');
const fs = require('node:fs');
const { parentPort } = require('node:worker_threads');
const { until } = require('../../support/inside.cjs');

/** In a Worker: posts how many of 200 stats ran inline, and the inode of a folder. */
async function statInWorker(/** @type {string} */ folder) {
  const before = counters().inlineHits;
  for (let i = 0; i < 200; i++) await stat('.');
  parentPort?.postMessage({ hits: counters().inlineHits - before, ino: (await stat(folder)).ino });
}

/**
 * A burst of stats while the only pool thread is stuck. Needs a pool of one thread.
 * @param {string} fifo
 * @param {string} file
 */
async function burst(fifo, file) {
  await until(async () => {
    await stat(file);
    return counters().inlineHits > 0;
  });
  const opened = syscall('openat', [constants.AT_FDCWD, fifo, constants.O_RDONLY]);
  await until(() => counters().running > 0);
  const before = counters();
  const all = Array.from({ length: 40_000 }, () => stat(file));
  const { inlineHits, queued } = counters();
  fs.closeSync(fs.openSync(fifo, 'w'));
  fs.closeSync(await opened);
  const sizes = new Set((await Promise.all(all)).map(({ size, atime }) => size + atime.getTime()));
  return { hits: inlineHits - before.inlineHits, queued, different: sizes.size };
}

module.exports = { statInWorker, burst };
