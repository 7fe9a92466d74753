import { limits, nodeDrivers, paths, seenIn, wholeTree } from '../drivers/stat.mjs';
import { defineCase } from '../harness/cases.mjs';
import { millionsPerSecond } from '../harness/metrics.mjs';

const setup = async (/** @type {import('../harness/cases.mjs').Context} */ context) => ({
  ...(await import('acall')),
  paths: paths(context),
});

export default defineCase({
  name: 'stat-promises',
  title: 'stat of every file of the tree, one promise each',
  order: 20,
  needs: 'tree',
  metrics: [millionsPerSecond],
  baseline: 'fs.promises.stat, Promise.all',
  targets: [
    { driver: 'acall stat, Promise.all', atLeast: 1 },
    { driver: 'acall stat, Promise.all', atLeast: 1, of: 'fs.statSync' },
    { driver: 'acall stat, Promise.all', atLeast: 8, of: 'fs.promises.stat, Promise.all' },
  ],
  ops: ({ tree }) => tree.files,
  expect: wholeTree,
  drivers: [
    limits.statx1,
    limits.statx,
    {
      name: 'acall stat, Promise.all',
      setup,
      run: ({ stat, paths }) => Promise.all(paths.map((/** @type {string} */ path) => stat(path))),
      check: seenIn,
    },
    {
      name: 'acall async_stat, wait_for_async',
      setup,
      async run({ asyncScope, StatBuffer, paths }) {
        const { async_stat, wait_for_async } = asyncScope();
        const entries = new Array(paths.length);
        for (let i = 0; i < paths.length; i++) {
          entries[i] = new StatBuffer();
          async_stat(paths[i], entries[i]);
        }
        await wait_for_async();
        return entries;
      },
      check: (/** @type {import('acall').StatBuffer[]} */ entries) =>
        seenIn(entries.filter(({ error }) => error === 0)),
    },
    ...nodeDrivers,
  ],
});
