// The main job on this machine's real files, side by side with node:fs: the loop of stats, a walk, a du.
// Usage: npm run demo [-- FOLDER]. Takes some seconds; best of three rounds each. Files that the user may not read are left out in all
// measurements, and counted.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { asyncScope, counters, du, StatBuffer, stat, statMany, walk } from 'acall';
import Table from 'cli-table3';

const kRounds = 3;
const kMostPaths = 50_000;
const root = process.argv[2] ?? '/usr';

const rows = [];
async function measure(work, driver, run) {
  let best = Number.POSITIVE_INFINITY;
  let answer;
  for (let round = 0; round < kRounds; round++) {
    const started = performance.now();
    answer = await run();
    best = Math.min(best, performance.now() - started);
  }
  rows.push({ work, driver, best, answer });
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${work}: ${driver}`);
}

let unreadable = 0;
const onError = () => unreadable++;
const found = (await walk(root, { onError }).collect())
  .filter((entry) => entry.isFile())
  .slice(0, kMostPaths)
  .map((entry) => entry.path);
const { error } = await statMany(found);
const paths = found.filter((_, i) => error[i] === 0);
unreadable += found.length - paths.length;
const leftOut = unreadable;
const sum = (sizes) => sizes.reduce((total, size) => total + size, 0);
const work = { stat: `sizes of ${paths.length} files`, walk: `walk ${root}`, du: `du ${root}` };

await measure(work.stat, 'fs.statSync', () => sum(paths.map((path) => fs.statSync(path).size)));
await measure(work.stat, 'fs.promises.stat, Promise.all', async () =>
  sum((await Promise.all(paths.map((path) => fs.promises.stat(path)))).map(({ size }) => size)),
);
await measure(work.stat, 'acall stat, Promise.all', async () =>
  sum((await Promise.all(paths.map((path) => stat(path)))).map(({ size }) => size)),
);
await measure(work.stat, 'acall async_stat, wait_for_async', async () => {
  const { async_stat, wait_for_async } = asyncScope();
  const entries = paths.map(() => new StatBuffer());
  for (const [i, path] of paths.entries()) async_stat(path, entries[i]);
  await wait_for_async();
  return sum(entries.map(({ size }) => size));
});
await measure(work.stat, 'acall statMany', async () => sum((await statMany(paths)).size));

/** The result of `read`, or `otherwise` when this user has no permission. */
function permitted(read, otherwise) {
  try {
    return read();
  } catch (error) {
    if (error.code === 'EACCES') return otherwise;
    throw error;
  }
}

function walkSync(folder) {
  let count = 0;
  for (const entry of permitted(() => fs.readdirSync(folder, { withFileTypes: true }), [])) {
    count += 1 + (entry.isDirectory() ? walkSync(join(folder, entry.name)) : 0);
  }
  return count;
}
await measure(work.walk, 'fs.readdirSync, own recursion', () => walkSync(root));
await measure(work.walk, 'acall walk().collect()', async () => (await walk(root, { onError }).collect()).length);

function duSync(path, seen = new Set()) {
  const stats = permitted(() => fs.lstatSync(path));
  if (stats === undefined) return 0;
  const { blocks, nlink, ino, dev } = stats;
  const isFolder = stats.isDirectory();
  if (!isFolder && nlink > 1) {
    if (seen.has(`${dev}:${ino}`)) return 0;
    seen.add(`${dev}:${ino}`);
  }
  return (
    blocks * 512 +
    (isFolder ? sum(permitted(() => fs.readdirSync(path), []).map((name) => duSync(join(path, name), seen))) : 0)
  );
}
await measure(work.du, 'fs.lstatSync, own recursion', () => duSync(root));
// GNU du exits with 1 when it may not read everything, and prints the sum of the rest.
await measure(work.du, 'GNU du -s -B1', () =>
  Number.parseInt(spawnSync('du', ['-s', '-B1', root], { encoding: 'utf8' }).stdout, 10),
);
await measure(work.du, 'acall du()', async () => (await du(root)).bytes);

if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
const table = new Table({
  head: ['work', 'by', 'ms', 'times as fast as the first', 'answer'],
  style: { head: [], border: [] },
});
for (const { work: name, driver, best, answer } of rows) {
  const first = rows.find((row) => row.work === name).best;
  table.push([name, driver, best.toFixed(1), (first / best).toFixed(2), String(answer)]);
}
console.log(table.toString());
if (leftOut > 0) console.log(`unreadable below ${root} and left out: ${leftOut}`);
const { submitted, completed, threads } = counters();
console.log(`Node ${process.version}; ${submitted} ops submitted, ${completed} completed, ${threads} threads now`);
