// Four opens of a FIFO that nobody writes to. With node:fs they take every thread of libuv's pool: all other file calls wait
// for ever, and process.exit() never returns. With acall other calls go on, an abort takes milliseconds, and the process
// ends at once. Each half runs in a process of its own, because the first has to be killed.
//
//   node examples/stuck.mjs
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open as nodeOpen, stat as nodeStat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open, stat } from 'acall';

const kPatience = 1000; // milliseconds that are "for ever" here
const say = (text) => console.log(`   ${text}`);
const took = (begun) => `${(performance.now() - begun).toFixed(1)} ms`;
const orTired = (promise) =>
  Promise.race([promise, new Promise((resolve) => setTimeout(resolve, kPatience, 'no answer after 1 s'))]);

async function withNode(fifo) {
  for (let i = 0; i < 4; i++) nodeOpen(fifo, 'r').catch(() => {});
  const begun = performance.now();
  const answer = await orTired(nodeStat('/').then(() => took(begun)));
  say(`fs.promises.stat('/')   ${answer}`);
  say(`abort                   an AbortSignal does not end an open()`);
  process.send('exit');
  process.exit(0);
}

async function withAcall(fifo) {
  const controller = new AbortController();
  const opens = Array.from({ length: 4 }, () => open(fifo, 'r', 0o666, { signal: controller.signal }));
  const stuck = Promise.allSettled(opens);
  await stat('/'); // the engine's first call, which starts its threads
  let begun = performance.now();
  const answer = await orTired(stat('/').then(() => took(begun)));
  say(`stat('/')               ${answer}`);
  begun = performance.now();
  controller.abort();
  const ends = await stuck;
  say(`abort                   ${took(begun)}: ${ends.map(({ reason }) => reason.code).join(', ')}`);
  for (let i = 0; i < 4; i++) open(fifo).catch(() => {}); // once more, for the exit
  await stat('/');
  process.send('exit');
  process.exit(0);
}

/** Runs one half, and prints how its process.exit() went. */
async function show(title, which, fifo) {
  console.log(`\n${title}`);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), which, fifo], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await new Promise((resolve) => child.once('message', resolve));
  const begun = performance.now();
  const ended = new Promise((resolve) => child.once('exit', () => resolve(`the process ended after ${took(begun)}`)));
  const end = await Promise.race([
    ended,
    new Promise((resolve) => setTimeout(resolve, kPatience, 'still there after 1 s; killed')),
  ]);
  child.kill('SIGKILL');
  await ended;
  say(`process.exit(0)         ${end}`);
}

const [which, path] = process.argv.slice(2);
if (which === 'node') await withNode(path);
else if (which === 'acall') await withAcall(path);
else {
  const folder = mkdtempSync(join(tmpdir(), 'acall-stuck-'));
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  await show('Four opens of a FIFO, with node:fs', 'node', fifo);
  await show('The same with acall', 'acall', fifo);
  rmSync(folder, { recursive: true, force: true });
}
