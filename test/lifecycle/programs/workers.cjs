/* Programs of workers.test.ts: Workers that come, wait, share and go, and the main threads that start them. */
const acall = require('acall');
const { parentPort } = require('node:worker_threads');
const inside = require('../../support/inside.cjs');

const { descriptors, endOf, fifo, messageOf, named, nextTurn, ourThreads, quiet, rawStuck, stats, stuck, threadsIn } =
  inside;
const { until, worker } = inside;
const { ACALL_SUBMIT_THREAD_POOL, SYS } = acall;

const post = (/** @type {unknown} */ message) => parentPort?.postMessage(message);

/**
 * What a Worker has in flight when it ends; it posts a message when it is there.
 * @type {Record<string, () => unknown>}
 */
const stages = {
  async 'stuck promises and raw ops'() {
    stuck(10);
    stuck(10, { thread: 'own' });
    rawStuck(10);
    rawStuck(10, ACALL_SUBMIT_THREAD_POOL);
    await until(() => threadsIn('openat') >= 40);
    post('there');
  },
  'ops it has not sent down yet'() {
    post('there');
    stuck(10);
    rawStuck(1);
  },
  async 'quick ops flying'() {
    void (async () => {
      for (;;) await stats(100);
    })();
    await acall.stat('/');
    post('there');
  },
  async 'a walk, a du and a batch under way'() {
    const walk = acall.walk('/usr', { stats: true })[Symbol.asyncIterator]();
    const ignore = () => {};
    acall.du('/usr').catch(ignore);
    acall.statMany(Array.from({ length: 5000 }, () => '/')).catch(ignore);
    acall.readFiles(Array.from({ length: 5000 }, () => '/etc/hostname')).then(ignore, ignore);
    await walk.next();
    post('there');
  },
  async 'a wait in acall_ring_pwait'() {
    const { ring } = rawStuck(1);
    await until(() => threadsIn('openat') >= 1);
    post('there');
    acall.acall_ring_pwait(ring, 0, 1);
  },
  async 'a wait in acall_comp_pwait'() {
    const { ids } = rawStuck(2);
    await until(() => threadsIn('openat') >= 2);
    post('there');
    acall.acall_comp_pwait(ids, 2);
  },
  async 'a promise that waits for a ring'() {
    const { ring } = rawStuck(1);
    void ring.wait();
    await until(() => threadsIn('openat') >= 1);
    post('there');
  },
};

/** @type {Record<string, () => void>} */
const endings = {
  'process.exit(5)': () => process.exit(5),
  'an exception'() {
    setImmediate(() => {
      throw new Error('uncaught');
    });
  },
};

/**
 * In a Worker: a stage, and perhaps an end, in the tick of the stage where that is no async function.
 * @param {string} stage
 * @param {string} [end]
 */
async function inStage(stage, end) {
  const begun = named(stages, stage)();
  if (begun) await begun;
  if (end !== undefined) named(endings, end)();
}

/** In a Worker: a thousand stats for each message. */
function answerMessages() {
  parentPort?.on('message', async () => {
    for (let i = 0; i < 20; i++) await stats(50);
    post(20);
  });
}

/** @param {string} stage */
async function terminate(stage) {
  const other = worker(__filename, answerMessages);
  let slowest = 0;
  /** @type {number[]} */
  const others = [];
  for (let round = 0; round < 3; round++) {
    const there = worker(__filename, inStage, stage, undefined);
    await messageOf(there);
    const answered = messageOf(other);
    other.postMessage('go');
    const begun = performance.now();
    await there.terminate();
    slowest = Math.max(slowest, performance.now() - begun);
    others.push(await answered);
    await acall.stat('/');
  }
  await other.terminate();
  await until(() => acall.counters().ownThreads === 0 && acall.counters().running === 0);
  return { slowest, others, left: ourThreads().filter((name) => name === 'acall-own') };
}

/** @param {string} stage @param {string} end */
async function endByItself(stage, end) {
  const there = worker(__filename, inStage, stage, end);
  let begun = Number.NaN;
  there.on('message', () => (begun = performance.now()));
  there.on('error', () => {});
  const code = await endOf(there);
  await acall.stat('/');
  return { code: Number(code), ms: performance.now() - begun };
}

/** In a Worker, one of four: it ends by process.exit() at once, in the next turn, or not by itself. */
async function comeAndPerhapsGo(/** @type {number} */ which) {
  stuck(3);
  rawStuck(3);
  rawStuck(3, ACALL_SUBMIT_THREAD_POOL);
  const controller = new AbortController();
  stuck(3, { signal: controller.signal });
  for (let i = 0; i < 3; i++) await stats(50);
  controller.abort();
  post('there');
  if (which === 0) process.exit(3);
  if (which === 1) setImmediate(() => process.exit(3));
}

async function comeAndGo() {
  let flying = true;
  const flight = (async () => {
    while (flying) await stats(50);
  })();
  /** @type {number[]} */
  const codes = [];
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const there = worker(__filename, comeAndPerhapsGo, i % 4);
        const ended = endOf(there); // it may end together with its message
        await messageOf(there);
        if (i % 4 > 1) await there.terminate();
        else codes.push(await ended);
      }),
    );
  }
  flying = false;
  await flight;
  await until(() => acall.counters().running === 0);
  return codes;
}

/** In a Worker: leaves a call in flight behind and ends. */
function leaveOneBehind() {
  acall.syscall('openat', [acall.constants.AT_FDCWD, fifo, 0]).catch(() => {});
  void acall.stat('/').then(() => process.exit(0));
}

async function loadAgainAndAgain() {
  // The addon is loaded here too; only what a process that has not loaded it looks like is of interest.
  let first = -1;
  for (let round = 0; round < 12; round++) {
    if ((await endOf(worker(__filename, leaveOneBehind))) !== 0) throw new Error('a Worker failed');
    if (round === 1) first = descriptors();
  }
  return { first, last: descriptors() };
}

/** In a Worker: waits on a ring of another environment. */
function waitOnRing(/** @type {SharedArrayBuffer} */ buffer, /** @type {bigint} */ address) {
  const ring = acall.AcallCompletionRing.from(acall.Arena.from(buffer), address);
  post('waits');
  post(acall.acall_ring_pwait(ring, 0, 3));
}

async function shareRing() {
  const arena = new acall.Arena();
  const ring = new acall.AcallCompletionRing(arena, 8);
  const there = worker(__filename, waitOnRing, arena.buffer, ring.address);
  /** @type {unknown[]} */
  const messages = [];
  /** @type {Promise<void>} */
  const all = new Promise((resolve) => {
    there.on('message', (message) => {
      messages.push(message);
      if (messages.length === 2) resolve();
    });
  });
  await until(() => threadsIn('ppoll') === 1);
  const submissions = [1n, 2n, 3n].map((cookie) => {
    const submission = new acall.AcallSubmission(arena);
    const to = { cookie, completion_ring_pointer: ring.address };
    return Object.assign(submission, { nr: SYS.getppid, flags: ACALL_SUBMIT_THREAD_POOL, ...to });
  });
  acall.acall_submit(submissions);
  await all;
  /** @type {string[]} */
  const drained = [];
  ring.drain((cookie, code) => drained.push(String(cookie) + (code === BigInt(process.ppid) ? '' : '?')));
  return { waited: messages[1], drained: drained.sort() };
}

/**
 * Lays down submissions in plain memory, 88 bytes each. No struct views: environments share buffers and not the allocator.
 * @param {{ nr: number, flags?: number, cookie: number, ring: bigint, args?: readonly bigint[] }[]} all
 */
function submissionsOf(all) {
  const bytes = Buffer.alloc(88 * all.length);
  all.forEach(({ nr, flags = 0, cookie, ring, args = [] }, i) => {
    bytes.writeUInt32LE(nr, i * 88);
    bytes.writeUInt32LE(flags, i * 88 + 4);
    bytes.writeBigUInt64LE(BigInt(cookie), i * 88 + 8);
    bytes.writeBigUInt64LE(ring, i * 88 + 16);
    args.forEach((arg, k) => void bytes.writeBigInt64LE(BigInt.asIntN(64, arg), i * 88 + 40 + k * 8));
  });
  return bytes;
}

/** In a Worker: drains a shared ring until nothing is left, from a message on. */
function drainShared(
  /** @type {SharedArrayBuffer} */ buffer,
  /** @type {bigint} */ address,
  /** @type {SharedArrayBuffer} */ left,
) {
  const ring = acall.AcallCompletionRing.from(acall.Arena.from(buffer), address);
  /** @type {number[]} */
  const mine = [];
  parentPort?.on('message', async () => {
    while (Atomics.load(new Int32Array(left), 0) !== 0) {
      ring.drain((cookie) => void mine.push(Number(cookie)), 7);
      await nextTurn();
    }
    ring.drain((cookie) => void mine.push(Number(cookie)));
    post(mine);
    parentPort?.close();
  });
  post('there');
}

async function drainByTwo() {
  const arena = new acall.Arena(8 << 20);
  const ring = new acall.AcallCompletionRing(arena, 64);
  const left = new SharedArrayBuffer(4);
  const workers = [0, 1].map(() => worker(__filename, drainShared, arena.buffer, ring.address, left));
  await Promise.all(workers.map(messageOf));
  Atomics.store(new Int32Array(left), 0, 1);
  const results = workers.map(messageOf);
  for (const there of workers) there.postMessage('go');
  const count = 20_000;
  for (let i = 0; i < count; i += 100) {
    const submission = { nr: SYS.getppid, flags: ACALL_SUBMIT_THREAD_POOL, ring: ring.address };
    const bytes = submissionsOf(Array.from({ length: 100 }, (_, k) => ({ ...submission, cookie: i + k + 1 })));
    if (acall.acall_submit(bytes, 100) !== 100) throw new Error('refused');
    if (i % 2000 === 0) await nextTurn();
  }
  await until(() => ring.head === count);
  Atomics.store(new Int32Array(left), 0, 0);
  const [one, other] = await Promise.all(results);
  const all = [...one, ...other];
  return { total: all.length, distinct: new Set(all).size, both: one.length > 0 && other.length > 0 };
}

/** In a Worker: eight opens that block, with sinks of another environment. */
function submitToOthers(
  /** @type {SharedArrayBuffer} */ buffer,
  /** @type {bigint} */ ring,
  /** @type {bigint} */ path,
) {
  acall.Arena.from(buffer);
  const open = { nr: SYS.openat, ring, args: [BigInt(acall.constants.AT_FDCWD), path] };
  const bytes = submissionsOf(Array.from({ length: 8 }, (_, i) => ({ ...open, flags: i % 2, cookie: i + 1 })));
  parentPort?.on('message', () => {});
  post(acall.acall_submit(bytes));
}

async function outliveWorker() {
  const arena = new acall.Arena();
  const ring = new acall.AcallCompletionRing(arena, 16);
  const path = acall.addressOf(arena.cstring(fifo));
  const there = worker(__filename, submitToOthers, arena.buffer, ring.address, path);
  const accepted = await messageOf(there);
  if (accepted !== 8) throw new Error(`accepted ${accepted}`);
  await until(() => threadsIn('openat') === 8);
  await there.terminate();
  await until(() => ring.head === 8);
  /** @type {string[]} */
  const codes = [];
  ring.drain((_, code) => codes.push(String(code)));
  return codes.sort();
}

/** In a Worker: an op that blocks, whose id is written where another environment sees it. */
async function tellId(/** @type {SharedArrayBuffer} */ buffer, /** @type {number} */ offset) {
  const { ring, ids } = rawStuck(1);
  new Uint8Array(buffer, offset, 16).set(/** @type {acall.AcallId} */ (ids[0]).bytes);
  void ring.wait().then(() => ring.drain((_, code) => post(String(code))));
  await until(() => threadsIn('openat') === 1);
  post('there');
}

async function cancelOfWorker() {
  const arena = new acall.Arena();
  const id = new acall.AcallId(arena);
  const there = worker(__filename, tellId, arena.buffer, id.bytes.byteOffset);
  await messageOf(there);
  const result = messageOf(there);
  const cancelled = acall.acall_cancel(id);
  const again = acall.acall_cancel(id);
  const code = await result;
  return { cancelled, again, code, later: acall.acall_cancel(id) };
}

/** How a Worker ends that holds its thread. @type {Record<string, () => void>} */
const abruptEndings = {
  'process.exit()': () => process.exit(0),
  'an exception'() {
    throw new Error('uncaught');
  },
  'terminate()'() {
    post(1);
    for (;;);
  },
};

/** In a Worker: 150 calls that bring descriptors, complete, and not taken when it ends. */
function leaveDescriptors(/** @type {string} */ end) {
  const done = acall.counters().completed;
  for (let i = 0; i < 50; i++) {
    acall.syscall('openat', [acall.constants.AT_FDCWD, '/dev/null', 0]).catch(() => {});
    // Not in the pool: calls that cannot block would run inline, and their results would be taken.
    acall.syscall('pipe2', [Buffer.alloc(8), 0], { thread: 'own' }).catch(() => {});
    acall.syscall('socketpair', [1, 1, 0, Buffer.alloc(8)], { thread: 'own' }).catch(() => {});
  }
  queueMicrotask(() =>
    queueMicrotask(() => {
      while (acall.counters().completed < done + 150);
      named(abruptEndings, end)();
    }),
  );
}

/** @param {string} end */
async function closeDescriptors(end) {
  await acall.stat('/');
  const run = async () => {
    const there = worker(__filename, leaveDescriptors, end);
    there.on('error', () => {});
    there.on('message', () => there.terminate());
    await endOf(there);
  };
  await run();
  await quiet();
  const before = descriptors();
  for (let i = 0; i < 3; i++) await run();
  await quiet();
  return { before, after: descriptors() };
}

module.exports = {
  stages,
  endings,
  abruptEndings,
  inStage,
  answerMessages,
  terminate,
  endByItself,
  comeAndPerhapsGo,
  comeAndGo,
  leaveOneBehind,
  loadAgainAndAgain,
  waitOnRing,
  shareRing,
  drainShared,
  drainByTwo,
  submitToOthers,
  outliveWorker,
  tellId,
  cancelOfWorker,
  leaveDescriptors,
  closeDescriptors,
};
