/* Programs of random-submissions.test.ts: wild submissions in Workers, one after the other, under restrict(). */
const acall = require('acall');
const fs = require('node:fs');
const { parentPort } = require('node:worker_threads');
const { answerAndExit, nextTurn, quiet, worker } = require('../../support/inside.cjs');
const { CallFlag, signatureData } = require('../../../dist/generated/syscalls.js');
const { signatureOf } = require('../../../dist/call/signature.js');
const { native } = require('../../../dist/native.js');

const { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE, SYS } = acall;
const kBatch = 256;
const kSubmission = 88;

/** Numbers that look random, the same for each seed. @param {number} seed */
function makeRandom(seed) {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
  const below = (/** @type {number} */ limit) => random() % limit;
  const once = (/** @type {number} */ inHowMany) => below(inHowMany) === 0;
  /** @type {<T>(list: readonly T[]) => T} */
  const one = (list) => /** @type {any} */ (list[below(list.length)]);
  const word = () => (BigInt(random()) << 32n) | BigInt(random());
  return { random, below, once, one, word };
}

/**
 * In a Worker.
 * @param {number} seed
 * @param {number} count
 * @param {acall.SyscallName[]} names
 */
async function submitWild(seed, count, names) {
  const { random, below, once, one, word } = makeRandom(seed);
  const arena = new acall.Arena(1 << 20);
  const base = arena.address;
  // What must never change: memory of JavaScript whose address the wild pointers know.
  const canary = new Uint8Array(new SharedArrayBuffer(1 << 16)).fill(0xa5);
  const canaryAddress = native.addressOf(canary);
  const rings = [1, 2, 3, 64, 1000].map((nr) => new acall.AcallCompletionRing(arena, nr));
  const ids = arena.alloc(16 * 4096);
  const slots = arena.alloc(16 * 256);
  const [idAddress, slotAddress] = [acall.addressOf(ids), acall.addressOf(slots)];
  const free = arena.alloc(1 << 18); // where the calls may write
  const freeAddress = acall.addressOf(free);
  const end = base + (1n << 20n);
  const edges = [
    0n,
    1n,
    7n,
    8n,
    4095n,
    4096n,
    0x7fffffffn,
    0x80000000n,
    0xffffffffn,
    0x7fffffffffffffffn,
    2n ** 64n - 1n,
  ];
  edges.push(base - 8n, base - 1n, end - 8n, end - 1n, end, canaryAddress, canaryAddress - 4n);
  const value = () => {
    switch (below(8)) {
      case 0:
        return one(edges);
      case 1:
        return BigInt(below(64));
      case 2:
        return BigInt(below(1 << 20));
      case 3:
        return freeAddress + BigInt(below(1 << 18));
      case 4:
        return freeAddress + BigInt(below(1 << 15)) * 8n;
      case 5:
        return canaryAddress + BigInt(below(1 << 16));
      case 6:
        return BigInt.asUintN(64, BigInt(below(16)) - 8n);
      default:
        return word();
    }
  };
  const flagsOf = () => {
    if (once(20)) return 0;
    if (once(10)) return random() & ~ACALL_SUBMIT_UNSAFE;
    return once(4) ? ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_INLINE : ACALL_SUBMIT_THREAD_POOL;
  };
  const here = names.filter((name) => SYS[name] !== undefined);
  /** A call that the table marks harmless with these arguments. */
  const harmless = () => {
    for (;;) {
      const name = one(here);
      const args = Array.from({ length: 6 }, value);
      if ((signatureOf(name, args)?.flags ?? 0) & CallFlag.harmless) return { nr: Number(SYS[name]), args };
    }
  };
  const batch = Buffer.alloc(kSubmission * kBatch);
  const layDown = (/** @type {number} */ at, /** @type {number} */ id) => {
    const { nr, args } = harmless();
    batch.writeUInt32LE(nr, at);
    batch.writeUInt32LE(flagsOf() >>> 0, at + 4);
    batch.writeBigUInt64LE(once(20) ? 0n : word(), at + 8);
    batch.writeBigUInt64LE(once(10) ? value() : once(3) ? 0n : one(rings).address, at + 16);
    batch.writeBigUInt64LE(once(10) ? value() : once(3) ? 0n : slotAddress + BigInt(below(256) * 16), at + 24);
    batch.writeBigUInt64LE(once(20) ? value() : idAddress + BigInt(id * 16), at + 32);
    args.forEach((arg, k) => void batch.writeBigUInt64LE(BigInt.asUintN(64, arg), at + 40 + k * 8));
  };
  const sum = { accepted: 0, refused: 0 };
  /** @type {Record<number, number>} */
  const errors = {};
  const submit = () => {
    for (let first = 0; first < kBatch; ) {
      const taken = acall.acall_submit(batch.subarray(first * kSubmission), kBatch - first);
      if (taken > 0) {
        sum.accepted += taken;
        first += taken;
      }
      if (first === kBatch) return;
      const errno = acall.acall_submit_error()?.errno ?? 0;
      errors[errno] = (errors[errno] ?? 0) + 1;
      sum.refused++;
      first++;
    }
  };
  for (let done = 0, turn = 0; done < count; done += kBatch, turn++) {
    // What the calls find where they are told to look changes all the time.
    for (let i = 0; i < 512; i++) free[below(1 << 18)] = random();
    for (let i = 0; i < 64; i++) {
      const at = below((1 << 18) - 64) & ~7;
      new DataView(free.buffer, free.byteOffset).setBigUint64(at, value(), true);
    }
    const firstId = (turn % 16) * kBatch;
    for (let i = 0; i < kBatch; i++) layDown(i * kSubmission, firstId + i);
    submit();
    for (const ring of rings) ring.drain(() => {}, 300);
    slots.fill(0);
    // Those that block, those that are over, and what wild calls have made of the ids.
    for (let i = firstId; i < firstId + kBatch; i++) acall.acall_cancel(ids.subarray(i * 16, i * 16 + 16));
    if (once(8)) acall.acall_ring_pwait(one(rings), random(), below(3), { sec: 0, nsec: below(100_000) });
    if (once(8)) acall.acall_comp_pwait(ids, 1 + below(64), { sec: 0, nsec: below(100_000) });
    if (once(8)) await nextTurn();
  }
  parentPort?.postMessage({ ...sum, errors, changed: canary.some((byte) => byte !== 0xa5) });
  process.exit(0);
}

/** What a descriptor names. */
function nameOf(/** @type {string} */ fd) {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '/proc';
  }
}

/** Closes what wild calls have opened, but for what the engine and Node may have. */
function closeAllBut(/** @type {Set<string>} */ first) {
  for (const fd of fs.readdirSync('/proc/self/fd')) {
    if (first.has(fd) || Number(fd) >= 10_000) continue;
    if (/eventpoll|\[eventfd\]|pipe:|\/proc/.test(nameOf(fd))) continue;
    try {
      fs.closeSync(Number(fd));
    } catch {
      // Closed since.
    }
  }
}

/**
 * @param {number} seed
 * @param {number} count
 * @param {number} workers
 */
async function submitFromWorkers(seed, count, workers) {
  const { calls } = signatureData();
  const all = /** @type {acall.SyscallName[]} */ (Object.keys(calls));
  const names = all.filter((name) => (calls[name]?.[1] ?? 0) & CallFlag.harmless);
  // Calls of which some cases are harmless: only those cases are made, see submitWild().
  const withCases = ['fcntl', 'futex', 'prctl', 'semctl', 'shmctl', 'msgctl', 'getsockopt'];
  const more = all.filter(
    (name) => !names.includes(name) && calls[name]?.[3] !== undefined && withCases.includes(name),
  );
  acall.restrict([...names, ...more]);
  const sum = { accepted: 0, refused: 0, names: names.length };
  /** @type {Record<string, number>} */
  const errors = {};
  await acall.syscall('getppid', []);
  const first = new Set(fs.readdirSync('/proc/self/fd'));
  for (let i = 0; i < workers; i++) {
    const there = worker(__filename, submitWild, seed + i, Math.ceil(count / workers), [...names, ...more]);
    const ended = new Promise((resolve) => there.once('exit', resolve));
    const told = await new Promise((resolve, reject) => {
      there.once('message', resolve).once('error', reject);
      void ended.then((code) => reject(new Error(`the Worker ended with ${code}`)));
    });
    await ended;
    if (told.changed) throw new Error('memory was written that is not registered');
    sum.accepted += told.accepted;
    sum.refused += told.refused;
    for (const [errno, times] of Object.entries(told.errors)) errors[errno] = (errors[errno] ?? 0) + Number(times);
    closeAllBut(first);
  }
  await quiet();
  const { submitted, completed } = acall.counters();
  return answerAndExit({ ...sum, errors, lost: submitted - completed });
}

module.exports = { submitWild, submitFromWorkers };
