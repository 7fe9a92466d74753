/* Programs of handles.test.ts: open files, their calls, and Workers that have them. */
const acall = require('acall');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');
const { parentPort } = require('node:worker_threads');
const inside = require('../../support/inside.cjs');

const { answerAndExit, descriptors, endOf, isOpen, makeFifo, named, makeFolder, messageOf, outcome, quiet, stuck } =
  inside;
const { threadsIn, until, worker } = inside;
const { AT_FDCWD } = acall.constants;

/** A folder of the process's own with a file. */
function ownFile() {
  const folder = makeFolder();
  const file = join(folder, 'file');
  fs.writeFileSync(file, 'content');
  return { folder, file };
}

/** Whether another process could have the lock of a file. */
const isFree = (/** @type {string} */ path) => spawnSync('flock', ['-n', '-x', path, 'true']).status === 0;

async function closeAfterAborts() {
  const { folder } = ownFile();
  const data = Buffer.alloc(24 << 20, 'x');
  let written = 0;
  let slowest = 0;
  for (let round = 0; round < 100; round++) {
    const controller = new AbortController();
    const { signal } = controller;
    const handle = await acall.open(join(folder, 'target'), 'w');
    // So many calls of one signal that not all of their threads can be signalled in one turn.
    const before = stuck(100, { signal });
    await until(() => acall.counters().running >= 100);
    let isDone = false;
    const write = acall.writeFile(handle, data, { signal }).finally(() => {
      isDone = true;
    });
    const all = Promise.all([...before.map(outcome), outcome(write)]);
    if (round % 8) await until(() => acall.counters().running > 100 || isDone);
    for (const from = performance.now(); performance.now() - from < (round % 8) / 2; );
    controller.abort();
    const begun = performance.now();
    await handle.close();
    slowest = Math.max(slowest, performance.now() - begun);
    const victim = fs.openSync(join(folder, 'victim'), 'w');
    await all;
    await quiet();
    written += fs.fstatSync(victim).size;
    fs.closeSync(victim);
  }
  return { written, slowest };
}

async function closeWaits() {
  const fifo = makeFifo();
  const handle = await acall.open(fifo, 'r+');
  const fd = handle.fd;
  const read = handle.read(Buffer.alloc(4));
  await until(() => threadsIn('read') >= 1);
  let isClosed = false;
  const close = async () => {
    await handle.close();
    isClosed = true;
  };
  const closes = [close(), handle.close()];
  const late = await outcome(handle.read(Buffer.alloc(4)));
  const stat = await outcome(handle.stat());
  await acall.stat('/');
  const early = isClosed;
  const wasOpen = isOpen(fd);
  fs.writeFileSync(fifo, 'text');
  const { bytesRead } = await read;
  await Promise.all(closes);
  return { late, stat, early, wasOpen, bytesRead, isOpen: isOpen(fd) };
}

/** Needs a pool of one thread. */
async function closeBehindQueued() {
  const { file } = ownFile();
  const handle = await acall.open(file, 'r+');
  const blocker = new AbortController();
  const controller = new AbortController();
  stuck(1, { signal: blocker.signal });
  await until(() => threadsIn('openat') === 1);
  const sync = handle.sync();
  const cut = outcome(handle.truncate(0, { signal: controller.signal }));
  await until(() => acall.counters().queued === 2);
  const closed = handle.close();
  controller.abort();
  const aborted = await cut;
  blocker.abort();
  await Promise.all([sync, closed]);
  return { aborted, content: fs.readFileSync(file, 'latin1') };
}

/** Needs a library that takes the engine's signal at SIGUSR2. */
async function closeOfKept() {
  const { file } = ownFile();
  const fifo = makeFifo();
  process.on('warning', () => {});
  const handle = await acall.open(fifo, 'r+');
  await handle.lock();
  const fd = handle.fd;
  const controller = new AbortController();
  const read = outcome(handle.read(Buffer.alloc(4), 0, 4, null, { signal: controller.signal }));
  await until(() => threadsIn('read') >= 1);
  process.kill(process.pid, 'SIGUSR2'); // from here on nothing interrupts it
  controller.abort();
  const code = await read;
  const begun = performance.now();
  await handle.close();
  const ms = performance.now() - begun;
  const other = fs.openSync(file, 'r');
  const detach = () => {
    try {
      return handle.detach();
    } catch (error) {
      return /** @type {NodeJS.ErrnoException} */ (error).code;
    }
  };
  const busy = { isOpen: isOpen(fd), isFree: isFree(fifo), same: other === fd, detach: detach() };
  const writer = fs.openSync(fifo, 'r+');
  fs.writeSync(writer, 'text');
  await until(() => !isOpen(fd));
  return answerAndExit({ code, ms, busy, free: isFree(fifo) });
}

/**
 * How a Worker ends that holds handles.
 * @type {Record<string, (held: {
 *   plain: acall.FileHandle, locked: acall.FileHandle, reading: acall.FileHandle, waiting: Promise<unknown>, fifo: string,
 * }) => unknown>}
 */
const ways = {
  'by terminate()'() {},
  'by process.exit()': () => process.exit(0),
  async 'by itself'({ plain, locked, reading, waiting, fifo }) {
    reading.close().catch(() => {});
    fs.writeFileSync(fifo, 'text');
    await locked.unlock();
    await waiting;
    await plain.lock('shared');
  },
};

/** What nothing may collect. @type {unknown[]} */
const kept = [];

/** In a Worker. */
async function hold(/** @type {string} */ way, /** @type {string} */ file, /** @type {string} */ fifo) {
  const plain = await acall.open(file, 'r');
  const locked = await acall.open(file, 'r');
  const reading = await acall.open(fifo, 'r+');
  // Through a duplicate, which has the lock too.
  await locked.lock('exclusive', { timeout: 60_000 });
  const waiting = plain.lock('exclusive', { timeout: 60_000 });
  waiting.catch(() => {});
  reading.read(Buffer.alloc(4)).catch(() => {});
  await until(() => threadsIn('read') >= 1 && threadsIn('flock') >= 1);
  kept.push(plain, locked, reading);
  parentPort?.postMessage('there');
  await named(ways, way)({ plain, locked, reading, waiting, fifo });
}

/** @param {string} way */
async function endThatHolds(way) {
  const { file } = ownFile();
  const fifo = makeFifo();
  await acall.stat('/');
  /** @type {boolean[]} */
  const locks = [];
  let before = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 12; round++) {
    const there = worker(__filename, hold, way, file, fifo);
    const gone = endOf(there);
    // What a Worker posts before its process.exit() may be lost with it.
    await Promise.race([gone, messageOf(there)]);
    if (way === 'by terminate()') await there.terminate();
    else await gone;
    locks.push(isFree(file));
    await quiet();
    if (round === 0) before = descriptors(); // Node has opened one for its first Worker
  }
  await until(() => descriptors() <= before);
  return locks;
}

/** In a Worker. */
async function openManyFiles(/** @type {string} */ file) {
  for (let i = 0; ; i++) {
    await Promise.all(Array.from({ length: 20 }, () => acall.open(file, 'r')));
    if (i === 1) parentPort?.postMessage('there');
    if (i > 20) await new Promise(() => void setTimeout(() => {}, 1e6));
  }
}

async function terminateWhileOpening() {
  const { file } = ownFile();
  await acall.stat('/');
  let before = 0;
  for (let round = 0; round < 40; round++) {
    if (round === 1) before = descriptors(); // Node opens one with its first Worker
    const there = worker(__filename, openManyFiles, file);
    await messageOf(there);
    await there.terminate();
  }
  await quiet();
  return descriptors() - before;
}

/** In a Worker: a thousand files are open and known to a list of JavaScript alone. */
async function bringMany(/** @type {'open' | 'syscall'} */ by, /** @type {string} */ file) {
  await acall.stat('/');
  const before = descriptors();
  for (let i = 0; i < 1000; i++) {
    if (by === 'open') void acall.open(file, 'r');
    else void acall.syscall('openat', [AT_FDCWD, file, 0]);
  }
  await null; // the calls are submitted
  while (descriptors() < before + 1000);
  while (acall.counters().running > 0);
  for (let i = 0; i < 5000; i++) void acall.stat('/'); // a burst takes the results that are there
  parentPort?.postMessage('there');
  for (;;);
}

async function terminateWithList(/** @type {'open' | 'syscall'} */ by) {
  const { file } = ownFile();
  await acall.stat('/');
  /** @type {number[]} */
  const counts = [];
  for (let round = 0; round < 4; round++) {
    const there = worker(__filename, bringMany, by, file);
    await messageOf(there);
    await there.terminate();
    await quiet();
    counts.push(descriptors());
  }
  return counts;
}

/** In a Worker: one handle that it keeps, one that it has given away. */
async function giveOneAway(/** @type {string} */ file) {
  const handle = await acall.open(file, 'r');
  const given = await acall.open(file, 'r');
  kept.push(handle);
  const numbers = [handle.fd, given.detach()];
  const after = [given.fd, await outcome(given.read()), await outcome(given.close())];
  parentPort?.postMessage({ numbers, after });
  setInterval(() => {}, 1000);
}

async function numbersOfOthers() {
  const { file } = ownFile();
  const there = worker(__filename, giveOneAway, file);
  const { numbers, after } = await messageOf(there);
  fs.closeSync(numbers[0]);
  const fds = [fs.openSync('/', 'r')];
  while (!fds.includes(numbers[0])) fds.push(fs.openSync('/', 'r'));
  await there.terminate();
  await quiet();
  return { after, open: [...fds, numbers[1]].every(isOpen) };
}

module.exports = {
  ways,
  closeAfterAborts,
  closeWaits,
  closeBehindQueued,
  closeOfKept,
  hold,
  endThatHolds,
  openManyFiles,
  terminateWhileOpening,
  bringMany,
  terminateWithList,
  giveOneAway,
  numbersOfOthers,
};
