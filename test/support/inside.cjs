/*
 * What the programs of tests have in common, see programs.ts. Nothing here sleeps; states are reached by blocking on FIFOs and
 * pipes and seen in /proc.
 */
const acall = require('acall');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Worker, isMainThread } = require('node:worker_threads');

/** A FIFO that nobody writes to: whoever opens it blocks. Made by the parent, named in the environment. */
const fifo = process.env.ACALL_TEST_FIFO ?? '';

/** A folder that goes with the process, or with the Worker. */
function makeFolder() {
  const folder = fs.mkdtempSync(join(tmpdir(), 'acall-program-'));
  process.on('exit', () => {
    try {
      fs.rmSync(folder, { recursive: true, force: true });
    } catch {
      // Threads still make files there: what is left goes with the folder of all tests.
    }
  });
  return folder;
}

/** A fresh FIFO in a folder of its own that goes with the process. */
function makeFifo() {
  const path = join(makeFolder(), 'fifo');
  execFileSync('mkfifo', [path]);
  return path;
}

/**
 * Threads of this process that are inside the given system call; not the one that asks, which is in read() by that.
 * @param {keyof typeof acall.SYS} name
 */
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

/** Names of the engine's threads. */
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

/**
 * Whether a descriptor is open, and not one that the engine's supervisor has open for a moment to look at a thread's state.
 * @param {number | string} fd
 */
function isOpen(fd) {
  try {
    return !fs.readlinkSync(`/proc/self/fd/${fd}`).includes('/task/');
  } catch {
    return false; // closed since
  }
}

/** How many descriptors are open. */
const descriptors = () => fs.readdirSync('/proc/self/fd').filter(isOpen).length;

/** Real-time signals that have a handler. */
function caughtSignals() {
  const [, mask] = /^SigCgt:\s*(\w+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Array.from({ length: 30 }, (_, i) => i + 35).filter((n) => (BigInt(`0x${mask}`) >> BigInt(n - 1)) & 1n);
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Turns of the loop until the condition holds; the time-out of the test is the limit.
 * @param {() => unknown} condition
 */
async function until(condition) {
  while (!(await condition())) await nextTurn();
}

/** Until no thread of the engine has anything to do. */
const quiet = () => until(() => acall.counters().running === 0 && acall.counters().queued === 0);

/** Raw ops that block in open(path), each with a cookie of its own, in a ring of an arena of this environment. */
function rawStuck(count = 1, flags = 0, path = fifo) {
  const arena = new acall.Arena(1 << 20);
  const ring = new acall.AcallCompletionRing(arena, 256);
  const text = arena.cstring(path);
  /** @type {acall.AcallId[]} */
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

/**
 * Promises that block in open(path); their rejections are looked after.
 * @param {number} count
 * @param {import('acall').CommonOptions & { thread?: 'pool' | 'own' }} [options]
 */
function stuck(count, options, path = fifo) {
  return Array.from({ length: count }, () => {
    const promise = acall.syscall('openat', [acall.constants.AT_FDCWD, path, acall.constants.O_RDONLY], options);
    promise.catch(() => {});
    return promise;
  });
}

/** Promises of many stats of the root, which go on their way at once. */
const stats = (/** @type {number} */ count) => Promise.all(Array.from({ length: count }, () => acall.stat('/')));

/**
 * A Worker that runs a function of a file of programs, which the file exports by its own name.
 * @template {unknown[]} Args
 * @param {string} file
 * @param {(...args: Args) => unknown} program
 * @param {Args} args
 */
function worker(file, program, ...args) {
  return new Worker(join(__dirname, 'program.cjs'), { workerData: { file, name: program.name, args } });
}

/** The next message of a Worker; rejects when it throws instead. */
const messageOf = (/** @type {Worker} */ thread) =>
  new Promise((resolve, reject) => void thread.once('message', resolve).once('error', reject));

/** The exit code of a Worker that has not ended yet. */
const endOf = (/** @type {Worker} */ thread) => new Promise((resolve) => void thread.once('exit', resolve));

/**
 * One of a table of programs' parts by its name; throws when there is none of that name, as a test without it would test nothing.
 * @template T
 * @param {Record<string, T>} table
 * @param {string} name
 */
function named(table, name) {
  const found = table[name];
  if (found === undefined) throw new Error(`no "${name}" in ${Object.keys(table).join(', ')}`);
  return found;
}

/** Tells the parent that the end begins now; what comes after it is timed. */
const ending = () => void fs.writeSync(3, 'ending\n');

/**
 * Prints the answer of a program that does not end by itself, and ends it. Returns it for the sake of its type.
 * @template T
 * @param {T} answer
 */
function answerAndExit(answer) {
  fs.writeSync(1, JSON.stringify(answer));
  process.exit(0);
  return answer;
}

/**
 * What became of a promise: its value, or the code of its error.
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T | string>}
 */
const outcome = (promise) =>
  promise.then(
    (value) => value,
    (error) => error.code ?? error.name,
  );

module.exports = {
  fifo,
  makeFolder,
  makeFifo,
  threadsIn,
  ourThreads,
  isOpen,
  descriptors,
  caughtSignals,
  nextTurn,
  until,
  quiet,
  rawStuck,
  stuck,
  stats,
  worker,
  messageOf,
  endOf,
  named,
  ending,
  answerAndExit,
  outcome,
};
