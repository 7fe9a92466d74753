/* Programs of seccomp.test.ts: the outcomes of helpers under a filter, and after restrict(). */
const acall = require('acall');
const fs = require('node:fs');
const { join } = require('node:path');
const { parentPort } = require('node:worker_threads');
const inside = require('../../support/inside.cjs');

const { answerAndExit, descriptors, makeFifo, makeFolder, messageOf, nextTurn, outcome, quiet, stuck } = inside;
const { threadsIn, until, worker } = inside;
const { AT_FDCWD } = acall.constants;

/** The differences between the helpers and node:fs under the same filter. */
async function differences() {
  const folder = makeFolder();
  const file = join(folder, 'file');
  const link = join(folder, 'link');
  fs.writeFileSync(file, 'x'.repeat(5000));
  fs.symlinkSync('file', link);
  const plain = (/** @type {object} */ stats) =>
    Object.entries(stats).map(([key, value]) => [key, value instanceof Date ? value.getTime() : String(value)]);
  /** @type {unknown[]} */
  const found = [];
  const same = (/** @type {string} */ name, /** @type {unknown} */ ours, /** @type {unknown} */ theirs) => {
    if (JSON.stringify(ours) !== JSON.stringify(theirs)) found.push([name, ours, theirs]);
  };
  for (const bigint of [false, true]) {
    same('stat', plain(await acall.stat(file, { bigint })), plain(fs.statSync(file, { bigint })));
    same('lstat', plain(await acall.lstat(link, { bigint })), plain(fs.lstatSync(link, { bigint })));
    same('fstat', plain(await acall.fstat(0, { bigint })), plain(fs.fstatSync(0, { bigint })));
  }
  const many = await acall.statMany([file, join(folder, 'nope')]);
  same('statMany', [many.size[0], many.error[1]], [5000, -2]);
  same('readdir', (await acall.readdir(folder)).sort(), fs.readdirSync(folder).sort());
  same('readdir with stats', (await acall.readdir(folder, { withStats: true })).length, 2);
  const walked = await acall.walk(folder, { stats: true }).collect();
  same('walk', walked.map((entry) => entry.stats?.size).sort(), [4, 5000]);
  same('du', (await acall.du(folder, { apparentSize: true })).files >= 1, true);
  same('readFile', (await acall.readFile(file)).length, 5000);
  const read = await acall.readFiles([file]);
  same(
    'readFiles',
    read.map((data) => 'length' in data && data.length),
    [5000],
  );
  await acall.writeFile(join(folder, 'new'), 'text');
  await acall.copyFile(join(folder, 'new'), join(folder, 'copy'));
  same('copyFile', fs.readFileSync(join(folder, 'copy'), 'utf8'), 'text');
  await acall.mkdirp(join(folder, 'a/b'));
  await acall.rmTree(join(folder, 'a'));
  same('rmTree', fs.existsSync(join(folder, 'a')), false);
  const handle = await acall.open(file);
  same('FileHandle.stat', (await handle.stat()).size, 5000);
  await handle.close();
  const buffer = new acall.StatBuffer();
  acall.async_stat(file, buffer);
  await acall.wait_for_async();
  same('async_stat', [buffer.error, buffer.size], [0, 5000]);
  return found;
}

/** Done, or the code of the error and what else it says. @param {Promise<unknown>} promise */
const told = (promise) =>
  promise.then(
    () => 'done',
    ({ code, syscall, refused }) => ({ code, syscall, refused: refused ?? null }),
  );

async function refusedByName() {
  const lock = async () => {
    const file = await acall.open('/etc/passwd');
    await acall.flock(file, 'shared').finally(() => file.close());
  };
  return {
    syscall: await told(acall.syscall('statx', [AT_FDCWD, '/', 0, 0xfff, Buffer.alloc(256)])),
    readdir: await told(acall.readdir('/')),
    walk: await told(acall.walk('/').collect()),
    flock: await told(lock()),
    getppid: await told(acall.syscall('getppid', [])),
  };
}

async function abortWithoutSignal() {
  const controller = new AbortController();
  const all = stuck(10, { signal: controller.signal });
  await until(() => threadsIn('openat') === 10);
  controller.abort();
  return answerAndExit(await Promise.all(all.map(outcome)));
}

/** Done, or the code of the error and whether it says that the call was refused. @param {Promise<unknown>} promise */
const toldRefused = (promise) =>
  promise.then(
    () => 'done',
    ({ code, refused }) => [code, refused ?? null],
  );

/** In a Worker: makes the calls that messages name. */
function callByMessage() {
  parentPort?.on('message', async (name) => {
    parentPort?.postMessage(await toldRefused(acall.syscall(name, [])));
  });
}

/** Needs a pool of two threads. */
async function sealed() {
  const path = makeFifo();
  const there = worker(__filename, callByMessage);
  const ask = (/** @type {string} */ name) => {
    const answer = messageOf(there);
    there.postMessage(name);
    return answer;
  };
  const before = await ask('getuid');
  // Two threads, both stuck: what comes now stays in the queue.
  const controller = new AbortController();
  stuck(2, { signal: controller.signal }, path);
  await until(() => threadsIn('openat') === 2);
  const queued = [
    toldRefused(acall.syscall('mkdirat', [AT_FDCWD, `${path}-queued`, 0o777])),
    toldRefused(acall.syscall('getpgid', [0])),
  ];
  await null;
  await null;
  acall.restrict(['getppid', 'exit', 'getpgid']);
  acall.restrict(['getppid', 'getpgid', 'getuid']);
  controller.abort();
  const calls = {
    before,
    allowed: await toldRefused(acall.syscall('getppid', [])),
    taken: await toldRefused(acall.syscall('getuid', [])),
    byNumber: await toldRefused(acall.syscall(acall.SYS.getuid, [])),
    byUnsafe: await toldRefused(acall.unsafe.syscall('getuid', [])),
    never: await toldRefused(acall.syscall('exit', [0])),
    worker: await ask('getuid'),
    workerAllowed: await ask('getppid'),
    queued: await Promise.all(queued),
    made: fs.existsSync(`${path}-queued`),
    statMany: [...(await acall.statMany(['/'])).error],
  };
  const helpers = {
    stat: await outcome(acall.stat('/')),
    readdir: await outcome(acall.readdir('/')),
    readFile: await outcome(acall.readFile('/etc/passwd')),
    writeFile: await outcome(acall.writeFile(`${path}-new`, 'text')),
    du: await outcome(acall.du('/')),
    open: await outcome(acall.open('/etc/passwd')),
  };
  const wrote = fs.existsSync(`${path}-new`);
  const arena = new acall.Arena();
  const submission = new acall.AcallSubmission(arena);
  submission.nr = acall.SYS.getuid;
  const { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE } = acall;
  const kinds = [0, ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE, ACALL_SUBMIT_INLINE | ACALL_SUBMIT_THREAD_POOL];
  const raw = kinds.map((flags) => {
    submission.flags = flags;
    return acall.acall_submit([submission]);
  });
  let wrong;
  try {
    acall.restrict(/** @type {any} */ (['no_such_call']));
  } catch (error) {
    wrong = /** @type {NodeJS.ErrnoException} */ (error).code;
  }
  await there.terminate();
  return { calls, helpers, wrote, raw, wrong };
}

async function abortWithoutClose() {
  acall.restrict(['openat', 'getppid']);
  await acall.syscall('getppid', []);
  const before = descriptors();
  for (let round = 0; round < 300; round++) {
    const controller = new AbortController();
    const promise = acall.syscall('openat', [AT_FDCWD, '/dev/null', 0], { signal: controller.signal });
    await null;
    await null;
    for (let spins = (round * 37) % 2000; spins > 0; spins--);
    controller.abort();
    await promise.then(fs.closeSync, () => {});
  }
  await quiet();
  // The pool closes them, and counts them as no op: they are gone a moment later, or never.
  for (let turns = 0; turns < 100_000 && descriptors() > before; turns++) await nextTurn();
  return { before, after: descriptors() };
}

async function inlineWithoutItsCalls() {
  const path = join(makeFolder(), 'file');
  fs.writeFileSync(path, 'text');
  const fd = fs.openSync(path, 'r+');
  const statxBytes = Buffer.alloc(256);
  const statBytes = Buffer.alloc(144);
  await acall.stat(path); // the engine knows its mounts by now
  const handle = await acall.open(path);
  acall.restrict(['statx', 'newfstatat', 'pread64', 'pwrite64', 'ftruncate', 'getppid']);
  const before = acall.counters().inlineHits;
  const hits = () => acall.counters().inlineHits - before;
  const answer = {
    stat: await outcome(acall.stat(path).then(({ size }) => size)),
    statx: await outcome(acall.syscall('statx', [AT_FDCWD, path, 0, 0x7ff, statxBytes])),
    newfstatat: await outcome(acall.syscall('newfstatat', [AT_FDCWD, path, statBytes, 0])),
    pread64: await outcome(acall.syscall('pread64', [fd, Buffer.alloc(4), 4, 0])),
    pwrite64: await outcome(acall.syscall('pwrite64', [fd, 'more', 4, 0])),
    hits: hits(),
    getppid: await outcome(acall.syscall('getppid').then(() => 0)),
    quick: hits(),
    taken: await outcome(acall.syscall('openat', [AT_FDCWD, path, 0])),
    takenClose: await outcome(acall.syscall('close', [fd])),
  };
  const closing = descriptors();
  const close = await outcome(handle.close());
  return { ...answer, close, closed: closing - descriptors() };
}

function restrictedProgram() {
  acall.restrict(['getppid', 'write']);
  const { async_exec, async_wait, SysletAtom } = require('acall/syslet');
  const arena = new acall.Arena();
  const ring = new acall.AcallCompletionRing(arena, 8);
  const result = new BigInt64Array(arena.buffer, arena.alloc(8, 8).byteOffset, 1);
  const atom = new SysletAtom(arena);
  atom.nr = acall.SYS.getuid;
  atom.ret_ptr = arena.address + BigInt(result.byteOffset);
  try {
    async_exec(atom, ring);
    async_wait(ring, 0, 1, { sec: 5, nsec: 0 });
    return Number(result[0]);
  } catch (error) {
    const { errno, code } = /** @type {NodeJS.ErrnoException} */ (error);
    return errno ?? code;
  }
}

module.exports = {
  differences,
  refusedByName,
  abortWithoutSignal,
  callByMessage,
  sealed,
  abortWithoutClose,
  inlineWithoutItsCalls,
  restrictedProgram,
};
