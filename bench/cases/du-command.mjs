import { entriesBelow } from '../drivers/tree.mjs';
import { defineCase } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';

const leadingNumber = (/** @type {string} */ output) => ({ bytes: Number.parseInt(output, 10) });

export default defineCase({
  name: 'du-command',
  title: 'space used by the tree, as a command, start-up included',
  order: 60,
  needs: 'tree',
  metrics: [milliseconds],
  baseline: 'GNU du',
  targets: [{ driver: 'acall du', atLeast: 1, of: 'GNU du' }],
  ops: entriesBelow,
  expect: ({ tree }) => ({ bytes: tree.blocksBytes }),
  drivers: [
    {
      name: 'acall du',
      command: ({ node, acallCommand, tree }) => [node, acallCommand, 'du', '--json', tree.root],
      perNode: true,
      check: (output) => JSON.parse(output),
    },
    {
      name: 'node, nothing else',
      command: ({ node }) => [node, '-e', '0'],
      perNode: true,
      check: () => ({}),
      expect: () => ({}),
    },
    { name: 'GNU du', command: ({ tree }) => ['du', '-s', '-B1', tree.root], check: leadingNumber },
    {
      name: 'gdu',
      command: ({ tree }) => ['gdu', '--non-interactive', '--no-progress', '--summarize', '--no-prefix', tree.root],
      check: leadingNumber,
      // gdu takes every directory for 4 KiB.
      expect: ({ tree }) => ({ bytes: tree.fileBlocksBytes + 4096 * (tree.directories + 1) }),
    },
  ],
});
