/* Programs of process-end.test.ts: what a process has in flight, and how it ends. */
const acall = require('acall');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const { parentPort } = require('node:worker_threads');
const {
  ending,
  fifo,
  makeFifo,
  messageOf,
  named,
  rawStuck,
  stats,
  stuck,
  threadsIn,
  until,
  worker,
} = require('../../support/inside.cjs');

const { ACALL_SUBMIT_THREAD_POOL } = acall;
const openThreads = (/** @type {number} */ count) => until(() => threadsIn('openat') === count);

async function workerStuck() {
  stuck(10);
  rawStuck(10);
  rawStuck(10, ACALL_SUBMIT_THREAD_POOL);
  await until(() => threadsIn('openat') >= 30);
  parentPort?.postMessage('stuck');
}

async function workerInRingWait() {
  const { ring } = rawStuck(1);
  await until(() => threadsIn('openat') >= 1);
  parentPort?.postMessage('waits');
  acall.acall_ring_pwait(ring, 0, 1);
}

async function workerInCompWait() {
  const { ids } = rawStuck(3);
  await until(() => threadsIn('openat') >= 3);
  parentPort?.postMessage('waits');
  acall.acall_comp_pwait(ids, 3);
}

/** Opens a FIFO for writing, which lets those that open it for reading go on. */
function openForWriting(/** @type {string} */ path) {
  fs.openSync(path, 'w');
}

/**
 * What is in flight when the end comes. Each comes to the state that its name says; one that is no async function, in the tick
 * in which the end comes.
 * @type {Record<string, () => unknown>}
 */
const stages = {
  'nothing was ever submitted'() {},
  async 'all is over'() {
    await acall.stat('/');
  },
  'ops of this tick, not yet sent down'() {
    stuck(5);
    stuck(5, { thread: 'own' });
  },
  async 'ops stuck in the pool'() {
    stuck(20);
    await openThreads(20);
  },
  async 'ops stuck on own threads'() {
    stuck(20, { thread: 'own' });
    await openThreads(20);
  },
  async 'ops queued behind stuck ones'() {
    stuck(300);
    await openThreads(4);
  },
  async 'raw ops stuck in the pool'() {
    rawStuck(20, ACALL_SUBMIT_THREAD_POOL);
    await openThreads(20);
  },
  async 'raw ops stuck on own threads'() {
    rawStuck(20);
    await openThreads(20);
  },
  async 'ops aborted and not yet back'() {
    const controller = new AbortController();
    stuck(50, { signal: controller.signal });
    await openThreads(50);
    controller.abort();
  },
  async 'results that nobody has taken'() {
    for (let i = 0; i < 500; i++) acall.syscall('openat', [acall.constants.AT_FDCWD, '/dev/null', 0]);
    await null;
    await null;
    while (acall.counters().completed < 500);
  },
  async 'a walk and a du under way'() {
    const walk = acall.walk('/usr', { stats: true })[Symbol.asyncIterator]();
    acall.du('/usr').catch(() => {});
    await walk.next();
  },
  async 'quick ops flying'() {
    void (async () => {
      for (;;) await stats(100);
    })();
    await acall.stat('/');
  },
  async 'a Worker with stuck ops'() {
    await messageOf(worker(__filename, workerStuck));
  },
  async 'a Worker blocked in acall_ring_pwait'() {
    await messageOf(worker(__filename, workerInRingWait));
    await until(() => threadsIn('ppoll') >= 1);
  },
  async 'a Worker blocked in acall_comp_pwait'() {
    await messageOf(worker(__filename, workerInCompWait));
    await until(() => threadsIn('ppoll') >= 1);
  },
};

/** @type {Record<string, () => void>} */
const endings = {
  'process.exit(7)': () => process.exit(7),
  'a SIGTERM handler that exits'() {
    process.on('SIGTERM', () => process.exit(15));
    setInterval(() => {}, 1000);
    process.kill(process.pid, 'SIGTERM');
  },
  'an uncaught exception'() {
    setImmediate(() => {
      throw new Error('uncaught');
    });
  },
  'process.exitCode and process.exit()'() {
    process.exitCode = 9;
    process.exit();
  },
  'SIGTERM without a handler': () => void process.kill(process.pid, 'SIGTERM'),
  'an unhandled rejection': () => void Promise.reject(new Error('unhandled')),
  'process.reallyExit(6)': () => /** @type {any} */ (process).reallyExit(6),
  'an exit listener that submits'() {
    process.on('exit', () => {
      stuck(3);
      rawStuck(3);
    });
    process.exit(8);
  },
};

/** @param {string} stage @param {string} end */
async function endWith(stage, end) {
  const begun = named(stages, stage)();
  if (begun) await begun;
  ending();
  named(endings, end)();
}

async function endByItself() {
  await acall.stat('/');
  await acall.syscall('getppid', []);
  ending();
}

async function openedLater() {
  const path = makeFifo();
  void acall.syscall('openat', [acall.constants.AT_FDCWD, path, acall.constants.O_RDONLY]).then(() => {
    console.log('opened');
    ending();
  });
  await openThreads(1);
  worker(__filename, openForWriting, path).unref();
}

async function storedLater() {
  const path = makeFifo();
  const { ring } = rawStuck(1, 0, path);
  void ring.wait().then((count) => {
    console.log('stored', count);
    ring.drain(() => {});
    ending();
  });
  await openThreads(1);
  worker(__filename, openForWriting, path).unref();
}

async function storedLaterAfterRef() {
  const path = makeFifo();
  const { ring } = rawStuck(1, 0, path);
  await openThreads(1);
  ring.unref().ref();
  worker(__filename, openForWriting, path).unref();
  process.on('exit', () => console.log('stored', ring.head));
  void ring.wait().then(() => ending());
}

/** What does not keep a process alive. @type {Record<string, () => Promise<unknown>>} */
const unreferenced = {
  async 'an op with ref: false'() {
    stuck(10, { ref: false });
    await openThreads(10);
  },
  async 'own-thread ops with ref: false'() {
    stuck(10, { ref: false, thread: 'own' });
    await openThreads(10);
  },
  async 'raw ops of a ring that was unref()ed before'() {
    const arena = new acall.Arena();
    const ring = new acall.AcallCompletionRing(arena, 4).unref();
    const submission = new acall.AcallSubmission(arena);
    Object.assign(submission, { nr: acall.SYS.openat, cookie: 1n, completion_ring_pointer: ring.address });
    submission.args[0] = -100n;
    submission.args[1] = acall.addressOf(arena.cstring(fifo));
    acall.acall_submit([submission]);
    await openThreads(1);
  },
  async 'raw ops in flight of a ring that is unref()ed'() {
    const { ring } = rawStuck(10);
    await openThreads(10);
    ring.unref();
  },
  async 'an aborted op that the kernel keeps'() {
    const controller = new AbortController();
    stuck(10, { signal: controller.signal });
    await openThreads(10);
    controller.abort();
  },
};

/** @param {string} stage */
async function endWithUnreferenced(stage) {
  await named(unreferenced, stage)();
  ending();
}

async function spawnBesideStuckOps() {
  const inherited = () => execFileSync('ls', ['/proc/self/fd'], { encoding: 'utf8' });
  const before = inherited();
  stuck(20);
  rawStuck(20);
  await openThreads(40);
  for (let i = 0; i < 20; i++) {
    const code = await new Promise((resolve, reject) => spawn('true').on('error', reject).on('exit', resolve));
    if (code !== 0) throw new Error(`true ended with ${code}`);
  }
  // Without a preloaded sanitizer, which has handlers of its own.
  const env = { PATH: process.env.PATH };
  const status = execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8', env });
  console.log(status.match(/SigCgt:\s+(\w+)/)?.[1], status.match(/SigBlk:\s+(\w+)/)?.[1]);
  console.log(inherited() === before);
  ending();
  process.exit(0);
}

module.exports = {
  stages,
  endings,
  endWith,
  endByItself,
  openedLater,
  storedLater,
  storedLaterAfterRef,
  unreferenced,
  endWithUnreferenced,
  spawnBesideStuckOps,
  workerStuck,
  workerInRingWait,
  workerInCompWait,
  openForWriting,
};
