/**
 * The cases: every file of ../cases is one, found by looking there; its default export goes through {@link defineCase}.
 * Case files are loaded by the runner and again by each driver's process, so they import nothing that is measured.
 */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * What a driver gets to know. `tree` is there when the case has `needs`.
 * @typedef {object} Context
 * @property {import('./tree.mjs').Tree} tree
 * @property {number} files the value of --files
 * @property {string} node the Node binary that runs Node drivers
 * @property {string} acallCommand the file that `acall` starts
 */

/**
 * @typedef {object} Sample
 * @property {number} ns wall time of one run
 * @property {Record<string, any>} seen what the driver's check found
 * @property {number} ops how many operations the run stands for
 */

/**
 * A figure of a case. The first of a case is the one compared and drawn.
 * @typedef {{ name: string, unit: string, better: 'higher' | 'lower', of: (sample: Sample) => number }} Metric
 */

/**
 * One way to do the work. It has exactly one of `run` (a function in a fresh Node), `limit` (the name of a C program in ../limits)
 * and `command` (the argument vector of a program, start-up included).
 * @typedef {object} Driver
 * @property {string} name
 * @property {(context: Context) => void} [needs] throws {@link Skipped} when this machine has not what it needs
 * @property {(context: Context) => any} [setup] makes `run`'s state; throws {@link Skipped} when this machine cannot
 * @property {(state: any, context: Context) => any} [run] the timed work, with its result
 * @property {(result: any, state: any, context: Context) => Record<string, unknown>} [check] what the result (for a
 *   command: its output) holds
 * @property {string} [limit]
 * @property {(context: Context) => string[]} [args]
 * @property {(context: Context) => string[]} [command]
 * @property {boolean} [perNode] a command that runs once for each Node binary
 * @property {(context: Context) => Record<string, unknown>} [expect] the keys of `seen` that must be so; else the run fails
 * @property {number | ((context: Context) => number)} [ops] operations in a run, where it differs from the case's
 * @property {Partial<import('./budget.mjs').Budget>} [budget]
 */

/**
 * What acall is to reach: a bound on a metric's value (the first's, where none is named), or on the speed relative to the driver
 * `of`; with `first`, in the first runs of their processes.
 * @typedef {{ driver: string, metric?: string, of?: string, first?: boolean, atLeast?: number, atMost?: number }} Target
 */

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {number} [order] its place among the others, the lower the earlier (100)
 * @property {'tree' | { fileBytes: number }} [needs] the tree of 0..4 KiB files, or one whose files all have this size
 * @property {Metric[]} metrics
 * @property {string} baseline the driver that ratios are against
 * @property {Target[]} targets
 * @property {number | ((context: Context) => number)} ops
 * @property {(context: Context) => Record<string, unknown>} expect
 * @property {Partial<import('./budget.mjs').Budget>} [budget]
 * @property {Driver[]} drivers
 */

/** Thrown by a driver's `needs` or `setup`: this machine or this Node has not what it needs; the reason is printed. */
export class Skipped extends Error {}

/**
 * @param {Case} definition
 * @returns {Case} the same, once it has been found whole
 */
export function defineCase(definition) {
  const names = definition.drivers.map((driver) => driver.name);
  const fail = (/** @type {string} */ what) => {
    throw new Error(`bench case ${definition.name}: ${what}`);
  };
  if (new Set(names).size !== names.length) fail('two drivers of one name');
  for (const name of [definition.baseline, ...definition.targets.flatMap((t) => [t.driver, t.of ?? t.driver])]) {
    if (!names.includes(name)) fail(`no driver "${name}"`);
  }
  for (const { metric } of definition.targets) {
    if (metric && !definition.metrics.some(({ name }) => name === metric)) fail(`no metric "${metric}"`);
  }
  for (const driver of definition.drivers) {
    if (Number(!!driver.run) + Number(!!driver.limit) + Number(!!driver.command) !== 1) {
      fail(`"${driver.name}" needs one of run, limit, command`);
    }
    if ((driver.run || driver.command) && !driver.check) fail(`"${driver.name}" checks nothing`);
  }
  return definition;
}

const folder = fileURLToPath(new URL('../cases/', import.meta.url));

/** @returns {Promise<Map<string, { file: string, definition: Case }>>} all cases by name, in their order */
export async function loadCases() {
  const files = readdirSync(folder).filter((name) => name.endsWith('.mjs'));
  const cases = await Promise.all(
    files.sort().map(async (name) => ({ file: join(folder, name), definition: await loadCase(join(folder, name)) })),
  );
  cases.sort((a, b) => (a.definition.order ?? 100) - (b.definition.order ?? 100));
  return new Map(cases.map((each) => [each.definition.name, each]));
}

/**
 * @param {string} file
 * @returns {Promise<Case>}
 */
export async function loadCase(file) {
  const definition = (await import(pathToFileURL(file).href)).default;
  if (definition?.name !== basename(file, '.mjs')) throw new Error(`${file}: its case must be named as the file is`);
  return definition;
}
