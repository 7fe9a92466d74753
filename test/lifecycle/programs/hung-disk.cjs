/* Programs of hung-disk.test.ts: calls on a disk that hangs, and how a process or a Worker ends that has made them. */
const acall = require('acall');
const fs = require('node:fs');
const { parentPort } = require('node:worker_threads');
const inside = require('../../support/inside.cjs');

const { ending, messageOf, named, nextTurn, outcome, quiet, stats, threadsIn, until, worker } = inside;
const { AT_FDCWD } = acall.constants;

/** Where the disk is mounted; the parent passes it. Only acall may touch anything below it. */
const disk = process.env.ACALL_TEST_DISK ?? '';

/**
 * Every helper, on a path of the disk.
 * @type {Record<string, (options: import('acall').CommonOptions) => Promise<unknown>>}
 */
const helpers = {
  syscall: (options) => acall.syscall('openat', [AT_FDCWD, `${disk}/a`, 0], options),
  'syscall on its own thread': (options) =>
    acall.syscall('openat', [AT_FDCWD, `${disk}/b`, 0], { ...options, thread: 'own' }),
  stat: (options) => acall.stat(`${disk}/c`, options),
  lstat: (options) => acall.lstat(`${disk}/d`, options),
  statMany: (options) => acall.statMany([`${disk}/e`, '/'], options),
  readdir: (options) => acall.readdir(disk, options),
  'readdir with stats': (options) => acall.readdir(disk, { ...options, withStats: true }),
  walk: (options) => acall.walk(disk, options).collect(),
  du: (options) => acall.du(disk, options),
  open: (options) => acall.open(`${disk}/f`, 'r', 0o666, options),
  readFile: (options) => acall.readFile(`${disk}/g`, options),
  readFiles: async (options) => await acall.readFiles([`${disk}/h`, '/etc/passwd'], options),
  writeFile: (options) => acall.writeFile(`${disk}/i`, 'text', options),
  copyFile: (options) => acall.copyFile('/etc/passwd', `${disk}/j`, options),
  mkdirp: (options) => acall.mkdirp(`${disk}/k/l`, options),
  rmTree: (options) => acall.rmTree(`${disk}/m`, options),
};

/** Files and folders that are open; Node and the engine have descriptors of their own that come and go. */
function openFiles() {
  return fs
    .readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '/proc';
      }
    })
    .filter((path) => path.startsWith('/') && !path.startsWith('/proc') && !path.startsWith('/dev'));
}

/** The parent frees the disk once this has printed, and then ends its standard input. What is left open goes to stderr. */
async function leaveAndReturn() {
  await acall.stat('/');
  const before = openFiles();
  /** @type {Record<string, unknown[]>} */
  const outcomes = {};
  await Promise.all(
    Object.entries(helpers).map(async ([name, call]) => {
      outcomes[name] = [await outcome(call({ timeout: 50 }))];
    }),
  );
  const controller = new AbortController();
  const aborted = Object.entries(helpers).map(async ([name, call]) => {
    outcomes[name]?.push(await outcome(call({ signal: controller.signal })));
  });
  await nextTurn();
  await until(() => acall.counters().running > 0);
  const begun = performance.now();
  controller.abort();
  await Promise.all(aborted);
  const ms = performance.now() - begun;
  const quick = (await stats(2000)).length;
  console.log(JSON.stringify({ outcomes, ms, quick, stuck: acall.counters().running > 0 }));
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.on('end', resolve));
  await quiet();
  process.stderr.write(
    openFiles()
      .filter((path) => !before.includes(path))
      .join(),
  );
  ending();
}

async function callAll() {
  for (const call of Object.values(helpers)) call({}).catch(() => {});
  await until(() => acall.counters().running >= 4);
}

/** In a Worker: raw ops whose results the kernel will write into an arena that only the Worker has. */
async function statIntoOwnArena() {
  const arena = new acall.Arena();
  const ring = new acall.AcallCompletionRing(arena, 8);
  const submissions = [0, acall.ACALL_SUBMIT_THREAD_POOL].map((flags) => {
    const submission = new acall.AcallSubmission(arena);
    Object.assign(submission, { nr: acall.SYS.statx, flags, cookie: 1n, completion_ring_pointer: ring.address });
    submission.args[0] = BigInt(AT_FDCWD);
    submission.args[1] = acall.addressOf(arena.cstring(`${disk}/x`));
    submission.args[3] = 0x7ffn;
    submission.args[4] = acall.addressOf(arena.alloc(256));
    return submission;
  });
  acall.acall_submit(submissions);
  await until(() => threadsIn('statx') >= 1);
  parentPort?.postMessage('stuck');
}

async function startWorkerOnDisk() {
  const there = worker(__filename, statIntoOwnArena);
  await messageOf(there);
  return there;
}

/** @type {Record<string, () => Promise<unknown>>} */
const endings = {
  async 'process.exit()'() {
    await callAll();
    ending();
    process.exit(6);
  },
  async 'an uncaught exception'() {
    await callAll();
    ending();
    setImmediate(() => {
      throw new Error('uncaught');
    });
  },
  async 'process.exit() beside a Worker whose memory the kernel holds'() {
    await startWorkerOnDisk();
    ending();
    process.exit(6);
  },
  async 'its natural end beside such a Worker'() {
    (await startWorkerOnDisk()).unref();
    ending();
  },
  async 'aborts and its natural end'() {
    await Promise.all(Object.values(helpers).map((call) => outcome(call({ timeout: 20 }))));
    ending();
  },
};

/** @param {string} how */
async function end(how) {
  await named(endings, how)();
}

async function exitWhileRead() {
  await callAll();
  console.log(process.pid);
  ending();
  process.exit(6);
}

async function terminateWhileHeld() {
  const there = await startWorkerOnDisk();
  let over = false;
  const terminated = there.terminate().then(() => (over = true));
  for (let i = 0; i < 20; i++) await stats(100);
  console.log(over);
  await terminated;
  process.exit(0);
}

/** In a Worker. */
async function callAllAndTell() {
  await callAll();
  parentPort?.postMessage('stuck');
}

async function terminatePromises() {
  const there = worker(__filename, callAllAndTell);
  await messageOf(there);
  const begun = performance.now();
  await there.terminate();
  console.log(performance.now() - begun);
  await until(() => acall.counters().running === 0);
}

/** An open that is aborted, and whose file comes later. */
async function abandonOpen() {
  const controller = new AbortController();
  const opened = outcome(acall.open(`${disk}/late`, 'r', 0o666, controller));
  await until(() => threadsIn('openat') >= 1);
  controller.abort();
  await opened;
}

/** Until the file that has come is being closed, which hangs. The parent reads our id. */
async function untilInClose() {
  await until(() => threadsIn('close') >= 1);
  console.log(process.pid);
}

/** In a Worker. */
async function abandonAndLive() {
  await abandonOpen();
  parentPort?.postMessage('aborted');
  setInterval(() => {}, 1000);
}

/** In a Worker. */
async function abandonUntilMessage() {
  await abandonOpen();
  parentPort?.once('message', () => {});
  parentPort?.postMessage('aborted');
}

/** In a Worker. */
async function statAndLive() {
  await acall.stat('/');
  parentPort?.postMessage('there');
  setInterval(() => {}, 1000);
}

/** In a Worker. */
const statAndEnd = () => acall.stat('/');

const startInClose = async (/** @type {() => unknown} */ program) => {
  const there = worker(__filename, program);
  await messageOf(there);
  await untilInClose();
  return there;
};

/** @type {Record<string, () => Promise<unknown>>} */
const endsWithClose = {
  async 'the natural end of the process'() {
    await abandonOpen();
    await untilInClose();
  },
  async 'process.exit()'() {
    await abandonOpen();
    await untilInClose();
    process.exit(0);
  },
  async 'terminate()'() {
    await (await startInClose(abandonAndLive)).terminate();
  },
  async 'the natural end of a Worker'() {
    const there = await startInClose(abandonUntilMessage);
    await new Promise((resolve) => {
      there.on('exit', resolve);
      there.postMessage('end');
    });
  },
  async 'the ends of other Workers'() {
    await (await startInClose(abandonAndLive)).terminate();
    const second = worker(__filename, statAndLive);
    await messageOf(second);
    await second.terminate();
    const third = worker(__filename, statAndEnd);
    await new Promise((resolve, reject) => third.on('exit', resolve).on('error', reject));
  },
};

/** @param {string} how */
async function endWithClose(how) {
  await named(endsWithClose, how)();
}

module.exports = {
  helpers,
  leaveAndReturn,
  statIntoOwnArena,
  end,
  exitWhileRead,
  terminateWhileHeld,
  callAllAndTell,
  terminatePromises,
  abandonAndLive,
  abandonUntilMessage,
  statAndLive,
  statAndEnd,
  endsWithClose,
  endWithClose,
};
