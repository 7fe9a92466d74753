import { pathToFileURL } from 'node:url';
import { paths } from '../drivers/stat.mjs';
import { defineCase } from '../harness/cases.mjs';
import { microsecondsEach } from '../harness/metrics.mjs';

/** @typedef {import('../harness/cases.mjs').Context} Context */

const most = 20_000;
const kBadSlot = 0x7fffffff;

const ops = (/** @type {Context} */ { tree }) => Math.min(most, tree.files);
const firstPaths = (/** @type {Context} */ context) => paths(context).slice(0, most);
const counted = (/** @type {number} */ files) => ({ files });

/** Below the package's surface: the addon's functions and the engine whose result record they fill. */
async function setupInside(/** @type {Context} */ context) {
  const inside = async (/** @type {string} */ name) =>
    import(new URL(`../${name}.js`, pathToFileURL(context.acallCommand)).href);
  const { native } = await inside('native');
  const { engine } = await inside('engine');
  const { counters, stat } = await import('acall');
  const all = firstPaths(context);
  // What is mounted is learnt by a thread: afterwards a stat is tried at once.
  for (let i = 0; i < 1000 && (await stat(all[0])) && counters().inlineHits === 0; i++) await new Promise(setImmediate);
  return { native, place: engine.trySlot * 8, stat, paths: all };
}

export default defineCase({
  name: 'stat-parts',
  title: 'one await of a cached stat, part by part; results not kept',
  order: 35,
  needs: 'tree',
  metrics: [microsecondsEach],
  baseline: 'C openat2, statx, close',
  targets: [],
  ops,
  expect: (context) => ({ files: ops(context) }),
  drivers: [
    {
      name: 'C statx',
      limit: 'stat',
      args: ({ tree }) => [tree.pathsFile, '1', 'statx', String(most)],
    },
    {
      name: 'C openat2, statx, close',
      limit: 'stat',
      args: ({ tree }) => [tree.pathsFile, '1', 'cached', String(most)],
    },
    {
      name: 'a call into the addon',
      setup: setupInside,
      run({ native, paths }) {
        for (let i = 0; i < paths.length; i++) native.release(kBadSlot);
        return paths.length;
      },
      check: counted,
    },
    {
      name: 'a call into the addon, with a path',
      setup: async (context) => {
        const state = await setupInside(context);
        // A NUL ends the attempt before the kernel is asked.
        return { ...state, paths: state.paths.map((path) => `${path}\0`) };
      },
      run({ native, place, paths }) {
        let refused = 0;
        for (let i = 0; i < paths.length; i++) refused += native.inlineStat(paths[i], place);
        return refused;
      },
      check: counted,
    },
    {
      name: 'the attempt, in the addon',
      setup: setupInside,
      run({ native, place, paths }) {
        let answered = 0;
        for (let i = 0; i < paths.length; i++) if (native.inlineStat(paths[i], place) === 0) answered++;
        return answered;
      },
      check: counted,
    },
    {
      name: 'await of a value',
      setup: firstPaths,
      async run(/** @type {string[]} */ paths) {
        let seen = 0;
        for (let i = 0; i < paths.length; i++) if (await paths[i]) seen++;
        return seen;
      },
      check: counted,
    },
    {
      name: 'acall stat',
      setup: setupInside,
      async run({ stat, paths }) {
        let seen = 0;
        for (let i = 0; i < paths.length; i++) if ((await stat(paths[i])).size >= 0) seen++;
        return seen;
      },
      check: counted,
    },
  ],
});
