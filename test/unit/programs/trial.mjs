/* A case of a benchmark for bench.test.ts: each run tells which it is. */
import { defineCase } from '../../../bench/harness/cases.mjs';

let nth = 0;

export default defineCase({
  name: 'trial',
  title: '',
  metrics: [],
  baseline: 'node',
  targets: [],
  ops: 1,
  expect: () => ({}),
  drivers: [{ name: 'node', run: () => ++nth, check: (/** @type {number} */ nth) => ({ nth }) }],
});
