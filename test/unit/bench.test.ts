// The harness of the benchmarks: every kind of driver reports the first run of its fresh process beside the later ones.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { measure } from '../../bench/harness/budget.mjs';
import { type Case, type Context, type Driver, loadCases } from '../../bench/harness/cases.mjs';
import { buildLimits } from '../../bench/harness/limits.mjs';
import { isInstalled, runDriver } from '../../bench/harness/processes.mjs';
import { resultOf, tableOf } from '../../bench/harness/results.mjs';

const budget = { warmupRuns: 2, warmupMs: 1000, runs: 3, runsMs: 10_000 };
const context = { node: process.execPath } as Context;

function caseOf(drivers: Driver[], extra: Partial<Case> = {}): Case {
  return {
    name: 'trial',
    title: 'a trial',
    metrics: [{ name: 'nth', unit: 'runs', better: 'lower', of: ({ seen }) => seen.nth }],
    baseline: drivers[0]!.name,
    targets: [],
    ops: 1,
    expect: () => ({}),
    budget,
    drivers,
    ...extra,
  };
}

describe('measure', () => {
  it('keeps the first run of all, whether it is a warm-up or not', async () => {
    for (const warmupRuns of [0, 2]) {
      let nth = 0;
      const { first, samples } = await measure(
        { ...budget, warmupRuns },
        () => ++nth,
        (result) => ({ nth: result }),
      );
      expect(first.seen).toEqual({ nth: 1 });
      expect(samples.map(({ seen }) => seen.nth)).toEqual([1, 2, 3].map((i) => i + warmupRuns));
    }
  });
});

describe('a driver', () => {
  it('in Node reports the first run of its process', async () => {
    const file = join(__dirname, 'programs', 'trial.mjs');
    const definition = caseOf([{ name: 'node', run: () => 0, check: () => ({}) }]);
    const outcome = await runDriver({ file, definition }, definition.drivers[0]!, context, new Map());
    expect(outcome).toMatchObject({
      first: { seen: { nth: 1 } },
      samples: [3, 4, 5].map((nth) => ({ seen: { nth } })),
    });
  });

  it.skipIf(!isInstalled('cc'))('in C, and as a command, reports the first run of its process', async () => {
    const limits = buildLimits();
    const c: Driver = { name: 'C', limit: 'getppid', args: () => ['1000', '1'] };
    const command: Driver = { name: 'true', command: () => ['true'], check: () => ({ nth: 0 }) };
    const definition = caseOf([c, command]);
    for (const driver of definition.drivers) {
      const outcome = await runDriver({ file: '', definition }, driver, context, limits);
      if ('skipped' in outcome) throw new Error(outcome.skipped);
      expect(outcome.first.ns, driver.name).toBeGreaterThan(0);
      expect(outcome.samples, driver.name).toHaveLength(budget.runs);
    }
  });
});

describe('the report', () => {
  const outcome = (first: number, ...nths: number[]) => {
    const sample = (nth: number) => ({ ns: 1, seen: { nth }, ops: 1 });
    return { first: sample(first), samples: nths.map(sample) };
  };
  const drivers: Driver[] = [
    { name: 'rival', limit: 'x' },
    { name: 'acall', limit: 'x' },
  ];
  const definition = caseOf(drivers, {
    targets: [
      { driver: 'acall', of: 'rival', atLeast: 2 },
      { driver: 'acall', of: 'rival', first: true, atLeast: 2 },
    ],
  });
  const runs = [
    { driver: drivers[0]!, node: null, outcomes: [outcome(90, 10, 20, 30), outcome(70, 20, 20, 20)] },
    { driver: drivers[1]!, node: null, outcomes: [outcome(60, 5, 10, 15), outcome(100, 10, 10, 10)] },
  ];

  it('has the first run of each driver beside its median, and targets may be about either', () => {
    const result = resultOf(definition, runs);
    expect(result.rows.map(({ figures, first }) => [figures.nth!.median, first.nth!.median])).toEqual([
      [20, 80],
      [10, 80],
    ]);
    expect(result.targets.map(({ value, reached }) => [value, reached])).toEqual([
      [2, true],
      [1, false],
    ]);
    for (const nodes of [['v1'], ['v1', 'v2']]) {
      const { head, rows } = tableOf(result, nodes);
      const column = head.indexOf('first run');
      expect(rows.map((row) => row[column])).toEqual(['80', '80']);
      for (const row of rows) expect(row).toHaveLength(head.length);
    }
  });
});

describe('the cases', () => {
  const bench = resolve(__dirname, '../../bench');

  it('have each a place in docs/benchmarks.md, and use every limit and every driver that is there', async () => {
    const cases = await loadCases();
    const document = readFileSync(join(bench, '../docs/benchmarks.md'), 'utf8');
    const places = [...document.matchAll(/^<!-- bench:([\w-]+) -->$/gm)].map(([, name]) => name!);
    expect([...cases.keys(), 'machine'].sort()).toEqual(places.sort());
    const drivers = [...cases.values()].flatMap(({ definition }) => definition.drivers);
    const built = readdirSync(join(bench, 'limits')).flatMap((name) => /^(\w+)\.c$/.exec(name)?.[1] ?? []);
    const used = new Set(['spawn', ...drivers.flatMap(({ limit }) => limit ?? [])]); // spawn.c times commands
    expect([...used].sort()).toEqual(built.sort());
    const sources = readdirSync(join(bench, 'cases')).map((name) => readFileSync(join(bench, 'cases', name), 'utf8'));
    for (const name of readdirSync(join(bench, 'drivers')))
      expect(sources.some((source) => source.includes(`'../drivers/${name}'`))).toBe(true);
  });
});
