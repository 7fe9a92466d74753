/* Programs of abort-many.test.ts: one abort of very many calls that wait. */
const acall = require('acall');
const { Program } = require('acall/syslet');
const fs = require('node:fs');
const { join } = require('node:path');
const inside = require('../../support/inside.cjs');

const { answerAndExit, makeFolder, outcome, stuck, threadsIn, until } = inside;
const kThousand = 1000;

async function stuckThousand() {
  const controller = new AbortController();
  const all = stuck(kThousand, { signal: controller.signal });
  await until(() => threadsIn('openat') === kThousand);
  const begun = performance.now();
  controller.abort();
  const codes = await Promise.all(all.map(outcome));
  const ms = performance.now() - begun; // without the time that it takes to signal a thousand threads
  await until(() => acall.counters().running === 0);
  return { codes: [...new Set(codes)], left: threadsIn('openat'), ms };
}

/** A pipe that nobody writes to, and calls that wait for it. */
async function makeReaders() {
  const pair = Buffer.alloc(8);
  await acall.syscall('pipe2', [pair, acall.constants.O_CLOEXEC]);
  const [from, to] = [pair.readInt32LE(0), pair.readInt32LE(4)];
  const reading = (/** @type {acall.CommonOptions} */ options) =>
    acall.syscall('read', [from, Buffer.alloc(1), 1], options);
  return { from, to, reading };
}

/** Done, or the code of the error. @param {Promise<unknown>} promise */
const told = (promise) =>
  promise.then(
    () => 'done',
    (error) => String(error.code),
  );

async function abortWaiting() {
  const { to, reading } = await makeReaders();
  const before = process.umask();
  const first = new AbortController();
  const second = new AbortController();
  const mask = (/** @type {AbortSignal} */ signal) => told(acall.syscall('umask', [0o123], { signal }));
  const inFlight = Array.from({ length: 65_536 }, () => told(reading({ signal: first.signal })));
  const waiting = Array.from({ length: 10_000 }, () => mask(second.signal));
  const last = told(acall.syscall('getppid'));
  second.abort();
  fs.writeSync(to, 'x'); // one of those in flight completes, and makes room for the last
  const codes = [await last, ...new Set(await Promise.all(waiting))];
  inFlight.push(told(reading({ signal: first.signal }))); // the room is taken again
  const mixed = Array.from({ length: 100 }, () => mask(first.signal));
  first.abort();
  codes.push(...new Set(await Promise.all(mixed)));
  const ends = new Set(await Promise.all(inFlight));
  return answerAndExit({ codes, ends: [...ends].sort(), isKept: process.umask() === before });
}

async function abortPrograms() {
  const { from, to } = await makeReaders();
  const file = fs.openSync(join(makeFolder(), 'victim'), 'w+');
  const program = new Program({ from: 'number', to: 'number' }, (p, { from, to }) => {
    const byte = p.bytes(1);
    p.call('read', [from, byte, 1]);
    p.call('write', [to, byte, 1]);
  });
  const count = 300;
  const controller = new AbortController();
  const { signal } = controller;
  const all = Array.from({ length: count }, () => told(program.run({ from, to: file }, { signal })));
  await until(() => threadsIn('read') === count);
  controller.abort();
  fs.writeSync(to, Buffer.alloc(count)); // a thread that was not interrupted yet goes on to its next call
  const codes = [...new Set(await Promise.all(all))];
  await until(() => acall.counters().running === 0);
  return answerAndExit({ codes, written: fs.fstatSync(file).size });
}

/** How long the processor works in an abort itself, and until all have rejected. */
async function timeOfAborts() {
  const { reading } = await makeReaders();
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const made = (/** @type {AbortSignal} */ signal, /** @type {typeof reading} */ call) =>
    Array.from({ length: 30_000 }, () => told(call({ signal })));
  const measure = async (
    /** @type {(signal: AbortSignal) => Promise<string>[] | Promise<Promise<string>[]>} */ begin,
  ) => {
    const controller = new AbortController();
    const all = await begin(controller.signal);
    const begun = cpu();
    controller.abort();
    const held = cpu() - begun;
    const codes = new Set(await Promise.all(all));
    if (codes.size !== 1 || !codes.has('ABORT_ERR')) throw new Error([...codes].join());
    const time = { held, all: cpu() - begun };
    await until(() => acall.counters().running === 0);
    return time;
  };
  const pending = await measure(async (signal) => {
    const all = made(signal, reading);
    await until(() => acall.counters().running > 0);
    return all;
  });
  // The calls are complete and their results not taken: the loop has not turned since the calls were made.
  const undrained = await measure((signal) => {
    const all = made(signal, (options) =>
      acall.syscall('openat', [-1, 'x', 0], options).catch((error) => {
        if (error.code === 'EBADF') throw Object.assign(new Error(), { code: 'ABORT_ERR' }); // before the abort
        throw error;
      }),
    );
    while (acall.counters().queued > 0);
    return all;
  });
  return answerAndExit({ pending, undrained });
}

module.exports = { stuckThousand, abortWaiting, abortPrograms, timeOfAborts };
