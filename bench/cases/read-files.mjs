import { acallDriver, acallIterated, allCores, nodeReaders, readLimits, wholeTree } from '../drivers/read.mjs';
import { defineCase } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';

export default defineCase({
  name: 'read-files',
  title: 'every file of the tree read whole',
  order: 60,
  needs: 'tree',
  metrics: [milliseconds],
  baseline: 'C, all cores',
  targets: [
    { driver: 'acall readFiles', atLeast: 0.77, of: 'C, all cores' },
    { driver: 'acall readFiles', atLeast: 2, of: 'fs.readFileSync' },
    { driver: 'acall readFiles', first: true, atLeast: 2, of: 'fs.readFileSync' },
  ],
  ops: ({ tree }) => tree.files,
  expect: wholeTree,
  drivers: [
    ...readLimits('warm', [
      ['C, 1 thread', 1],
      ['C, all cores', allCores],
    ]),
    acallDriver,
    acallIterated,
    ...nodeReaders,
  ],
});
