import fs from 'node:fs';
import { limits, paths, seenIn } from '../drivers/stat.mjs';
import { defineCase } from '../harness/cases.mjs';
import { microsecondsEach } from '../harness/metrics.mjs';

const most = 20_000;

/** @typedef {import('../harness/cases.mjs').Context} Context */

const ops = (/** @type {Context} */ { tree }) => Math.min(most, tree.files);
const firstPaths = (/** @type {Context} */ context) => paths(context).slice(0, most);

/**
 * @param {string[]} paths
 * @param {(path: string) => unknown} stat
 */
async function oneAtATime(paths, stat) {
  const results = new Array(paths.length);
  for (let i = 0; i < paths.length; i++) results[i] = await stat(paths[i]);
  return results;
}

export default defineCase({
  name: 'stat-await',
  title: 'one await of a cached stat at a time',
  order: 30,
  needs: 'tree',
  metrics: [microsecondsEach],
  baseline: 'fs.promises.stat',
  targets: [
    { driver: 'acall stat', atMost: 12 },
    { driver: 'acall stat', atMost: 3 },
    // 12 us on the machine where fs.promises took 12 to 15.
    { driver: 'acall stat', atLeast: 1, of: 'fs.promises.stat' },
  ],
  ops,
  expect: (context) => ({ files: ops(context) }),
  drivers: [
    { ...limits.statx1, args: ({ tree }) => [tree.pathsFile, '1', 'statx', String(most)] },
    {
      name: 'acall stat',
      setup: async (context) => ({ ...(await import('acall')), paths: firstPaths(context) }),
      run: ({ stat, paths }) => oneAtATime(paths, stat),
      check: seenIn,
    },
    {
      name: 'fs.statSync',
      setup: firstPaths,
      run: (/** @type {string[]} */ paths) => paths.map((path) => fs.statSync(path)),
      check: seenIn,
    },
    {
      name: 'fs.stat, callbacks',
      setup: firstPaths,
      run: (/** @type {string[]} */ paths) =>
        new Promise((resolve, reject) => {
          const results = /** @type {fs.Stats[]} */ ([]);
          const next = () => {
            if (results.length === paths.length) return resolve(results);
            fs.stat(paths[results.length], (error, stats) => {
              if (error) return reject(error);
              results.push(stats);
              next();
            });
          };
          next();
        }),
      check: seenIn,
    },
    {
      name: 'fs.promises.stat',
      setup: firstPaths,
      run: (/** @type {string[]} */ paths) => oneAtATime(paths, fs.promises.stat),
      check: seenIn,
    },
  ],
});
