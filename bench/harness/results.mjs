/** What a run found, as the JSON file, the table, the documents and the chart all see it. */
import { format, speedOf, summarize } from './statistics.mjs';

/** @typedef {import('./cases.mjs').Case} Case */
/** @typedef {import('./cases.mjs').Driver} Driver */
/** @typedef {import('./statistics.mjs').Figure} Figure */

/**
 * One driver under one Node; `node` is null for what no Node runs.
 * @typedef {object} Row
 * @property {string} driver
 * @property {'acall' | 'limit' | 'rival'} kind
 * @property {string | null} node
 * @property {string} [skipped] why it did not run
 * @property {string} [failed] what was wrong with it
 * @property {Record<string, Figure>} figures by the metrics' names; empty when it did not run
 * @property {Record<string, Figure>} first the same of the first run of each process, before any warm-up
 * @property {number | null} speed against the baseline, in the first metric
 * @property {number | null} maxRssMiB
 * @property {number | null} cpuMs of its process, warm-up included
 */

/**
 * @typedef {object} CaseResult
 * @property {string} name
 * @property {string} title
 * @property {{ name: string, unit: string, better: 'higher' | 'lower' }[]} metrics
 * @property {string} baseline
 * @property {{ text: string, value: number, reached: boolean }[]} targets
 * @property {Row[]} rows
 */

/**
 * @typedef {object} Results
 * @property {ReturnType<typeof import('./machine.mjs').machineFacts>} machine
 * @property {string[]} nodes versions, this process's first
 * @property {number} repeats
 * @property {number} files
 * @property {CaseResult[]} cases
 */

/**
 * Everything that was seen of one driver under one Node.
 * @typedef {{ driver: Driver, node: string | null, outcomes: import('./processes.mjs').Outcome[], failed?: string }} Runs
 */

/**
 * @param {Case} definition
 * @param {Runs[]} runs
 * @returns {CaseResult}
 */
export function resultOf(definition, runs) {
  const rows = runs.map((each) => rowOf(definition, each));
  const [{ name, better }] = definition.metrics;
  const medianFor = (
    /** @type {string} */ driver,
    /** @type {string | null} */ node,
    metric = name,
    isFirst = false,
  ) => {
    const row = rows.find((each) => each.driver === driver && (each.node === node || each.node === null));
    return (isFirst ? row?.first : row?.figures)?.[metric]?.median;
  };
  const firstNode = rows.find((row) => row.node !== null)?.node ?? null;
  for (const row of rows) {
    const baseline = medianFor(definition.baseline, row.node ?? firstNode);
    const value = row.figures[name]?.median;
    row.speed = baseline === undefined || value === undefined ? null : speedOf(value, baseline, better);
  }
  const targets = definition.targets.flatMap((target) => {
    const metric = definition.metrics.find((each) => each.name === target.metric) ?? definition.metrics[0];
    const median = (/** @type {string} */ driver) => medianFor(driver, firstNode, metric.name, target.first);
    const own = median(target.driver);
    const other = target.of === undefined ? undefined : median(target.of);
    if (own === undefined || (target.of !== undefined && other === undefined)) return [];
    const value = other === undefined ? own : speedOf(own, other, metric.better);
    const reached = value >= (target.atLeast ?? -Infinity) && value <= (target.atMost ?? Infinity);
    return [{ text: targetText(target, metric), value, reached }];
  });
  const metrics = definition.metrics.map((metric) => ({ name: metric.name, unit: metric.unit, better: metric.better }));
  return { name: definition.name, title: definition.title, metrics, baseline: definition.baseline, targets, rows };
}

/**
 * @param {Case} definition
 * @param {Runs} runs
 * @returns {Row}
 */
function rowOf(definition, { driver, node, outcomes, failed }) {
  const kind = driver.limit ? 'limit' : driver.name.startsWith('acall') ? 'acall' : 'rival';
  /** @type {Row} */
  const row = { driver: driver.name, kind, node, figures: {}, first: {}, speed: null, maxRssMiB: null, cpuMs: null };
  const skipped = outcomes.find((outcome) => 'skipped' in outcome);
  if (failed !== undefined) return { ...row, failed };
  if (skipped && 'skipped' in skipped) return { ...row, skipped: skipped.skipped };
  const measured = outcomes.flatMap((outcome) => ('samples' in outcome ? [outcome] : []));
  for (const metric of definition.metrics) {
    const values = measured.map(({ samples }) => summarize(samples.map(metric.of)).median);
    if (values.every(Number.isFinite)) row.figures[metric.name] = summarize(values);
    const firsts = measured.map(({ first }) => metric.of(first));
    if (firsts.every(Number.isFinite)) row.first[metric.name] = summarize(firsts);
  }
  row.maxRssMiB = medianOf(measured.map(({ maxRssKiB }) => (maxRssKiB ?? Number.NaN) / 1024));
  row.cpuMs = medianOf(measured.map(({ cpuMs }) => cpuMs ?? Number.NaN));
  return row;
}

/** @param {number[]} values */
function medianOf(values) {
  return values.length && values.every(Number.isFinite) ? summarize(values).median : null;
}

/**
 * @param {import('./cases.mjs').Target} target
 * @param {import('./cases.mjs').Metric} metric
 */
function targetText({ driver, of, atLeast, atMost, metric, first }, { name, unit }) {
  const bound = atLeast === undefined ? `at most ${format(atMost ?? Number.NaN)}` : `at least ${format(atLeast)}`;
  const who = `${driver}${first ? ', first run' : ''}`;
  if (of === undefined) return `${who}, ${name}: ${bound} ${unit}`;
  return `${who}${metric === undefined ? '' : `, ${name}`}: ${bound} of the speed of ${of}`;
}

/**
 * The table of a case: with one Node its spread, memory and further metrics; with several, a column for each.
 * @param {CaseResult} result
 * @param {string[]} nodes
 * @returns {{ head: string[], rows: string[][] }}
 */
export function tableOf(result, nodes) {
  return nodes.length > 1 ? nodesTable(result, nodes) : detailTable(result);
}

/** @param {CaseResult} result */
function detailTable({ metrics, baseline, rows }) {
  const [first, ...further] = metrics;
  const head = [
    'driver',
    `${first.name}, ${first.unit}`,
    'first run',
    'min .. max',
    `speed against ${baseline}`,
    ...further.map((metric) => `${metric.name}, ${metric.unit}`),
    'peak MiB',
  ];
  const body = rows.map((row) => {
    const figure = row.figures[first.name];
    if (!figure) return [row.driver, whyNot(row), ...Array(further.length + 4).fill('')];
    return [
      row.driver,
      format(figure.median),
      firstText(row, first.name),
      `${format(figure.min)} .. ${format(figure.max)}`,
      speedText(row),
      ...further.map((metric) => (row.figures[metric.name] ? format(row.figures[metric.name].median) : '')),
      row.maxRssMiB === null ? '' : row.maxRssMiB.toFixed(0),
    ];
  });
  return { head, rows: body };
}

/**
 * @param {CaseResult} result
 * @param {string[]} nodes
 */
function nodesTable({ metrics: [first], baseline, rows }, nodes) {
  const head = [
    `driver (speed against ${baseline})`,
    ...nodes.flatMap((node) => [`${node}: ${first.unit}`, 'first run', 'speed']),
  ];
  const drivers = [...new Set(rows.map((row) => row.driver))];
  const body = drivers.map((driver) => [
    driver,
    ...nodes.flatMap((node, i) => {
      const row = rows.find(
        (each) => each.driver === driver && (each.node === node || (i === 0 && each.node === null)),
      );
      if (!row) return ['', '', ''];
      const figure = row.figures[first.name];
      return figure ? [format(figure.median), firstText(row, first.name), speedText(row)] : [whyNot(row), '', ''];
    }),
  ]);
  return { head, rows: body };
}

/** @param {Row} row */
function whyNot(row) {
  return row.failed === undefined ? 'skipped' : 'FAILED';
}

/**
 * @param {Row} row
 * @param {string} metric
 */
function firstText(row, metric) {
  return row.first[metric] ? format(row.first[metric].median) : '';
}

/** @param {Row} row */
function speedText(row) {
  return row.speed === null ? '' : `${format(row.speed)} x`;
}
