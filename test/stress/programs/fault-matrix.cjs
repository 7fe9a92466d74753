/* Programs of fault-matrix.test.ts: every raw call and every helper, in every state of the engine. */
const acall = require('acall');
const asys = require('acall/asys');
const syslet = require('acall/syslet');
const fs = require('node:fs');
const { join } = require('node:path');
const { parentPort } = require('node:worker_threads');
const inside = require('../../support/inside.cjs');

const { ending, endOf, makeFolder, messageOf, named, nextTurn, ourThreads, outcome, rawStuck, stats, stuck } = inside;
const { threadsIn, until, worker } = inside;
const { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL, SYS } = acall;
const { AT_FDCWD } = acall.constants;

/** Submits one op to a ring of its own; what comes of it. */
async function submitOne(/** @type {number} */ flags) {
  const arena = new acall.Arena(4096);
  const ring = new acall.AcallCompletionRing(arena, 1);
  const submission = new acall.AcallSubmission(arena);
  Object.assign(submission, { nr: SYS.getppid, flags, cookie: 5n, completion_ring_pointer: ring.address });
  const accepted = acall.acall_submit([submission]);
  if (accepted !== 1) return accepted;
  await ring.wait();
  let found;
  ring.drain((cookie, code) => {
    found = cookie === 5n && Number(code) === process.ppid ? 'own parent' : String(code);
  });
  return ['accepted', accepted, found];
}

/** Runs one atom. */
async function execOne() {
  const arena = new acall.Arena(4096);
  const ring = new acall.AcallCompletionRing(arena, 1);
  const result = arena.alloc(8, 8);
  const atom = Object.assign(new syslet.SysletAtom(arena), { nr: SYS.getppid, flags: syslet.SYSLET_ASYNC });
  atom.ret_ptr = acall.addressOf(result);
  const last = syslet.async_exec(atom, ring);
  if (last !== null) return String(last);
  await ring.wait();
  const answer = Number(new DataView(result.buffer, result.byteOffset).getBigInt64(0, true));
  return answer === process.ppid ? 'own parent' : answer;
}

const smallRing = () => new acall.AcallCompletionRing(new acall.Arena(4096), 1);
const isParent = (/** @type {unknown} */ pid) => pid === process.ppid;

/**
 * `folder` is made for the rows, `file` is one of 3 bytes in it, `still` a folder where no row comes and goes.
 * @typedef {{ folder: string, file: string, still: string }} Place
 */

/**
 * What each call and helper answers when the engine is idle.
 * @type {Record<string, { call(place: Place): unknown, right: unknown }>}
 */
const rows = {
  acall_submit: { call: () => submitOne(ACALL_SUBMIT_THREAD_POOL), right: ['accepted', 1, 'own parent'] },
  'acall_submit, own thread': { call: () => submitOne(0), right: ['accepted', 1, 'own parent'] },
  'acall_submit, inline': {
    call: () => submitOne(ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_INLINE),
    right: ['accepted', 1, 'own parent'],
  },
  'acall_submit, refused': {
    call: () =>
      acall.acall_submit([Object.assign(new acall.AcallSubmission(new acall.Arena(4096)), { nr: 0, flags: 4 })]),
    right: -22,
  },
  'acall_cancel of an unknown id': { call: () => acall.acall_cancel(new Uint8Array(16)), right: -2 },
  'acall_comp_pwait of an id never issued': {
    call: () => acall.acall_comp_pwait(new Uint8Array(16), 1, { sec: 0, nsec: 0 }),
    right: -22,
  },
  'acall_ring_pwait of min 0': { call: () => acall.acall_ring_pwait(smallRing(), 0, 0), right: 0 },
  'acall_ring_pwait, timed out': {
    call: () => acall.acall_ring_pwait(smallRing(), 0, 1, { sec: 0, nsec: 1000 }),
    right: 0,
  },
  'AcallCompletionRing.drain of nothing': {
    call: () => new acall.AcallCompletionRing(new acall.Arena(4096), 1).drain(() => {}),
    right: 0,
  },
  'AcallCompletionRing.wait, timed out': { call: () => smallRing().wait({ timeout: 1 }), right: 0 },
  Arena: { call: () => new acall.Arena(4096).alloc(10).length, right: 10 },
  counters: { call: () => typeof acall.counters().submitted, right: 'number' },
  syscall: { call: () => acall.syscall('getppid', []).then(isParent), right: true },
  'syscall, own thread': { call: () => acall.syscall('getppid', [], { thread: 'own' }).then(isParent), right: true },
  'syscall with a path': { call: ({ file }) => acall.syscall('faccessat', [AT_FDCWD, file, 4]), right: 0 },
  'unsafe.syscall': { call: () => acall.unsafe.syscall('getppid', []).then(isParent), right: true },
  'a syscall that fails': {
    call: ({ file }) => acall.syscall('faccessat', [AT_FDCWD, `${file}nope`, 4]),
    right: 'ENOENT',
  },
  stat: { call: ({ file }) => acall.stat(file).then(({ size }) => size), right: 3 },
  lstat: { call: ({ file }) => acall.lstat(file).then(({ size }) => size), right: 3 },
  fstat: {
    async call(place) {
      const file = await acall.open(place.file);
      const { size } = await acall.fstat(file.fd);
      await file.close();
      return size;
    },
    right: 3,
  },
  statMany: {
    async call({ file, folder }) {
      const { size, error } = await acall.statMany([file, `${folder}/nope`]);
      return [size[0], error[1]];
    },
    right: [3, -2],
  },
  async_stat: {
    async call({ file }) {
      const scope = acall.asyncScope();
      const into = new acall.StatBuffer();
      scope.async_stat(file, into);
      await scope.wait_for_async();
      return [into.error, into.size];
    },
    right: [0, 3],
  },
  readdir: { call: ({ still }) => acall.readdir(still).then((names) => names.includes('f')), right: true },
  'readdir with stats': {
    call: ({ still }) => acall.readdir(still, { withStats: true }).then((entries) => entries.length > 0),
    right: true,
  },
  walk: {
    async call({ still }) {
      const entries = await acall.walk(still).collect();
      return entries.some(({ name }) => name === 'f');
    },
    right: true,
  },
  du: {
    async call({ still }) {
      const { directories, errors } = await acall.du(still);
      return [directories > 0, errors];
    },
    right: [true, 0],
  },
  readFile: { call: ({ file }) => acall.readFile(file, 'utf8'), right: 'abc' },
  readFiles: {
    async call({ file, folder }) {
      const [data, error] = await acall.readFiles([file, `${folder}/nope`]);
      return [String(data), error instanceof Error && error.code];
    },
    right: ['abc', 'ENOENT'],
  },
  writeFile: {
    async call({ folder }) {
      await acall.writeFile(`${folder}/written`, 'text');
      return fs.readFileSync(`${folder}/written`, 'utf8');
    },
    right: 'text',
  },
  copyFile: {
    async call({ file, folder }) {
      await acall.copyFile(file, `${folder}/copy`);
      return fs.readFileSync(`${folder}/copy`, 'utf8');
    },
    right: 'abc',
  },
  mkdirp: {
    async call({ folder }) {
      await acall.mkdirp(`${folder}/p/q`);
      return fs.existsSync(`${folder}/p/q`);
    },
    right: true,
  },
  rmTree: {
    async call({ folder }) {
      fs.mkdirSync(`${folder}/r/s`, { recursive: true });
      await acall.rmTree(`${folder}/r`);
      return fs.existsSync(`${folder}/r`);
    },
    right: false,
  },
  FileHandle: {
    async call(place) {
      const file = await acall.open(place.file);
      const into = Buffer.alloc(3);
      await file.read(into);
      await file.close();
      return String(into);
    },
    right: 'abc',
  },
  flock: {
    async call(place) {
      const file = await acall.open(place.file);
      await acall.flock(file, 'shared');
      await file.close();
      return 'locked';
    },
    right: 'locked',
  },
  'FileHandle, the rest': {
    async call({ folder }) {
      const file = await acall.open(`${folder}/h`, 'w+');
      await file.lock();
      await file.write('abcdef');
      await file.truncate(4);
      await file.allocate(0, 4);
      await file.sync();
      await file.datasync();
      await file.advise(0, 4, 'willneed');
      await file.unlock();
      const { size } = await file.stat();
      await file.close();
      return size;
    },
    right: 4,
  },
  async_exec: { call: () => execOne(), right: 'own parent' },
  asys_submit: {
    call() {
      const accepted = asys.asys_submit([{ syscall_nr: SYS.getppid, cookie: 9n }]);
      if (accepted !== 1) return accepted;
      const completion = asys.asys_await_completion();
      if (typeof completion === 'number') return completion;
      const { cookie, return_code } = completion;
      return cookie === 9n && isParent(Number(return_code)) ? 'own parent' : Number(return_code);
    },
    right: 'own parent',
  },
  'async_wait for nothing': { call: () => syslet.async_wait(smallRing(), 0, 1, { sec: 5, nsec: 0 }), right: 0 },
  Program: {
    async call() {
      const program = new syslet.Program({}, (p) => ({ id: p.call('getppid', []) }));
      const { values } = await program.run({});
      return isParent(values.id);
    },
    right: true,
  },
  'Program, many runs': {
    async call({ file }) {
      const access = new syslet.Program({ path: 'text' }, (p, { path }) => ({
        fd: p.call('faccessat', [AT_FDCWD, path, 4]),
      }));
      const [one, other] = await access.runMany([{ path: file }, { path: `${file}nope` }]);
      return [one && 'values' in one && one.values.fd, other && 'code' in other && other.code];
    },
    right: [0, 'ENOENT'],
  },
};

/** What the rows are made of, as text. */
const sourceOf = (/** @type {string} */ name) => String(named(rows, name).call);
const sharedSource = [submitOne, execOne].map(String).join('\n');

/** The rows in a folder of their own. */
function makeTable() {
  const folder = makeFolder();
  const place = { folder, file: join(folder, 'f'), still: join(folder, 'still') };
  fs.writeFileSync(place.file, 'abc');
  fs.mkdirSync(place.still);
  fs.writeFileSync(join(place.still, 'f'), 'abc');
  /** @type {Record<string, unknown>} */
  const told = {};
  /** @type {(name: string) => Promise<unknown>} */
  const run = async (name) => (told[name] = await outcome((async () => named(rows, name).call(place))()));
  const runAll = async () => {
    for (const name of Object.keys(rows)) await run(name);
  };
  /** All at the end of the environment, when nothing comes back to it. */
  const runLast = () => {
    for (const name of Object.keys(rows)) void run(name);
  };
  return { told, run, runAll, runLast };
}

/** In a Worker. */
function leaveStuck() {
  stuck(5);
  rawStuck(5);
  parentPort?.postMessage(1);
}

/** Calls that are aborted after 200 ms, so that the rows, which wait for them, come to their turn. */
async function stuckForAWhile(
  /** @type {number} */ count,
  /** @type {number} */ threads,
  /** @type {'own' | 'pool'} */ thread,
) {
  const controller = new AbortController();
  stuck(count, { signal: controller.signal, thread });
  await until(() => threadsIn('openat') >= threads);
  setTimeout(() => controller.abort(), 200);
}

/**
 * The states: `begin` makes one, and what it resolves to ends it. `together`: all rows at once, since each waits for the state's end.
 * @type {Record<string, { begin(): Promise<void | (() => Promise<unknown>)>, env?: Record<string, string>, together?: boolean }>}
 */
const states = {
  idle: { async begin() {} },
  'after the pool has gone to rest': {
    async begin() {
      await acall.stat('/');
      await until(() => ourThreads().length === 0);
    },
  },
  'the pool busy with stuck calls': {
    async begin() {
      const controller = new AbortController();
      const all = stuck(50, { signal: controller.signal });
      await until(() => threadsIn('openat') >= 50);
      return () => {
        controller.abort();
        return Promise.all(all.map(outcome));
      };
    },
  },
  'own threads at their limit': {
    begin: () => stuckForAWhile(4, 3, 'own'),
    env: { ACALL_OWN_MAX: '3' },
    together: true,
  },
  'the queue full': { begin: () => stuckForAWhile(500, 2, 'pool'), env: { ACALL_POOL_MAX: '2' }, together: true },
  'more ops in flight than there are slots for': {
    begin: () => stuckForAWhile(70_000, 2, 'pool'),
    env: { ACALL_POOL_MAX: '2' },
    together: true,
  },
  'a ring full that nobody drains': {
    async begin() {
      const arena = new acall.Arena();
      const ring = new acall.AcallCompletionRing(arena, 1);
      const submission = {
        nr: SYS.getppid,
        flags: ACALL_SUBMIT_THREAD_POOL,
        cookie: 1n,
        completion_ring_pointer: ring.address,
      };
      const some = Array.from({ length: 300 }, () => Object.assign(new acall.AcallSubmission(arena), submission));
      acall.acall_submit(some);
      await until(() => ring.overflows >= 299);
    },
  },
  'hundreds being cancelled': {
    async begin() {
      let cancelling = true;
      const cancels = (async () => {
        while (cancelling) {
          const controller = new AbortController();
          const all = stuck(100, { signal: controller.signal });
          await nextTurn();
          controller.abort();
          await Promise.all(all.map(outcome));
        }
      })();
      return () => {
        cancelling = false;
        return cancels;
      };
    },
  },
  'Workers that come and go': {
    async begin() {
      let going = true;
      const workers = (async () => {
        while (going) {
          const there = worker(__filename, leaveStuck);
          await messageOf(there);
          await there.terminate();
        }
      })();
      return () => {
        going = false;
        return workers;
      };
    },
  },
};

/** @param {string} name */
async function inState(name) {
  const { told, run, runAll } = makeTable();
  const { begin, together } = named(states, name);
  const end = await begin();
  if (together) await Promise.all(Object.keys(rows).map(run));
  else await runAll();
  await end?.();
  return told;
}

/** In a Worker. */
async function tellAll() {
  const { told, runAll } = makeTable();
  await runAll();
  parentPort?.postMessage(told);
  process.exit(0);
}

/** @returns {Promise<Record<string, unknown>>} */
const inWorker = () => messageOf(worker(__filename, tellAll));

async function restricted() {
  const { told, runAll } = makeTable();
  await acall.stat('/');
  acall.restrict([]);
  await runAll();
  return told;
}

/** In an exit listener the loop has stopped; promises stay pending, raw calls answer as ever. */
async function whileClosing() {
  const { runLast } = makeTable();
  stuck(5);
  await stats(1);
  process.prependListener('exit', runLast); // before the folder goes
  ending();
  process.exit(12);
}

/** In a Worker. */
async function closeWorker(/** @type {boolean} */ later) {
  const { runLast } = makeTable();
  stuck(5);
  rawStuck(5);
  await stats(1);
  process.prependListener('exit', runLast); // before the folder goes
  if (later) setImmediate(() => process.exit(12));
  else process.exit(12);
}

async function whileWorkersClose() {
  return [await endOf(worker(__filename, closeWorker, false)), await endOf(worker(__filename, closeWorker, true))];
}

module.exports = {
  rows,
  sourceOf,
  sharedSource,
  states,
  leaveStuck,
  inState,
  tellAll,
  inWorker,
  restricted,
  whileClosing,
  closeWorker,
  whileWorkersClose,
};
