import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineCase } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';
import { paths, wholeTree } from '../harness/stat-drivers.mjs';

/** @typedef {import('../harness/cases.mjs').Context} Context */

const setupAcall = async (/** @type {Context} */ context) => ({ ...(await import('acall')), paths: paths(context) });

/** @param {Buffer[]} contents */
function seenIn(contents) {
  return { files: contents.length, bytes: contents.reduce((sum, { length }) => sum + length, 0) };
}

/**
 * @param {string} name
 * @param {number} threads
 * @returns {import('../harness/cases.mjs').Driver}
 */
function limit(name, threads) {
  return { name, limit: 'read', args: ({ tree }) => [tree.pathsFile, String(threads)] };
}

export default defineCase({
  name: 'read-files',
  title: 'every file of the tree, read whole',
  order: 55,
  needs: 'tree',
  metrics: [milliseconds],
  baseline: 'C, all cores',
  targets: [
    { driver: 'acall readFiles, awaited', atLeast: 0.77, of: 'C, all cores' },
    { driver: 'acall readFiles, awaited', atLeast: 2, of: 'fs.readFileSync' },
  ],
  ops: ({ tree }) => tree.files,
  expect: wholeTree,
  drivers: [
    limit('C, 1 thread', 1),
    limit('C, all cores', availableParallelism()),
    {
      name: 'acall readFiles, awaited',
      setup: setupAcall,
      run: ({ readFiles, paths }) => readFiles(paths),
      check: seenIn,
    },
    {
      name: 'acall readFiles, for await',
      setup: setupAcall,
      async run({ readFiles, paths }) {
        const seen = { files: 0, bytes: 0 };
        for await (const { data } of readFiles(paths)) {
          seen.files++;
          seen.bytes += data.length;
        }
        return seen;
      },
      check: (/** @type {{ files: number, bytes: number }} */ seen) => seen,
    },
    {
      name: 'fs.readFileSync',
      setup: paths,
      run: (/** @type {string[]} */ state) => state.map((path) => fs.readFileSync(path)),
      check: seenIn,
    },
    {
      name: 'fs.readFile, callbacks',
      setup: paths,
      run: (/** @type {string[]} */ state) =>
        new Promise((resolve, reject) => {
          const contents = new Array(state.length);
          let next = 0;
          let missing = state.length;
          const read = () => {
            const i = next++;
            if (i >= state.length) return;
            fs.readFile(state[i], (error, content) => {
              if (error) return reject(error);
              contents[i] = content;
              if (--missing === 0) resolve(contents);
              read();
            });
          };
          // All at once would open more files than a process may have.
          for (let i = 0; i < 64; i++) read();
        }),
      check: seenIn,
    },
    {
      name: 'fs.promises.readFile, 64 at a time',
      setup: paths,
      async run(/** @type {string[]} */ state) {
        const contents = new Array(state.length);
        let next = 0;
        const read = async () => {
          for (let i = next++; i < state.length; i = next++) contents[i] = await fs.promises.readFile(state[i]);
        };
        await Promise.all(Array.from({ length: 64 }, read));
        return contents;
      },
      check: seenIn,
    },
  ],
});
