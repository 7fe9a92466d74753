/** The drivers that read every file of the tree, for the cases with a warm and a cold cache. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineCase, Skipped } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';
import { treePaths } from '../harness/tree.mjs';

/** @typedef {import('../harness/cases.mjs').Driver} Driver */
/** @typedef {import('../harness/cases.mjs').Context} Context */

const inFlight = 64;

/** What every driver must have found. */
export const wholeTree = (/** @type {Context} */ { tree }) => ({ files: tree.files, bytes: tree.sizeBytes });

/**
 * The same in C.
 * @param {'warm' | 'cold'} cache
 * @param {[name: string, threads: number][]} threads
 * @returns {Driver[]}
 */
export function readLimits(cache, threads) {
  return threads.map(([name, count]) => ({
    name,
    limit: 'read',
    args: ({ tree }) => [tree.pathsFile, String(count), cache],
  }));
}

export const allCores = availableParallelism();

/** @param {(Buffer | Error)[]} contents */
function seenIn(contents) {
  let files = 0;
  let bytes = 0;
  for (const content of contents) {
    if (content instanceof Error) throw content;
    files++;
    bytes += content.length;
  }
  return { files, bytes };
}

/** @param {Context} context */
const paths = ({ tree }) => treePaths(tree);

/** @type {Driver} */
export const acallDriver = {
  name: 'acall readFiles',
  setup: async (context) => ({ ...(await import('acall')), paths: paths(context) }),
  run: ({ readFiles, paths }) => readFiles(paths),
  check: seenIn,
};

/** @type {Driver} */
export const acallIterated = {
  name: 'acall readFiles, as they come',
  setup: acallDriver.setup,
  async run({ readFiles, paths }) {
    const contents = new Array(paths.length);
    for await (const batch of readFiles(paths).batches()) {
      for (const { index, data, error } of batch) contents[index] = data ?? error;
    }
    return contents;
  },
  check: seenIn,
};

/** @type {Driver[]} node:fs in its three forms */
export const nodeReaders = [
  {
    name: 'fs.readFileSync',
    setup: paths,
    run: (/** @type {string[]} */ state) => state.map((path) => fs.readFileSync(path)),
    check: seenIn,
  },
  {
    name: `fs.readFile, callbacks, ${inFlight} in flight`,
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
            else read();
          });
        };
        for (let i = 0; i < inFlight; i++) read();
      }),
    check: seenIn,
  },
  {
    name: `fs.promises.readFile, ${inFlight} in flight`,
    setup: paths,
    async run(/** @type {string[]} */ state) {
      const contents = new Array(state.length);
      let next = 0;
      const read = async () => {
        while (next < state.length) {
          const i = next++;
          contents[i] = await fs.promises.readFile(state[i]);
        }
      };
      await Promise.all(Array.from({ length: inFlight }, read));
      return contents;
    },
    check: seenIn,
  },
];

/**
 * A case of files of one size, collected and as they come, in the first run as in later ones.
 * @param {number} fileBytes
 * @param {{ name: string, title: string, order: number }} texts
 */
export function everyFileOf(fileBytes, texts) {
  const limit = 'C, 2 threads';
  return defineCase({
    ...texts,
    needs: { fileBytes },
    metrics: [milliseconds],
    baseline: limit,
    targets: [acallDriver, acallIterated].flatMap(({ name }) =>
      [false, true].flatMap((first) => [
        { driver: name, first, atLeast: 1 / 1.4, of: limit },
        { driver: name, first, atLeast: 2, of: 'fs.readFileSync' },
      ]),
    ),
    ops: ({ tree }) => tree.files,
    expect: wholeTree,
    drivers: [...readLimits('warm', [[limit, 2]]), acallDriver, acallIterated, nodeReaders[0]],
  });
}

const dropCaches = '/proc/sys/vm/drop_caches';

function mayForget() {
  try {
    fs.accessSync(dropCaches, fs.constants.W_OK);
  } catch {
    throw new Skipped('only root may drop the page cache');
  }
}

/**
 * The same driver with nothing of the tree in the cache, once in each process. The C programs drop it themselves.
 * @param {Driver} driver
 * @returns {Driver}
 */
export function cold(driver) {
  return {
    ...driver,
    needs: mayForget,
    budget: { warmupRuns: 0, runs: 1 },
    async setup(context) {
      const state = await driver.setup?.(context);
      execFileSync('sync');
      fs.writeFileSync(dropCaches, '3');
      return state;
    },
  };
}
