import { acallDriver, cold, nodeReaders, readLimits, wholeTree } from '../drivers/read.mjs';
import { defineCase } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';

export default defineCase({
  name: 'read-files-cold',
  title: 'the same with nothing of it in the cache',
  order: 61,
  needs: 'tree',
  metrics: [milliseconds],
  baseline: 'C, 64 threads',
  targets: [{ driver: 'acall readFiles', atLeast: 0.9, of: 'C, 64 threads' }],
  ops: ({ tree }) => tree.files,
  expect: wholeTree,
  drivers: [
    ...readLimits('cold', [
      ['C, 1 thread', 1],
      ['C, 2 threads', 2],
      ['C, 64 threads', 64],
    ]).map(cold),
    cold(acallDriver),
    ...nodeReaders.map(cold),
  ],
});
