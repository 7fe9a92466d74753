import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { defineCase } from '../harness/cases.mjs';
import { milliseconds } from '../harness/metrics.mjs';

const pageBytes = 4096;

function residentMiB() {
  const [, resident] = readFileSync('/proc/self/statm', 'utf8').split(' ').map(Number);
  return (resident * pageBytes) / 2 ** 20;
}

const threads = () => readdirSync('/proc/self/task').length;

/**
 * @param {string} name
 * @param {() => Promise<object>} load
 * @returns {import('../harness/cases.mjs').Driver}
 */
function loader(name, load) {
  return {
    name,
    // Node's threads and the loader itself are there before the measurement.
    async setup() {
      await import('node:child_process');
      return { threads: threads(), residentMiB: residentMiB() };
    },
    run: load,
    check: (module, before) => ({
      loaded: Object.keys(module).length > 0,
      threads: threads() - before.threads,
      residentMiB: residentMiB() - before.residentMiB,
    }),
  };
}

export default defineCase({
  name: 'import',
  title: 'the first import',
  order: 80,
  metrics: [
    milliseconds,
    { name: 'threads started', unit: 'n', better: 'lower', of: ({ seen }) => seen.threads },
    { name: 'resident', unit: 'MiB', better: 'lower', of: ({ seen }) => seen.residentMiB },
  ],
  baseline: 'koffi',
  targets: [
    { driver: 'acall', atMost: 5 },
    { driver: 'acall', metric: 'threads started', atMost: 0 },
    { driver: 'acall', metric: 'resident', atMost: 2 },
  ],
  ops: 1,
  expect: () => ({ loaded: true }),
  budget: { warmupRuns: 0, runs: 1 },
  drivers: [
    loader('acall', () => import('acall')),
    loader('acall, by require', async () => createRequire(import.meta.url)('acall')),
    loader('koffi', () => import('koffi')),
    loader('fdir', () => import('fdir')),
  ],
});
