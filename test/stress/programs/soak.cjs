/* A program of soak.test.ts: everything at once, for a while. Needs --expose-gc. */
const acall = require('acall');
const { spawn } = require('node:child_process');
const { getEventListeners } = require('node:events');
const fs = require('node:fs');
const { join } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parentPort } = require('node:worker_threads');
const inside = require('../../support/inside.cjs');

const { descriptors, fifo, makeFolder, messageOf, nextTurn, ourThreads, outcome, quiet, rawStuck, stuck } = inside;
const { until, worker } = inside;
const { AT_FDCWD } = acall.constants;

/** A tree of a thousand files. */
function makeTree() {
  const tree = makeFolder();
  /** @type {string[]} */
  const files = [];
  for (let i = 0; i < 20; i++) {
    fs.mkdirSync(join(tree, String(i)));
    for (let k = 0; k < 50; k++) {
      const file = join(tree, String(i), String(k));
      fs.writeFileSync(file, 'x'.repeat(i * k));
      files.push(file);
    }
  }
  return { tree, files };
}

/** In a Worker: ends with calls in flight, and with fifty descriptors that it never sees, as its loop does not turn again. */
async function leaveAllBehind(/** @type {string} */ tree) {
  stuck(3);
  rawStuck(3);
  acall
    .walk(tree)
    .collect()
    .catch(() => {});
  await acall.stat('/');
  for (let i = 0; i < 50; i++) void acall.syscall('openat', [AT_FDCWD, '/dev/null', 0]);
  await null;
  await null;
  parentPort?.postMessage(1);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** The kinds of work, each one round of it. `shared` is never aborted: what listens to it must let go by itself. */
function makeWork(/** @type {AbortSignal} */ shared) {
  const { tree, files } = makeTree();
  const pick = () => /** @type {string} */ (files[Math.floor(Math.random() * files.length)]);
  /** @type {Record<string, () => Promise<unknown>>} */
  const work = {
    stats: () => Promise.all(Array.from({ length: 200 }, () => acall.stat(pick(), { signal: shared }))),
    many: () => acall.statMany(files, { signal: shared }),
    async trees() {
      await acall.walk(tree, { stats: true, onError() {} }).collect();
      await acall.du(tree);
      await acall.readdir(join(tree, '1'));
    },
    async left() {
      for await (const _ of acall.walk(tree, { signal: shared, onError() {} })) if (Math.random() < 0.02) break;
    },
    async contents() {
      await acall.readFiles(files.slice(0, 300));
      await acall.readFile(pick());
    },
    async files() {
      const path = join(tree, `new${Math.random()}`);
      await acall.writeFile(path, 'text');
      await acall.copyFile(path, `${path}copy`);
      await acall.mkdirp(`${path}folder/a/b`);
      await acall.rmTree(`${path}folder`);
      await acall.rmTree(path);
      await acall.rmTree(`${path}copy`);
      const file = await acall.open(pick(), 'r');
      await acall.flock(file, 'shared');
      await file.read(Buffer.alloc(10));
      await file.close();
    },
    async aborts() {
      const controller = new AbortController();
      const signal = AbortSignal.any([controller.signal, shared]);
      /** @type {Promise<unknown>[]} */
      const all = [
        ...stuck(20, { signal }),
        ...stuck(5, { signal, thread: 'own' }),
        ...stuck(5, { timeout: 3 }),
        acall.du(tree, { signal }),
        acall.walk(tree, { signal }).collect(),
        acall.readFiles(files, { signal }).then(() => {}),
        acall.open(fifo, 'r', 0o666, { signal }),
        acall.readFile(fifo, { signal }),
      ];
      const ends = all.map(outcome);
      for (let i = Math.random() * 4; i > 0; i--) await nextTurn();
      controller.abort();
      await Promise.all(ends);
    },
    async descriptors() {
      const controller = new AbortController();
      const { signal } = controller;
      /** @type {number[]} */
      const taken = [];
      const open = async () => {
        taken.push(await acall.syscall('openat', [AT_FDCWD, '/dev/null', 0], { signal }));
      };
      const all = Array.from({ length: 20 }, () => open().catch(() => {}));
      if (Math.random() < 0.5) await nextTurn();
      controller.abort();
      await Promise.all(all);
      await Promise.all(taken.map((fd) => acall.syscall('close', [fd])));
    },
    async raw() {
      const { ring, ids } = rawStuck(10, Math.random() < 0.5 ? acall.ACALL_SUBMIT_THREAD_POOL : 0);
      if (Math.random() < 0.5) await nextTurn();
      for (const id of ids) acall.acall_cancel(id);
      let seen = 0;
      while (seen < 10) {
        await ring.wait({ timeout: 1000 });
        seen += ring.drain(() => {});
      }
    },
    async workers() {
      const there = worker(__filename, leaveAllBehind, tree);
      await messageOf(there);
      await there.terminate();
    },
    spawns: () => new Promise((resolve, reject) => spawn('true').on('exit', resolve).on('error', reject)),
  };
  return work;
}

/** What this process has when nothing is under way. */
async function stateAtRest() {
  await quiet();
  await until(() => ourThreads().length === 0);
  // Collected, and what its collection sets free too.
  for (let i = 0; i < 4; i++) {
    global.gc?.();
    await sleep(20);
  }
  return {
    threads: fs.readdirSync('/proc/self/task').length,
    descriptors: descriptors(),
    resident: Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1]) / 1024,
    maps: fs.readFileSync('/proc/self/maps', 'latin1').split('\n').length,
  };
}

/** @param {number} seconds */
async function soak(seconds) {
  const shared = new AbortController().signal;
  const work = makeWork(shared);
  /** @type {Record<string, number>} */
  const done = {};
  const run = async (/** @type {number} */ milliseconds) => {
    const end = performance.now() + milliseconds;
    const repeat = async (/** @type {string} */ name, /** @type {() => Promise<unknown>} */ one) => {
      do {
        await one();
        done[name] = (done[name] ?? 0) + 1;
        await nextTurn();
      } while (performance.now() < end);
    };
    await Promise.all(Object.entries(work).map(([name, one]) => repeat(name, one)));
    return stateAtRest();
  };
  await run(Math.max(2, seconds / 5) * 1000); // everything that is made once is made
  const begin = await run(1000);
  const end = await run(seconds * 1000);
  const { submitted, completed } = acall.counters();
  return { begin, end, done, lost: submitted - completed, listeners: getEventListeners(shared, 'abort').length };
}

module.exports = { leaveAllBehind, soak };
