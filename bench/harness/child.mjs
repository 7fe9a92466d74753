/**
 * One Node driver in a process of its own. Arguments: case file, driver's name, budget and context as JSON.
 * The report is one line of JSON on descriptor 3, so that whatever a driver prints cannot disturb it.
 */
import { writeSync } from 'node:fs';
import { measure } from './budget.mjs';
import { loadCase, Skipped } from './cases.mjs';

const [file, name, budget, contextText] = process.argv.slice(2);
const context = JSON.parse(contextText);
const driver = (await loadCase(file)).drivers.find((candidate) => candidate.name === name);
if (!driver?.run || !driver.check) throw new Error(`${file} has no Node driver "${name}"`);
const { run, check } = driver;

let report;
try {
  const state = await driver.setup?.(context);
  const { first, samples } = await measure(
    JSON.parse(budget),
    () => run(state, context),
    (result) => check(result, state, context),
  );
  const usage = process.resourceUsage();
  const cpuMs = (usage.userCPUTime + usage.systemCPUTime) / 1000;
  report = { node: process.version, first, samples, maxRssKiB: usage.maxRSS, cpuMs };
} catch (error) {
  if (!(error instanceof Skipped)) throw error;
  report = { node: process.version, skipped: error.message };
}
writeSync(3, JSON.stringify(report));
// Not waited for: what a driver left open, such as a rival's threads, is no part of the measurement.
process.exit(0);
