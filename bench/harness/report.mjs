/** Shows results: tables in the terminal, and the generated parts of a Markdown document. */
import { readFileSync, writeFileSync } from 'node:fs';
import Table from 'cli-table3';
import { tableOf } from './results.mjs';
import { format } from './statistics.mjs';

/** @typedef {import('./results.mjs').Results} Results */
/** @typedef {import('./results.mjs').CaseResult} CaseResult */

/**
 * @param {CaseResult} result
 * @param {string[]} nodes
 * @returns {string}
 */
export function caseText(result, nodes) {
  const { head, rows } = tableOf(result, nodes);
  /** @type {import('cli-table3').HorizontalAlignment[]} */
  const colAligns = head.map((_, i) => (i === 0 ? 'left' : 'right'));
  const table = new Table({ head, colAligns, style: { head: [], border: [], compact: true } });
  table.push(...rows);
  const remarks = remarksOf(result).map((text) => `  ${text}`);
  return [`\n${result.name}: ${result.title}`, table.toString(), ...remarks].join('\n');
}

/** @param {Results} results */
export function machineLine({ machine, nodes, repeats }) {
  const { cpu, cores, memoryGiB, kernel, fileSystem, loadAverage, date } = machine;
  const load = `load ${loadAverage.toFixed(1)} at the start`;
  const runs = `${repeats} ${repeats === 1 ? 'process' : 'processes'} per driver`;
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, ${fileSystem}, Node ${nodes.join(', ')}, ${runs}, ${load}, ${date}`;
}

/**
 * Before hours are spent: whether the document has a place for each case.
 * @param {string} file
 * @param {string[]} names
 */
export function checkDocument(file, names) {
  const text = readFileSync(file, 'utf8');
  for (const name of ['machine', ...names]) placeOf(text, file, name);
}

/**
 * @param {string} text
 * @param {string} file
 * @param {string} name
 * @returns {[number, number]} where its text begins and ends
 */
function placeOf(text, file, name) {
  const begin = `<!-- bench:${name} -->`;
  const end = `<!-- /bench:${name} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${file} has no place ${begin} ... ${end}`);
  return [from + begin.length, to];
}

/**
 * Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` for each case that ran, and `machine`.
 * @param {string} file
 * @param {Results} results
 */
export function updateDocument(file, results) {
  let text = readFileSync(file, 'utf8');
  const blocks = results.cases.map((result) => ({ name: result.name, body: caseMarkdown(result, results.nodes) }));
  for (const { name, body } of [{ name: 'machine', body: machineLine(results) }, ...blocks]) {
    const [from, to] = placeOf(text, file, name);
    text = `${text.slice(0, from)}\n${body}\n${text.slice(to)}`;
  }
  writeFileSync(file, text);
}

/**
 * @param {CaseResult} result
 * @param {string[]} nodes
 */
function caseMarkdown(result, nodes) {
  const { head, rows } = tableOf(result, nodes);
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  const rule = line(head.map((_, i) => (i === 0 ? '---' : '---:')));
  const remarks = remarksOf(result).map((text) => `- ${text}`);
  return ['', line(head), rule, ...rows.map(line), '', ...remarks, ...(remarks.length ? [''] : [])].join('\n');
}

/** @param {CaseResult} result */
function remarksOf({ targets, rows }) {
  const reached = targets.map(
    ({ text, value, reached }) => `to reach: ${text}. Here ${format(value)}: ${reached ? 'reached' : 'NOT reached'}`,
  );
  const missing = rows.flatMap((row) => {
    const name = row.node === null ? row.driver : `${row.driver} (Node ${row.node})`;
    if (row.failed !== undefined) return [`FAILED: ${name}: ${row.failed}`];
    return row.skipped === undefined ? [] : [`skipped: ${name}: ${row.skipped}`];
  });
  return [...reached, ...missing];
}
