import fs from 'node:fs';
import { join } from 'node:path';
import { entriesBelow, treeLimits } from '../drivers/tree.mjs';
import { defineCase } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';

/** @typedef {import('../harness/cases.mjs').Context} Context */

/** As `du -s -B1` prints it: bytes, a tab, the root. */
const printed = (/** @type {string} */ output) => ({ bytes: Number.parseInt(output, 10) });
const bytesOnly = (/** @type {Context} */ { tree }) => ({ bytes: tree.blocksBytes });
const sumOf = (/** @type {number} */ bytes) => ({ bytes });
const rootOf = (/** @type {Context} */ { tree }) => tree.root;

export default defineCase({
  name: 'du',
  title: 'space used by the tree',
  order: 50,
  needs: 'tree',
  metrics: [milliseconds],
  baseline: 'GNU du',
  targets: [
    { driver: 'acall du()', atMost: 60 },
    // The same bound on the machine where GNU du took 105 ms.
    { driver: 'acall du()', atLeast: 1.75, of: 'GNU du' },
  ],
  ops: entriesBelow,
  expect: bytesOnly,
  drivers: [
    ...treeLimits('du', bytesOnly),
    {
      name: 'acall du()',
      setup: async ({ tree }) => ({ ...(await import('acall')), root: tree.root }),
      run: ({ du, root }) => du(root),
      check: (/** @type {import('acall').DuResult} */ result) => ({ ...result }),
      // The root is counted, as `du` does.
      expect: ({ tree }) => ({
        bytes: tree.blocksBytes,
        files: tree.files,
        directories: tree.directories + 1,
        errors: 0,
      }),
    },
    { name: 'GNU du', command: ({ tree }) => ['du', '-s', '-B1', tree.root], check: printed },
    { name: 'fs, synchronous', setup: rootOf, run: duSync, check: sumOf },
    { name: 'fs, callbacks', setup: rootOf, run: duByCallbacks, check: sumOf },
    { name: 'fs.promises', setup: rootOf, run: duByPromises, check: sumOf },
  ],
});

/**
 * @param {string} directory
 * @returns {number}
 */
function duSync(directory) {
  let bytes = fs.lstatSync(directory).blocks * 512;
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    bytes += entry.isDirectory() ? duSync(path) : fs.lstatSync(path).blocks * 512;
  }
  return bytes;
}

/**
 * @param {string} root
 * @returns {Promise<number>}
 */
function duByCallbacks(root) {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let running = 0;
    const settle = (/** @type {Error | null} */ error) => {
      if (error) reject(error);
      else if (--running === 0) resolve(bytes);
    };
    const add = (/** @type {string} */ path) => {
      running++;
      fs.lstat(path, (error, stats) => {
        bytes += stats ? stats.blocks * 512 : 0;
        settle(error);
      });
    };
    const visit = (/** @type {string} */ directory) => {
      add(directory);
      running++;
      fs.readdir(directory, { withFileTypes: true }, (error, entries) => {
        for (const entry of entries ?? []) {
          const path = join(directory, entry.name);
          if (entry.isDirectory()) visit(path);
          else add(path);
        }
        settle(error);
      });
    };
    visit(root);
  });
}

/**
 * @param {string} directory
 * @returns {Promise<number>}
 */
async function duByPromises(directory) {
  const own = fs.promises.lstat(directory);
  const entries = await fs.promises.readdir(directory, { withFileTypes: true });
  const sums = await Promise.all(
    entries.map(async (entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? duByPromises(path) : (await fs.promises.lstat(path)).blocks * 512;
    }),
  );
  return sums.reduce((sum, bytes) => sum + bytes, (await own).blocks * 512);
}
