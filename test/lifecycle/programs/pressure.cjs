/* Programs of pressure.test.ts: processes that run out of something, each in the limits that its test gives it. */
const acall = require('acall');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const inside = require('../../support/inside.cjs');

const { answerAndExit, caughtSignals, isOpen, nextTurn, rawStuck, stats, stuck, threadsIn, until } = inside;
const { ACALL_SUBMIT_THREAD_POOL, SYS } = acall;
const { AT_FDCWD } = acall.constants;

/** The outcome of a promise in a word: done, or the code of its error. */
const told = (/** @type {Promise<unknown>} */ promise) =>
  promise.then(
    () => 'done',
    ({ code }) => String(code),
  );

/** The distinct outcomes of all these promises. */
const allTold = async (/** @type {Promise<unknown>[]} */ all) => [...new Set(await Promise.all(all.map(told)))];

/** More ops than there can be threads, on own threads and in the pool; then the way out. */
async function moreThanThreads() {
  const controller = new AbortController();
  const { signal } = controller;
  const all = [...stuck(200, { signal, thread: 'own' }), ...stuck(200, { signal })];
  const raw = rawStuck(20);
  await until(() => acall.counters().threads > 2 && acall.counters().submitted === 420);
  const { threads } = acall.counters();
  controller.abort();
  const codes = await allTold(all);
  for (const id of raw.ids) acall.acall_cancel(id);
  await until(() => raw.ring.head === 20);
  /** @type {Set<number>} */
  const results = new Set();
  raw.ring.drain((_, code) => void results.add(Number(code)));
  // Threads can be had again.
  const answered = await stats(500);
  await acall.syscall('getppid', [], { thread: 'own' });
  return answerAndExit({ codes, results: [...results].sort(), stats: answered.length, threads });
}

/**
 * Lets this process start no more threads. `letGo` of the result allows them again after so many seconds.
 * @param {number} seconds
 */
function takeThreads(seconds) {
  const limit = ['--pid', String(process.pid)];
  const script = `read line; sleep ${seconds}; prlimit "$@"`;
  const later = spawn('sh', ['-c', script, 'sh', ...limit, '--nproc=300:']);
  spawnSync('prlimit', [...limit, '--nproc=1:']);
  return { letGo: () => void later.stdin.end('now') };
}

async function treesWithoutThreads() {
  const threads = takeThreads(0.2);
  const all = [acall.walk('/usr', { maxDepth: 0 }).collect(), acall.readdir('/usr')];
  threads.letGo();
  return Promise.all(all.map(told));
}

async function manyWithoutThreads() {
  const threads = takeThreads(0);
  /** @type {number[]} */
  const order = [];
  const calls = Array.from({ length: 200 }, async (_, i) => {
    const fd = await acall.syscall('openat', [AT_FDCWD, '/etc/passwd', 0], { ref: i > 0 });
    order.push(i);
    fs.closeSync(fd);
  });
  const all = [...calls, ...Array.from({ length: 3000 }, () => acall.stat('/proc/self/status'))];
  let waited = 0;
  let early = false;
  void Promise.race(all).finally(() => (early = waited < 200));
  const before = process.cpuUsage();
  for (; waited < 200; waited++) await new Promise((resolve) => setTimeout(resolve, 5));
  const { user, system } = process.cpuUsage(before);
  threads.letGo();
  const codes = await allTold(all);
  return { early, busyMs: (user + system) / 1000, first: order[0], codes };
}

/** More calls than a limit of two lets run, twice. */
async function waitForLimit(/** @type {'pool' | 'own'} */ thread) {
  /** @type {string[]} */
  const warnings = [];
  process.on('warning', (warning) => {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (warning);
    warnings.push(`${code} ${message}`);
  });
  const shown = () => {
    const { limitedBy, queued } = acall.counters();
    return { limitedBy, queued };
  };
  const begin = () => {
    const controller = new AbortController();
    const all = stuck(5, { signal: controller.signal, thread });
    return () => {
      controller.abort();
      return allTold(all);
    };
  };
  const isLimited = () => shown().limitedBy !== null;
  let end = begin();
  await until(() => acall.counters().running === 2);
  const early = shown();
  await until(() => warnings.length > 0);
  const late = shown();
  await end();
  await until(() => !isLimited());
  end = begin();
  await until(isLimited);
  await end();
  return answerAndExit({ early, late, warnings });
}

async function waitInJavaScript() {
  const controller = new AbortController();
  const all = stuck(70_000, { signal: controller.signal });
  await nextTurn();
  const { waiting } = acall.counters();
  controller.abort();
  await Promise.allSettled(all);
  return answerAndExit({ waiting, after: acall.counters().waiting });
}

/** Opens files until there is no descriptor left; how the last one failed. */
function takeDescriptors(/** @type {number[]} */ taken) {
  try {
    for (;;) taken.push(fs.openSync('/dev/null', 'r'));
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code;
  }
}

async function withoutDescriptors() {
  await acall.stat('/');
  await acall.syscall('getppid', []); // the table of calls is read from its file at first use
  /** @type {number[]} */
  const taken = [];
  const now = {
    full: takeDescriptors(taken),
    open: await told(acall.open('/dev/null')),
    syscall: await told(acall.syscall('openat', [AT_FDCWD, '/dev/null', 0])),
    pipe2: await told(acall.syscall('pipe2', [Buffer.alloc(8), 0])),
    readFile: await told(acall.readFile('/etc/passwd')),
    readdir: await told(acall.readdir('/')),
    walk: await told(acall.walk('/').collect()),
    stat: await told(acall.stat('/')),
    stats: (await stats(300)).length,
    statMany: [...(await acall.statMany(['/', '/nope'])).error],
    stuck: await told(acall.syscall('nanosleep', [Buffer.alloc(16), null])),
  };
  for (const fd of taken) fs.closeSync(fd);
  return { ...now, after: [await told(acall.readFile('/etc/passwd')), await told(acall.readdir('/'))] };
}

/** To be run with 64 descriptors at most. */
async function waitWithoutDescriptors() {
  const { ring } = rawStuck(1);
  await until(() => threadsIn('openat') === 1);
  // The supervisor may hold one while the others are taken, and give it back afterwards. To see that needs no descriptor. One of
  // the 64 is set aside by the kernel for the open that is stuck.
  const all = Array.from({ length: 64 }, (_, fd) => fd);
  do takeDescriptors([]);
  while (all.filter(isOpen).length < 63);
  return answerAndExit(acall.acall_ring_pwait(ring, 0, 1, { sec: 5, nsec: 0 }));
}

function arenasTooLarge() {
  const make = (/** @type {number} */ bytes) => {
    try {
      new acall.Arena(bytes);
      return 'done';
    } catch (error) {
      const { name, code } = /** @type {NodeJS.ErrnoException} */ (error);
      return `${name} ${code}`;
    }
  };
  return [make(2 ** 52), make(2 ** 40), make(1 << 20)];
}

function fullArena() {
  const arena = new acall.Arena(4096);
  /** @type {Uint8Array[]} */
  const parts = [];
  let code;
  try {
    for (;;) parts.push(arena.alloc(64));
  } catch (error) {
    code = /** @type {NodeJS.ErrnoException} */ (error).code;
  }
  for (const part of parts) arena.free(part);
  return { code, length: arena.alloc(4000).length };
}

const kMany = 10_000;

/** So many ops to a ring of eight slots. */
function submitMany() {
  const arena = new acall.Arena(1 << 20);
  const ring = new acall.AcallCompletionRing(arena, 8);
  const bytes = Buffer.alloc(88 * 100);
  for (let i = 0; i < kMany; i += 100) {
    for (let k = 0; k < 100; k++) {
      bytes.writeUInt32LE(SYS.getppid, k * 88);
      bytes.writeUInt32LE(ACALL_SUBMIT_THREAD_POOL, k * 88 + 4);
      bytes.writeBigUInt64LE(BigInt(i + k + 1), k * 88 + 8);
      bytes.writeBigUInt64LE(ring.address, k * 88 + 16);
    }
    if (acall.acall_submit(bytes) !== 100) throw new Error('refused');
  }
  return { arena, ring };
}

async function ringThatNobodyDrains() {
  const { ring } = submitMany();
  await until(() => acall.counters().completed === kMany);
  const slots = Array.from({ length: 8 }, (_, i) => ring.comps(i).cookie !== 0n);
  const { head } = ring;
  const quick = (await stats(1000)).length;
  return { head, slots, overflows: ring.overflows, quick };
}

async function slowConsumer() {
  const { ring } = submitMany();
  const seen = new Set();
  let visits = 0;
  while (seen.size < kMany) {
    ring.drain((cookie) => {
      seen.add(cookie);
      visits++;
    }, 3);
    if (visits % 30 === 0) await nextTurn();
  }
  return { visits, distinct: seen.size, left: ring.drain(() => {}) };
}

async function readerOfMemory() {
  const { arena, ring } = submitMany();
  const slots = new BigInt64Array(arena.buffer, Number(ring.address - arena.address) + 8, 16);
  const seen = new Set();
  for (let at = 0; seen.size < kMany; ) {
    const cookie = Atomics.load(slots, (at % 8) * 2 + 1);
    if (cookie === 0n) {
      await nextTurn();
      continue;
    }
    seen.add(cookie);
    Atomics.store(slots, (at++ % 8) * 2 + 1, 0n);
  }
  return answerAndExit({ distinct: seen.size });
}

async function quickBesideStuck() {
  const controller = new AbortController();
  const all = stuck(200, { signal: controller.signal });
  let quick = 0;
  for (let round = 0; round < 10; round++) {
    quick += (await stats(1000)).length;
    quick += (await Promise.all(Array.from({ length: 100 }, () => acall.readFile('/etc/passwd')))).length;
  }
  await until(() => threadsIn('openat') === 200);
  controller.abort();
  return { quick, codes: await allTold(all) };
}

const kStorm = /** @type {const} */ (['SIGUSR2', 'SIGWINCH', 'SIGHUP']);

/** Sends signals to a process until that has ended. */
function sendStorm(/** @type {number} */ pid) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; ; i++) {
    for (const signal of kStorm) {
      try {
        process.kill(pid, signal);
      } catch {
        process.exit(0);
      }
      if (i % 50 === 0) Atomics.wait(never, 0, 0, 1);
    }
  }
}

async function stormOfSignals() {
  let heard = 0;
  for (const signal of kStorm) process.on(signal, () => heard++);
  const [, runner] = process.argv;
  const arguments_ = [String(runner), __filename, sendStorm.name, JSON.stringify([process.pid])];
  const storm = spawn(process.execPath, arguments_, { stdio: 'ignore' });
  const controller = new AbortController();
  const all = stuck(50, { signal: controller.signal });
  let answered = 0;
  let read = 0;
  await until(() => heard > 0);
  for (let round = 0; round < 20; round++) {
    answered += (await stats(500)).length;
    read += (await Promise.all(Array.from({ length: 50 }, () => acall.readFile('/etc/passwd')))).length;
  }
  await until(() => threadsIn('openat') === 50);
  // A wait that a signal interrupts returns -EINTR or times out. It neither hangs nor returns a wrong result.
  const { ring, ids } = rawStuck(1);
  const waited = acall.acall_ring_pwait(ring, 0, 1, { sec: 0, nsec: 50_000_000 });
  for (const id of ids) acall.acall_cancel(id);
  controller.abort();
  const codes = await allTold(all);
  storm.kill('SIGKILL');
  return answerAndExit({ stats: answered, read, heard: heard > 0, codes, waited });
}

async function takeSignal() {
  const before = caughtSignals();
  const attempt = async () => {
    try {
      return await told(acall.stat('/'));
    } catch {
      return 'thrown';
    }
  };
  const ends = [await attempt(), await attempt()];
  const works = ends[0] === 'done';
  const controller = new AbortController();
  const open = stuck(1, { signal: controller.signal });
  if (works) await until(() => threadsIn('openat') === 1);
  setImmediate(() => controller.abort());
  ends.push(...(await allTold(open)));
  if (works) await until(() => threadsIn('openat') === 0);
  return answerAndExit({ ends, signals: caughtSignals().filter((n) => !before.includes(n)) });
}

async function loseSignal() {
  /** @type {unknown[]} */
  const warnings = [];
  process.on('warning', (warning) => warnings.push(/** @type {NodeJS.ErrnoException} */ (warning).code));
  const round = async (/** @type {number} */ count) => {
    const controller = new AbortController();
    const all = stuck(3, { signal: controller.signal });
    await until(() => threadsIn('openat') === count);
    process.kill(process.pid, 'SIGUSR2'); // handled before it returns
    controller.abort();
    return allTold(all);
  };
  const codes = await round(3);
  await until(() => warnings.length > 0);
  codes.push(...(await round(6)));
  const answered = (await stats(500)).length;
  await until(() => threadsIn('openat') === 6); // signals that repeat make a thread seem elsewhere for a moment
  return answerAndExit({ codes: [...new Set(codes)], warnings, stats: answered });
}

async function thousandSleeps() {
  const time = Buffer.from(new BigInt64Array([0n, 50_000_000n]).buffer);
  const sleeps = Array.from({ length: 1000 }, () => acall.syscall('ppoll', [null, 0, time, null, 8]));
  return (await Promise.all(sleeps)).length;
}

module.exports = {
  moreThanThreads,
  treesWithoutThreads,
  manyWithoutThreads,
  waitForLimit,
  waitInJavaScript,
  withoutDescriptors,
  waitWithoutDescriptors,
  arenasTooLarge,
  fullArena,
  ringThatNobodyDrains,
  slowConsumer,
  readerOfMemory,
  quickBesideStuck,
  sendStorm,
  stormOfSignals,
  takeSignal,
  loseSignal,
  thousandSleeps,
};
