import fs from 'node:fs';
import { entriesBelow, firstInstalled, treeLimits } from '../drivers/tree.mjs';
import { defineCase, Skipped } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';
import { rival } from '../harness/packages.mjs';

/** @typedef {import('../harness/cases.mjs').Context} Context */

const setupAcall = async (/** @type {Context} */ { tree }) => ({ ...(await import('acall')), root: tree.root });

const setupFdir = async (/** @type {Context} */ { tree }) => {
  const { fdir } = await import('fdir').catch(() => {
    throw new Skipped('fdir is not installed');
  });
  return new fdir().withFullPaths().withDirs().crawl(tree.root);
};

const setupGlob = (/** @type {Context} */ { tree }) => ({
  glob: rival('fast-glob'),
  options: { cwd: tree.root, dot: true, onlyFiles: false, stats: true, followSymbolicLinks: false },
});

const countOf = (/** @type {unknown[]} */ entries) => ({ entries: entries.length });
const linesOf = (/** @type {string} */ output) => ({ entries: output.split('\n').length - 1 });
/** fdir, find and fdfind differ in whether they print the root; each driver's check says which. */
const andRoot = (/** @type {Context} */ context) => ({ entries: entriesBelow(context) + 1 });

export default defineCase({
  name: 'walk',
  title: 'every path of the tree',
  order: 40,
  needs: 'tree',
  metrics: [milliseconds],
  baseline: 'find',
  targets: [
    { driver: 'acall walk().collect()', atMost: 40 },
    // The same bound on the machine where find took 38 ms.
    { driver: 'acall walk().collect()', atLeast: 0.95, of: 'find' },
  ],
  ops: entriesBelow,
  expect: (context) => ({ entries: entriesBelow(context) }),
  drivers: [
    ...treeLimits('walk', undefined),
    {
      name: 'acall walk().collect()',
      setup: setupAcall,
      run: ({ walk, root }) => walk(root).collect(),
      check: countOf,
    },
    {
      name: 'acall walk().batches()',
      setup: setupAcall,
      async run({ walk, root }) {
        const paths = [];
        for await (const batch of walk(root).batches()) for (const entry of batch) paths.push(entry.path);
        return paths;
      },
      check: countOf,
    },
    {
      name: 'acall walk(), for await',
      setup: setupAcall,
      async run({ walk, root }) {
        const paths = [];
        for await (const entry of walk(root)) paths.push(entry.path);
        return paths;
      },
      check: countOf,
    },
    {
      name: 'acall walk().collect(), stats',
      setup: setupAcall,
      run: ({ walk, root }) => walk(root, { stats: true }).collect(),
      check: (/** @type {{ stats?: object }[]} */ entries) => countOf(entries.filter(({ stats }) => stats)),
    },
    {
      name: 'acall walk, command',
      command: ({ node, acallCommand, tree }) => [node, acallCommand, 'walk', tree.root],
      perNode: true,
      check: linesOf,
    },
    { name: 'find', command: ({ tree }) => ['find', tree.root], check: linesOf, expect: andRoot },
    {
      name: 'fd',
      command: ({ tree }) => [firstInstalled('fd', 'fdfind'), '--unrestricted', '.', tree.root],
      check: linesOf,
    },
    { name: 'fdir, sync', setup: setupFdir, run: (crawler) => crawler.sync(), check: countOf, expect: andRoot },
    {
      name: 'fdir, promise',
      setup: setupFdir,
      run: (crawler) => crawler.withPromise(),
      check: countOf,
      expect: andRoot,
    },
    {
      name: 'fast-glob, stats',
      setup: setupGlob,
      run: ({ glob, options }) => glob('**', options),
      check: (/** @type {{ stats?: object }[]} */ entries) => countOf(entries.filter(({ stats }) => stats)),
    },
    {
      name: 'fs.readdirSync, recursive',
      setup: ({ tree }) => tree.root,
      run: (/** @type {string} */ root) => fs.readdirSync(root, { recursive: true }),
      check: countOf,
    },
    {
      name: 'fs.readdir, callbacks',
      setup: ({ tree }) => tree.root,
      run: (/** @type {string} */ root) => readdirByCallbacks(root),
      check: countOf,
    },
    {
      name: 'fs.promises.readdir, recursive',
      setup: ({ tree }) => tree.root,
      run: (/** @type {string} */ root) => fs.promises.readdir(root, { recursive: true }),
      check: countOf,
    },
  ],
});

/**
 * Reads all known directories at the same time: the callback form of fs.readdir with `recursive` reads synchronously.
 * @param {string} root
 * @returns {Promise<string[]>}
 */
function readdirByCallbacks(root) {
  return new Promise((resolve, reject) => {
    const paths = /** @type {string[]} */ ([]);
    let reading = 0;
    const read = (/** @type {string} */ directory) => {
      reading++;
      fs.readdir(directory, { withFileTypes: true }, (error, entries) => {
        if (error) return reject(error);
        for (const entry of entries) {
          const path = `${directory}/${entry.name}`;
          paths.push(path);
          if (entry.isDirectory()) read(path);
        }
        if (--reading === 0) resolve(paths);
      });
    };
    read(root);
  });
}
