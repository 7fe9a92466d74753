/**
 * The benchmarks: `npm run bench -- [options] [case...]`. Each driver runs in a fresh process for each repeat, and the
 * drivers of a case take turns, so that a disturbance of the machine affects all drivers alike. A driver that does not do the
 * work that it is timed for fails the run (exit code 1); a slow driver does not.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadCases } from './harness/cases.mjs';
import { chart } from './harness/chart.mjs';
import { buildLimits } from './harness/limits.mjs';
import { machineFacts } from './harness/machine.mjs';
import { findNodes } from './harness/nodes.mjs';
import { fetchRivals } from './harness/packages.mjs';
import { runDriver } from './harness/processes.mjs';
import { caseText, checkDocument, machineLine, updateDocument } from './harness/report.mjs';
import { resultOf } from './harness/results.mjs';
import { scratch } from './harness/scratch.mjs';
import { prepareTree } from './harness/tree.mjs';

const help = `usage: npm run bench -- [options] [case...]

Without a case, all of them.

  --list           the cases and their drivers
  --repeats N      processes per driver (5)
  --files N        files in the tree that is walked and looked up (100000)
  --driver TEXT    only drivers whose name contains it, and what they are compared with; may be
                   repeated
  --node NODE      one more Node to compare: a binary, or a major version to get from npm; may be repeated
  --rivals         get rivals that are not installed from npm too
  --json FILE      write the results
  --svg FILE       draw them
  --docs FILE      put the tables into their places in a Markdown file
  --help`;

const say = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);

process.exitCode = await main();

async function main() {
  /** @type {ReturnType<typeof parseOptions>} */
  let options;
  const cases = await loadCases();
  try {
    options = parseOptions(cases);
  } catch (error) {
    say(`bench: ${/** @type {Error} */ (error).message}`);
    return 2;
  }
  if (options.help) {
    console.log(help);
    return 0;
  }
  if (options.list) {
    for (const { definition } of cases.values()) {
      console.log(`${definition.name}: ${definition.title}`);
      for (const driver of definition.drivers) console.log(`    ${driver.name}`);
    }
    return 0;
  }

  if (options.docs) checkDocument(options.docs, options.cases);
  const nodes = findNodes(options.node, say);
  if (options.rivals) fetchRivals(say);
  const machine = machineFacts(scratch());
  if (machine.loadAverage > machine.cores / 4)
    say(`the machine is busy: load average ${machine.loadAverage.toFixed(2)}`);
  const limits = buildLimits();
  const selected = options.cases.map(
    (name) => /** @type {NonNullable<ReturnType<typeof cases.get>>} */ (cases.get(name)),
  );
  /** @type {Map<number | undefined, import('./harness/tree.mjs').Tree>} */
  const trees = new Map();
  const treeFor = (/** @type {import('./harness/cases.mjs').Case} */ { needs }) => {
    if (needs === undefined) return /** @type {any} */ (null);
    const fileBytes = needs === 'tree' ? undefined : needs.fileBytes;
    const tree = trees.get(fileBytes) ?? prepareTree(options.files, say, fileBytes);
    trees.set(fileBytes, tree);
    return tree;
  };
  const context = {
    files: options.files,
    node: process.execPath,
    acallCommand: fileURLToPath(new URL('../dist/cli/main.js', import.meta.url)),
  };
  /** @type {import('./harness/results.mjs').Results} */
  const results = { machine, nodes: nodes.map(({ version }) => version), ...pick(options), cases: [] };
  console.log(machineLine(results));
  for (const found of selected) {
    const result = await runCase(found, options, nodes, { ...context, tree: treeFor(found.definition) }, limits);
    results.cases.push(result);
    console.log(caseText(result, results.nodes));
  }
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.svg) writeFileSync(options.svg, chart(results));
  if (options.docs) updateDocument(options.docs, results);
  const failed = results.cases.flatMap(({ rows }) => rows).filter((row) => row.failed !== undefined).length;
  if (failed) say(`bench: ${failed} failed`);
  return failed ? 1 : 0;
}

/**
 * @param {{ file: string, definition: import('./harness/cases.mjs').Case }} found
 * @param {ReturnType<typeof parseOptions>} options
 * @param {{ path: string, version: string }[]} nodes
 * @param {import('./harness/cases.mjs').Context} context
 * @param {Map<string, string>} limits
 */
async function runCase(found, options, nodes, context, limits) {
  const { definition } = found;
  /** @type {(import('./harness/results.mjs').Runs & { path: string })[]} */
  const entries = definition.drivers
    .filter(({ name }) => isWanted(name, options.driver, definition))
    .flatMap((driver) => {
      const hosts = driver.run || driver.perNode ? nodes : [{ path: process.execPath, version: null }];
      return hosts.map(({ path, version }) => ({ driver, outcomes: [], node: version, path }));
    });
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    // Each round begins with another driver, so that no driver always runs after the same one.
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[(i + repeat) % entries.length];
      if (entry.failed !== undefined || entry.outcomes.some((outcome) => 'skipped' in outcome)) continue;
      progress(`${definition.name} ${repeat + 1}/${options.repeats} ${entry.driver.name}`);
      try {
        entry.outcomes.push(await runDriver(found, entry.driver, { ...context, node: entry.path }, limits));
      } catch (error) {
        entry.failed = /** @type {Error} */ (error).message;
      }
    }
  }
  progress('');
  return resultOf(definition, entries);
}

/**
 * @param {string} name
 * @param {string[]} wanted
 * @param {import('./harness/cases.mjs').Case} definition
 */
function isWanted(name, wanted, { baseline, targets }) {
  const compared = [baseline, ...targets.map(({ of }) => of)];
  return wanted.length === 0 || compared.includes(name) || wanted.some((text) => name.includes(text));
}

/** @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** @param {ReturnType<typeof parseOptions>} options */
function pick({ repeats, files }) {
  return { repeats, files };
}

/** @param {Awaited<ReturnType<typeof loadCases>>} cases */
function parseOptions(cases) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      repeats: { type: 'string', default: '5' },
      files: { type: 'string', default: '100000' },
      driver: { type: 'string', multiple: true, default: /** @type {string[]} */ ([]) },
      rivals: { type: 'boolean', default: false },
      node: { type: 'string', multiple: true, default: /** @type {string[]} */ ([]) },
      json: { type: 'string' },
      svg: { type: 'string' },
      docs: { type: 'string' },
    },
  });
  const unknown = positionals.find((name) => !cases.has(name));
  if (unknown !== undefined) throw new Error(`no case "${unknown}"; --list shows them`);
  return {
    ...values,
    repeats: wholeNumber('--repeats', values.repeats, 1000),
    files: wholeNumber('--files', values.files, 10_000_000),
    cases: positionals.length ? [...new Set(positionals)] : [...cases.keys()],
  };
}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} max
 */
function wholeNumber(option, text, max) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max) throw new Error(`${option} takes a number from 1 to ${max}`);
  return value;
}
