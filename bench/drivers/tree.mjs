/** The limit of walk and du, and what both cases share. */
import { availableParallelism } from 'node:os';
import { isInstalled } from '../harness/processes.mjs';

/** @typedef {import('../harness/cases.mjs').Driver} Driver */
/** @typedef {import('../harness/cases.mjs').Context} Context */

/**
 * @param {'walk' | 'du'} job
 * @param {Driver['expect']} expect
 * @returns {Driver[]} in one thread and in as many as there are cores
 */
export function treeLimits(job, expect) {
  const limit = (/** @type {string} */ name, /** @type {number} */ threads) => ({
    name,
    limit: 'tree',
    args: (/** @type {Context} */ { tree }) => [tree.root, String(threads), job],
    expect,
  });
  return [limit('C, 1 thread', 1), limit('C, all cores', availableParallelism())];
}

/** Everything below the root. */
export const entriesBelow = (/** @type {Context} */ { tree }) => tree.files + tree.directories;

/**
 * The first of some names that is a program here, else the first: Debian calls `fd` fdfind.
 * @param {...string} names
 */
export function firstInstalled(...names) {
  return names.find(isInstalled) ?? names[0];
}
