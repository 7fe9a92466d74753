/* A program of stalled-local.test.ts: calls on a local file system whose disk stalls once this has printed "stall". */
const acall = require('acall');
const fs = require('node:fs');
const { nextTurn, until } = require('../../support/inside.cjs');

const { syscall, constants, SYS } = acall;

/** Where it is mounted, as the parent says; it has the folders warm, known and cold with twenty files each. */
const disk = process.env.ACALL_TEST_DISK ?? '';
const names = Array.from({ length: 20 }, (_, i) => `file${i}`);
const ignore = () => {};

/** Reads what shall be in memory; open files of each kind. */
async function warm() {
  const open = (/** @type {string} */ folder, /** @type {number} */ i) =>
    fs.openSync(`${disk}/${folder}/file${i}`, 'r+');
  for (const name of names) fs.readFileSync(`${disk}/warm/${name}`);
  for (const name of names) fs.statSync(`${disk}/known/${name}`);
  await until(async () => {
    const before = acall.counters().inlineHits;
    await acall.stat(`${disk}/warm/file0`);
    return acall.counters().inlineHits > before; // its mount is known
  });
  const half = open('known', 0); // its first pages are there, with a mark for more
  fs.readSync(half, Buffer.alloc(4096), 0, 4096, 0);
  const kinds = { warm: open('warm', 1), known: open('known', 2), half, removed: open('known', 3) };
  fs.unlinkSync(`${disk}/known/file3`);
  return { ...kinds, folder: fs.openSync(`${disk}/cold`, 'r') };
}

const arena = new acall.Arena(1 << 22);
const base = acall.addressOf(arena.alloc(65_536));

/** Submits a call that may be done inline. @param {acall.SyscallName} name @param {(number | bigint)[]} args */
function submitInline(name, args) {
  const submission = new acall.AcallSubmission(arena);
  submission.nr = Number(SYS[name]);
  submission.flags = acall.ACALL_SUBMIT_INLINE;
  submission.cookie = 1n;
  submission.completion_pointer = new acall.AcallCompletion(arena).address;
  args.forEach((value, i) => void (submission.args[i] = BigInt(value)));
  acall.acall_submit([submission]);
}

/** Prints the next call as the last line of stderr, after a turn of the loop. */
async function say(/** @type {string} */ what) {
  fs.writeSync(2, `${what}\n`);
  await nextTurn();
}

async function callOpenFiles(/** @type {Record<string, number>} */ files) {
  const buffer = Buffer.alloc(65_536);
  /** The calls, without their descriptor. @type {[acall.SyscallName, (number | bigint)[]][]} */
  const calls = [
    ['read', [base, 64]],
    ['pread64', [base, 65_536, 0]],
    ['pread64', [base, 4096, 131_072]],
    ['pwrite64', [base, 4096, 200_704]],
    ['write', [base, 64]],
    ['fstat', [base]],
    ['lseek', [0, constants.SEEK_DATA]],
    ['getdents64', [base, 4096]],
    ['fsync', []],
    ['ftruncate', [5]],
  ];
  for (const [kind, fd] of Object.entries(files)) {
    for (const [name, args] of calls) {
      await say(`${name} inline of ${kind}`);
      submitInline(name, [fd, ...args]);
      await say(`${name} of ${kind}`);
      syscall(name, [fd, ...args.map((value) => (value === base ? buffer : value))]).catch(ignore);
    }
    await say(`fstat of ${kind}`);
    acall.fstat(fd).catch(ignore);
  }
}

async function callPaths() {
  for (const folder of ['warm', 'known', 'cold']) {
    for (const name of [...names, 'missing']) {
      const path = `${disk}/${folder}/${name}`;
      await say(`stat of ${path}`);
      acall.stat(path).catch(ignore);
      submitInline('newfstatat', [constants.AT_FDCWD, acall.addressOf(arena.cstring(path)), base, 0]);
      if (!name.endsWith('5')) continue;
      acall.open(path, 'r+').catch(ignore);
      acall.readFile(path).catch(ignore);
    }
  }
}

async function callWhileStalled() {
  const files = await warm();
  let ticks = 0;
  setInterval(() => ticks++, 5);
  console.log('stall');
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.on('end', resolve));
  await callOpenFiles(files);
  await callPaths();
  await say('close');
  for (const fd of Object.values(files)) syscall('close', [fd]).catch(ignore);
  await say('the end');
  const seen = ticks;
  await until(() => ticks > seen + 3);
  await until(() => acall.counters().blocked + acall.counters().running > 0); // it does stall
  console.log('done');
  process.exit(0);
}

module.exports = { callWhileStalled };
