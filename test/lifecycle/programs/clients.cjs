/* Programs of clients.test.ts: several instances of the modules, and several copies of the package, in one process. */
const acall = require('acall');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { parentPort } = require('node:worker_threads');
const inside = require('../../support/inside.cjs');
const { collect, fresh } = require('../support/instances.cjs');

const { answerAndExit, descriptors, fifo, makeFifo, messageOf, outcome, threadsIn, until, worker } = inside;
const { AT_FDCWD } = acall.constants;
const kFile = '/etc/passwd';

/** @param {string} folder one that nobody changes */
async function askBoth(folder) {
  const [one, two] = [fresh(), fresh()];
  const size = fs.statSync(kFile).size;
  const sizes = await Promise.all(Array.from({ length: 3000 }, (_, i) => (i % 2 ? one : two).stat(kFile)));
  const each = await Promise.all(
    [one, two].map(async (acall) => {
      const file = await acall.open(kFile);
      const sizeOfOpen = (await file.stat()).size;
      await file.close();
      return [
        (await acall.readFile(kFile)).length === size,
        (await acall.statMany([kFile, '/nope'])).size[0] === size,
        (await acall.du(kFile, { apparentSize: true })).bytes === size,
        (await acall.syscall('getppid', [])) === process.ppid,
        (await acall.walk(folder).collect()).length === fs.readdirSync(folder, { recursive: true }).length,
        sizeOfOpen === size,
        (await acall.readFiles([kFile, kFile])).every((data) => 'length' in data && data.length === size),
      ];
    }),
  );
  return { different: one.stat !== two.stat, wrong: sizes.filter((stats) => stats.size !== size).length, each };
}

async function ringsOfTheirOwn() {
  const results = [];
  for (const acall of [fresh(), fresh()]) {
    const arena = new acall.Arena(4096);
    const ring = new acall.AcallCompletionRing(arena, 8);
    const submission = new acall.AcallSubmission(arena);
    submission.nr = acall.SYS.getppid;
    submission.flags = acall.ACALL_SUBMIT_THREAD_POOL;
    submission.cookie = 7n;
    submission.completion_ring_pointer = ring.address;
    const accepted = acall.acall_submit([submission]);
    const stored = await ring.wait();
    let difference;
    const drained = ring.drain((_, code) => void (difference = Number(code) - process.ppid));
    submission.nr = 4096;
    submission.cookie = 0n;
    const refused = acall.acall_submit([submission]);
    results.push({ accepted, stored, drained, difference, refused, errno: acall.acall_submit_error()?.errno });
  }
  return results;
}

async function abortInOne() {
  const [one, two] = [fresh(), fresh()];
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = Array.from({ length: 20 }, () => outcome(one.syscall('openat', [AT_FDCWD, fifo, 0], { signal })));
  void one.syscall('openat', [AT_FDCWD, fifo, 0], { ref: false });
  const going = two.syscall('nanosleep', [new BigInt64Array([0n, 100_000_000n]), null]);
  controller.abort();
  return { aborted: [...new Set(await Promise.all(aborted))], going: await going };
}

/** Needs --expose-gc. */
async function onlyContinuationLeft() {
  const path = makeFifo();
  /** @type {string | undefined} */
  let read;
  const fd = fs.openSync(path, 'r+');
  (() => {
    const buffer = Buffer.alloc(5);
    void fresh()
      .syscall('read', [fd, buffer, 5])
      .then(() => void (read = buffer.toString()));
  })();
  fresh();
  await until(() => threadsIn('read') === 1);
  for (let i = 0; i < 10; i++) {
    global.gc?.();
    await sleep(2);
  }
  fs.writeSync(fd, 'hello');
  await until(() => read !== undefined);
  return answerAndExit(read);
}

/** Needs --expose-gc. */
async function collectInstances() {
  /** @type {WeakRef<object>[]} */
  const references = [];
  const use = async () => {
    const acall = fresh();
    references.push(new WeakRef(acall.stat));
    await Promise.all(Array.from({ length: 200 }, () => acall.stat('/')));
    await acall.statMany(['/', '/etc']);
    await acall.syscall('getppid', []);
    new acall.AcallCompletionRing(new acall.Arena(1 << 16), 16);
  };
  const alive = () => references.filter((reference) => reference.deref() !== undefined).length;
  const rounds = async (/** @type {number} */ count) => {
    for (let i = 0; i < count; i++) await use();
    fresh();
    await collect(() => alive() <= 2);
  };
  await rounds(40);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 4; i++) await rounds(40);
  const { submitted, completed } = fresh().counters();
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  return { alive: alive(), grown, inFlight: submitted - completed };
}

/** @param {Record<string, number>} wire the numbers of wire.h */
async function turnThatThrows(wire) {
  /** @type {string[]} */
  const warnings = [];
  process.on('warning', (warning) => warnings.push(warning.message));
  process.on('uncaughtException', () => process.exit(3));
  const { stat } = acall;
  await stat('/');
  const loaded = Object.entries(require.cache).find(([name]) => name.endsWith('acall.node'));
  const torn = loaded?.[1]?.exports.create();
  torn.open(() => {
    throw new Error('the realm is gone');
  });
  torn.growSlots();
  const place = (/** @type {string} */ name) => {
    const value = wire[name];
    if (value === undefined) throw new Error(`${name} is not in wire.h`);
    return value;
  };
  /** Lays a call down as lib/call/layout.ts does. */
  const openInPool = (/** @type {number} */ slot, /** @type {string} */ path) => {
    const bytes = Buffer.from(`${path}\0`);
    const words = new Uint32Array(place('CallRecord.sizeInWords'));
    words[place('CallRecord.nr')] = acall.SYS.openat;
    words[place('CallRecord.flags')] = acall.ACALL_SUBMIT_THREAD_POOL;
    words[place('CallRecord.slot')] = slot;
    words[place('CallRecord.bytes')] = place('CallRecord.sizeInBytes');
    words[place('CallRecord.dataBytes')] = bytes.length;
    const folder = place('CallRecord.args');
    words[folder + place('CallArgument.low')] = AT_FDCWD;
    words[folder + place('CallArgument.high')] = -1;
    const name = folder + place('CallArgument.sizeInWords');
    words[name + place('CallArgument.kind')] = place('ArgumentKind.pointer');
    words[name + place('CallArgument.length')] = bytes.length;
    torn.submitCall(new Uint8Array(words.buffer), bytes);
    return words[place('CallRecord.status')];
  };
  const descriptorsBefore = descriptors();
  const statuses = [openInPool(0, fifo), openInPool(1, fifo)];
  await until(() => threadsIn('openat') === 2);
  for (let slot = 2; slot < 20; slot++) statuses.push(openInPool(slot, '/dev/null'));
  await until(() => warnings.length > 0);
  await until(() => threadsIn('openat') === 0);
  const other = fresh();
  let left = 0;
  for (let i = 0; i < 2000 && (left = descriptors() - descriptorsBefore) > 1; i++) await other.stat('/');
  return { statuses: [...new Set(statuses)], warnings, left: left > 1 ? left : 0, ok: (await stat('/')).isDirectory() };
}

/** In a Worker: several instances, each with something in flight. */
async function severalInWorker() {
  const several = Array.from({ length: 8 }, () => fresh());
  for (const acall of several) {
    for (let i = 0; i < 4; i++) acall.syscall('openat', [AT_FDCWD, fifo, 0]).catch(() => {});
  }
  await Promise.all(several.map((acall) => acall.stat('/')));
  parentPort?.postMessage('ready');
}

async function endWithWorker() {
  const thread = worker(__filename, severalInWorker);
  await messageOf(thread);
  await until(() => threadsIn('openat') === 32);
  const code = await thread.terminate();
  await until(() => threadsIn('openat') === 0);
  return { code, ok: (await acall.stat('/')).isDirectory() };
}

/** Blocks 20 reads in a copy of the package, and cancels them; other calls go on. */
async function cancelIn(/** @type {string} */ path) {
  /** @type {typeof import('acall')} */
  const acall = require(path);
  const fds = Array.from({ length: 20 }, () => fs.openSync(fifo, 'r+'));
  const controller = new AbortController();
  const { signal } = controller;
  const reads = fds.map((fd, i) =>
    outcome(acall.syscall('read', [fd, Buffer.alloc(1), 1], { signal, thread: i % 2 ? 'own' : 'pool' })),
  );
  await until(() => acall.counters().running >= 20);
  controller.abort();
  const codes = [...new Set(await Promise.all(reads))];
  const stats = await Promise.all(Array.from({ length: 500 }, () => acall.stat('/').then((s) => s.isDirectory())));
  await until(() => acall.counters().running === 0);
  for (const fd of fds) fs.closeSync(fd);
  return { codes, stats: stats.filter(Boolean).length };
}

/** In a Worker. */
async function postCancelIn(/** @type {string} */ path) {
  parentPort?.postMessage(await cancelIn(path));
}

/** @param {string[]} copies */
async function cancelInCopies(copies) {
  const threads = copies.map((path) => worker(__filename, postCancelIn, path));
  const [here, there] = await Promise.all([Promise.all(copies.map(cancelIn)), Promise.all(threads.map(messageOf))]);
  return { here, there, caught: inside.caughtSignals() };
}

/** @param {string[]} copies */
async function restrictFirst(copies) {
  /** @type {(typeof import('acall'))[]} */
  const all = copies.map((path) => require(path));
  all[0]?.restrict(['getppid']);
  return Promise.all(all.map((acall) => outcome(acall.syscall('getuid', []))));
}

module.exports = {
  askBoth,
  ringsOfTheirOwn,
  abortInOne,
  onlyContinuationLeft,
  collectInstances,
  turnThatThrows,
  severalInWorker,
  endWithWorker,
  postCancelIn,
  cancelInCopies,
  restrictFirst,
};
