/** The drivers that look up every path of the tree, for the cases that compare with them. */
import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import { treePaths } from '../harness/tree.mjs';

/** @typedef {import('../harness/cases.mjs').Driver} Driver */
/** @typedef {import('../harness/cases.mjs').Context} Context */

/** What every driver must have found. */
export const wholeTree = (/** @type {Context} */ { tree }) => ({ files: tree.files, bytes: tree.sizeBytes });

/** The state of a driver: the paths. */
export const paths = (/** @type {Context} */ { tree }) => treePaths(tree);

/** @param {{ size: number }[]} stats */
export function seenIn(stats) {
  return { files: stats.length, bytes: stats.reduce((sum, { size }) => sum + size, 0) };
}

/**
 * @param {string} name
 * @param {'stat' | 'statx'} by
 * @param {number} threads
 * @returns {Driver}
 */
function limit(name, by, threads) {
  return { name, limit: 'stat', args: ({ tree }) => [tree.pathsFile, String(threads), by] };
}

/** stat(2) is the cheaper call, statx(2) the one that Node and acall need: it knows the time of birth. */
export const limits = {
  stat1: limit('C stat, 1 thread', 'stat', 1),
  statx1: limit('C statx, 1 thread', 'statx', 1),
  stat: limit('C stat, all cores', 'stat', availableParallelism()),
  statx: limit('C statx, all cores', 'statx', availableParallelism()),
};

/** @type {Driver[]} node:fs in its three forms */
export const nodeDrivers = [
  {
    name: 'fs.statSync',
    setup: paths,
    run(/** @type {string[]} */ state) {
      const results = new Array(state.length);
      for (let i = 0; i < state.length; i++) results[i] = fs.statSync(state[i]);
      return results;
    },
    check: seenIn,
  },
  {
    name: 'fs.stat, callbacks',
    setup: paths,
    run: (/** @type {string[]} */ state) =>
      new Promise((resolve, reject) => {
        const results = new Array(state.length);
        let missing = state.length;
        for (let i = 0; i < state.length; i++) {
          fs.stat(state[i], (error, stats) => {
            if (error) return reject(error);
            results[i] = stats;
            if (--missing === 0) resolve(results);
          });
        }
      }),
    check: seenIn,
  },
  {
    name: 'fs.promises.stat, Promise.all',
    setup: paths,
    run: (/** @type {string[]} */ state) => Promise.all(state.map((path) => fs.promises.stat(path))),
    check: seenIn,
  },
];
