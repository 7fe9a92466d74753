import { pathToFileURL } from 'node:url';
import { paths } from '../drivers/stat.mjs';
import { defineCase, Skipped } from '../harness/cases.mjs';
import { microsecondsEach } from '../harness/metrics.mjs';

/** @typedef {import('../harness/cases.mjs').Context} Context */

const most = 20_000;
const kPlaces = 8; // Wire.statPlaceSlot of lib/generated/wire.ts: a place is the slot times this, and flags

const ops = (/** @type {Context} */ { tree }) => Math.min(most, tree.files);
const firstPaths = (/** @type {Context} */ context) => paths(context).slice(0, most);
const counted = (/** @type {number} */ files) => ({ files });

/** The addon's functions and a slot for their stat results, taken from modules that are not public. */
async function setupInside(/** @type {Context} */ context) {
  const inside = async (/** @type {string} */ name) =>
    import(new URL(`../${name}.js`, pathToFileURL(context.acallCommand)).href);
  const { native } = await inside('native');
  const { engine } = await inside('promise/engine');
  const { counters, stat } = await import('acall');
  const all = firstPaths(context);
  // A pool thread reads the mounts after the first stat. From then on stats run inline.
  for (let i = 0; i < 1000 && (await stat(all[0])) && counters().inlineHits === 0; i++) await new Promise(setImmediate);
  const slot = engine.inlineStat(all[0], 0);
  if (slot < 0) throw new Skipped('a stat of the tree does not run inline here');
  return { native, place: slot * kPlaces, stat, paths: all };
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
        for (let i = 0; i < paths.length; i++) native.submitError();
        return paths.length;
      },
      check: counted,
    },
    {
      name: 'a call into the addon, with a path',
      setup: async (context) => {
        const state = await setupInside(context);
        // A path with a NUL is refused before the kernel is asked.
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
      name: 'the inline stat, in the addon',
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
