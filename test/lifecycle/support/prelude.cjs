/*
 * What a child process of these tests begins with: `const { acall, ... } = require(PRELUDE)`. Nothing here sleeps; states are
 * reached by blocking on FIFOs and pipes and seen in /proc.
 */
const acall = require('acall');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Worker, parentPort, workerData, isMainThread } = require('node:worker_threads');

/** A FIFO that nobody writes to: whoever opens it blocks. Made by the parent, named in the environment. */
const fifo = process.env.ACALL_TEST_FIFO;

/** A fresh FIFO in a folder of its own that goes with the process. */
function makeFifo() {
  const folder = fs.mkdtempSync(join(tmpdir(), 'acall-fifo-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'fifo');
  execFileSync('mkfifo', [path]);
  return path;
}

/** Threads of this process that are inside the given system call; not who asks, which is in read() by that. */
function threadsIn(name) {
  let count = 0;
  for (const task of fs.readdirSync('/proc/self/task')) {
    if (isMainThread && Number(task) === process.pid) continue;
    try {
      if (Number.parseInt(fs.readFileSync(`/proc/self/task/${task}/syscall`, 'latin1'), 10) === acall.SYS[name])
        count++;
    } catch {
      // It has ended, or is running.
    }
  }
  return count;
}

/** Threads of the engine. */
function ourThreads() {
  const names = [];
  for (const task of fs.readdirSync('/proc/self/task')) {
    try {
      const name = fs.readFileSync(`/proc/self/task/${task}/comm`, 'latin1').trim();
      if (name.startsWith('acall-')) names.push(name);
    } catch {
      // It has ended.
    }
  }
  return names;
}

// But for the one that the engine's supervisor may have open for a moment to look at a thread's state.
const descriptors = () =>
  fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return !fs.readlinkSync(`/proc/self/fd/${fd}`).includes('/task/');
    } catch {
      return false; // closed since
    }
  }).length;

/** Turns of the loop until the condition holds; the time-out of the test is the limit. */
async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

/** Raw ops that block in open(fifo), each with a cookie of its own, in a ring of an arena of this environment. */
function rawStuck(count, flags = 0, path = fifo) {
  const arena = new acall.Arena(1 << 20);
  const ring = new acall.AcallCompletionRing(arena, 256);
  const text = arena.cstring(path);
  const ids = [];
  const submissions = Array.from({ length: count }, (_, i) => {
    const submission = new acall.AcallSubmission(arena);
    const id = new acall.AcallId(arena);
    submission.nr = acall.SYS.openat;
    submission.flags = flags;
    submission.cookie = BigInt(i + 1);
    submission.completion_ring_pointer = ring.address;
    submission.id_pointer = id.address;
    submission.args[0] = BigInt(acall.constants.AT_FDCWD);
    submission.args[1] = acall.addressOf(text);
    ids.push(id);
    return submission;
  });
  const accepted = acall.acall_submit(submissions);
  if (accepted !== count) throw new Error(`accepted ${accepted} of ${count}`);
  return { arena, ring, ids };
}

/** Promises that block in open(fifo); their rejections are looked after. */
function stuck(count, options, path = fifo) {
  return Array.from({ length: count }, () => {
    const promise = acall.syscall('openat', [acall.constants.AT_FDCWD, path, acall.constants.O_RDONLY], options);
    promise.catch(() => {});
    return promise;
  });
}

/** A Worker that runs this source after this prelude. */
function worker(source, options = {}) {
  return new Worker(`const prelude = require(${JSON.stringify(__filename)}); with (prelude) { ${source} }`, {
    eval: true,
    ...options,
  });
}

/** Tells the parent that the end begins now; what comes after it is timed. */
const ending = () => fs.writeSync(3, 'ending\n');

/** What became of a promise: its value, or the code of its error. */
const outcome = (promise) =>
  promise.then(
    (value) => value,
    (error) => error.code ?? error.name,
  );

module.exports = {
  acall,
  fs,
  Worker,
  parentPort,
  workerData,
  isMainThread,
  fifo,
  makeFifo,
  threadsIn,
  ourThreads,
  descriptors,
  until,
  rawStuck,
  stuck,
  worker,
  ending,
  outcome,
  join,
}; // prettier-ignore
