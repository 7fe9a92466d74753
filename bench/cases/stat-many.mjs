import { limits, nodeDrivers, paths, wholeTree } from '../drivers/stat.mjs';
import { defineCase } from '../harness/cases.mjs';
import { millionsPerSecond } from '../harness/metrics.mjs';

/** @param {import('acall').StatBatch} batch */
function seenIn({ length, error, size }) {
  let files = 0;
  let bytes = 0;
  for (let i = 0; i < length; i++) {
    if (error[i] !== 0) continue;
    files++;
    bytes += size[i];
  }
  return { files, bytes };
}

export default defineCase({
  name: 'stat-many',
  title: 'stat of every file of the tree, results as columns',
  order: 10,
  needs: 'tree',
  metrics: [millionsPerSecond],
  baseline: 'C stat, all cores',
  targets: [{ driver: 'acall statMany', atLeast: 0.8, of: 'C stat, all cores' }],
  ops: ({ tree }) => tree.files,
  expect: wholeTree,
  drivers: [
    limits.stat1,
    limits.statx1,
    limits.stat,
    limits.statx,
    {
      name: 'acall statMany',
      setup: async (context) => ({ ...(await import('acall')), paths: paths(context) }),
      run: ({ statMany, paths }) => statMany(paths),
      check: seenIn,
    },
    ...nodeDrivers,
  ],
});
