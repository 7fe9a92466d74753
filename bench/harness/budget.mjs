/**
 * How often a driver runs in its process: warm-up runs (the JIT, the caches), then measured ones. No further run starts
 * after that time, so that a slow rival costs seconds and not minutes. The first run of all, on fresh memory and cold
 * code, is kept beside the measured ones: most programs do their work once. limits/limit.h does the same in C.
 */

/** @typedef {{ warmupRuns: number, warmupMs: number, runs: number, runsMs: number }} Budget times in milliseconds */

/** @type {Readonly<Budget>} */
export const defaultBudget = Object.freeze({ warmupRuns: 3, warmupMs: 1000, runs: 5, runsMs: 1500 });

/** @typedef {{ ns: number, seen: Record<string, unknown> }} Measured one run */

/** @param {Budget} budget */
export function budgetArguments({ warmupRuns, warmupMs, runs, runsMs }) {
  return [warmupRuns, warmupMs, runs, runsMs].map(String);
}

/**
 * @param {Budget} budget
 * @param {() => unknown} run what is timed; awaited
 * @param {(result: any) => Record<string, unknown>} check says what a result holds; outside the time
 * @returns {Promise<{ first: Measured, samples: Measured[] }>} `first` is the process's first run, warm-up or not
 */
export async function measure(budget, run, check) {
  const once = async () => {
    const begin = process.hrtime.bigint();
    const result = await run();
    const ns = Number(process.hrtime.bigint() - begin);
    return { ns, seen: check(result) };
  };
  /** @type {Measured | undefined} */
  let first;
  const elapsedMs = stopwatch();
  for (let i = 0; i < budget.warmupRuns && elapsedMs() < budget.warmupMs; i++) {
    const warm = await once();
    first ??= warm;
  }
  /** @type {Measured[]} */
  const samples = [];
  const measuredMs = stopwatch();
  for (let i = 0; i < budget.runs && (i === 0 || measuredMs() < budget.runsMs); i++) samples.push(await once());
  return { first: first ?? samples[0], samples };
}

function stopwatch() {
  const begin = performance.now();
  return () => performance.now() - begin;
}
