/** Runs a driver once in a fresh process, whatever its kind, and asserts that it did the work. */
import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { budgetArguments, defaultBudget } from './budget.mjs';
import { Skipped } from './cases.mjs';

/** @typedef {import('./cases.mjs').Case} Case */
/** @typedef {import('./cases.mjs').Driver} Driver */
/** @typedef {import('./cases.mjs').Context} Context */
/** @typedef {import('./cases.mjs').Sample} Sample */
/** @typedef {import('./budget.mjs').Measured} Measured */
/** @typedef {{ first: Sample, samples: Sample[], maxRssKiB?: number, cpuMs?: number } | { skipped: string }} Outcome */

const child = fileURLToPath(new URL('./child.mjs', import.meta.url));
const timeoutMs = 300_000;

/**
 * @param {{ file: string, definition: Case }} found
 * @param {Driver} driver
 * @param {Context} context
 * @param {Map<string, string>} limits
 * @returns {Promise<Outcome>} rejects when the driver fails or did not do what is expected of it
 */
export async function runDriver({ file, definition }, driver, context, limits) {
  try {
    driver.needs?.(context);
  } catch (error) {
    if (error instanceof Skipped) return { skipped: error.message };
    throw error;
  }
  const budget = { ...defaultBudget, ...definition.budget, ...driver.budget };
  /** @type {{ first: Measured, samples: Measured[], maxRssKiB?: number, cpuMs?: number } | { skipped: string }} */
  let outcome;
  if (driver.run) outcome = await runNode(file, driver, context, budget);
  else if (driver.limit) outcome = await runLimit(driver, context, budget, limits);
  else outcome = await runCommand(driver, context, budget, limits);
  if ('skipped' in outcome) return outcome;

  const expected = (driver.expect ?? definition.expect)(context);
  const count = driver.ops ?? definition.ops;
  const ops = typeof count === 'function' ? count(context) : count;
  if (outcome.samples.length === 0) throw new Error('it measured nothing');
  for (const sample of [outcome.first, ...outcome.samples]) {
    const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, sample.seen[key]]));
    if (!isDeepStrictEqual(seen, expected)) {
      throw new Error(`it found ${JSON.stringify(seen)} instead of ${JSON.stringify(expected)}`);
    }
  }
  const withOps = (/** @type {Measured} */ sample) => ({ ...sample, ops });
  return { ...outcome, first: withOps(outcome.first), samples: outcome.samples.map(withOps) };
}

/**
 * @param {string} file
 * @param {Driver} driver
 * @param {Context} context
 * @param {import('./budget.mjs').Budget} budget
 */
async function runNode(file, driver, context, budget) {
  const args = [child, file, driver.name, JSON.stringify(budget), JSON.stringify(context)];
  const { report } = await start(context.node, args);
  return JSON.parse(report);
}

/**
 * @param {Driver} driver
 * @param {Context} context
 * @param {import('./budget.mjs').Budget} budget
 * @param {Map<string, string>} limits
 */
async function runLimit(driver, context, budget, limits) {
  const program = limits.get(/** @type {string} */ (driver.limit));
  if (!program) throw new Error(`there is no bench/limits/${driver.limit}.c`);
  const { output } = await start(program, [...budgetArguments(budget), ...(driver.args?.(context) ?? [])]);
  return parseLines(output);
}

/**
 * @param {Driver} driver
 * @param {Context} context
 * @param {import('./budget.mjs').Budget} budget
 * @param {Map<string, string>} limits
 */
async function runCommand(driver, context, budget, limits) {
  const command = /** @type {NonNullable<Driver['command']>} */ (driver.command)(context);
  if (!isInstalled(command[0])) return { skipped: `${command[0]} is not installed` };
  const spawner = /** @type {string} */ (limits.get('spawn'));
  const written = `${spawner}.output`;
  const { output } = await start(spawner, [...budgetArguments(budget), written, ...command]);
  const { first, samples } = parseLines(output);
  const check = /** @type {NonNullable<Driver['check']>} */ (driver.check);
  const seen = check(readFileSync(written, 'utf8'), undefined, context);
  rmSync(written);
  const maxRssKiB = Math.max(...samples.map((sample) => Number(sample.seen.maxRssKiB)));
  return { first: { ...first, seen }, samples: samples.map((sample) => ({ ...sample, seen })), maxRssKiB };
}

/**
 * @param {string} output
 * @returns {{ first: Measured, samples: Measured[] }} the first line is the process's first run, see limit.h
 */
function parseLines(output) {
  const [first, ...samples] = output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { first, samples };
}

/**
 * @param {string} program
 * @returns {boolean}
 */
export function isInstalled(program) {
  const folders = program.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(folder ? join(folder, program) : program, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<{ output: string, report: string }>} what it wrote to standard output and to descriptor 3
 */
function start(program, args) {
  return new Promise((resolve, reject) => {
    const started = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], timeout: timeoutMs });
    const texts = ['', '', ''];
    for (const [i, stream] of started.stdio.slice(1).entries()) {
      stream?.on('data', (/** @type {Buffer} */ chunk) => {
        texts[i] += chunk;
      });
    }
    started.once('error', reject);
    started.once('close', (code, signal) => {
      const [output, errors, report] = texts;
      if (code === 0) return resolve({ output, report });
      const end = signal ? `ended by ${signal}` : `exit code ${code}`;
      reject(new Error(`${end}: ${firstError(errors)}`));
    });
  });
}

/** @param {string} text */
function firstError(text) {
  const lines = text.split('\n').filter((line) => line.trim());
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines[0] ?? 'it said nothing';
}
