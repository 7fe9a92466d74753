/* A program of cancel-race.test.ts: rounds of ops that are cancelled while they complete. */
const acall = require('acall');
const fs = require('node:fs');
const { descriptors, nextTurn, until } = require('../../support/inside.cjs');

const { SYS } = acall;
const kOps = 16;
const kSubmission = 88;

/** Passes some time, shorter than a turn of the loop. */
function spin(/** @type {number} */ spins) {
  for (let left = spins % 20_000; left > 0; left--);
}

/**
 * Sixteen ops a round: eight reads of one byte, four opens, four sleeps.
 * @param {number} flags
 * @param {number} rounds
 */
async function race(flags, rounds) {
  const pair = Buffer.alloc(8);
  await acall.syscall('pipe2', [pair, 0]);
  const [from, to] = [pair.readInt32LE(0), pair.readInt32LE(4)];
  const arena = new acall.Arena(1 << 20);
  const ring = new acall.AcallCompletionRing(arena, 64);
  const ids = arena.alloc(16 * kOps);
  const data = arena.alloc(16 * kOps);
  const span = arena.alloc(16);
  const path = arena.cstring('/dev/null');
  new DataView(span.buffer, span.byteOffset).setBigUint64(8, 50_000n, true); // 50 us
  const bytes = Buffer.alloc(kSubmission * kOps);
  const before = descriptors();
  const sum = {
    ops: 0,
    bytesWritten: 0,
    bytesRead: 0,
    opened: 0,
    cancelled: 0,
    interrupted: 0,
    natural: 0,
    twice: 0,
    odd: 0,
  };
  const kindOf = (/** @type {number} */ i, /** @type {number} */ round) => (i + round) % 4;
  const callOf = (/** @type {number} */ i, /** @type {number} */ kind) => {
    // Of the bytes that come each goes to one read.
    if (kind < 2) return { nr: SYS.read, args: [BigInt(from), acall.addressOf(data) + BigInt(i * 16), 1n] };
    if (kind === 2) return { nr: SYS.openat, args: [BigInt(acall.constants.AT_FDCWD), acall.addressOf(path), 0n] };
    return { nr: SYS.nanosleep, args: [acall.addressOf(span), 0n] };
  };
  const submit = (/** @type {number} */ round) => {
    bytes.fill(0);
    for (let i = 0; i < kOps; i++) {
      const at = i * kSubmission;
      const { nr, args } = callOf(i, kindOf(i, round));
      bytes.writeUInt32LE(nr, at);
      bytes.writeUInt32LE(flags, at + 4);
      bytes.writeBigUInt64LE(BigInt(i + 1), at + 8);
      bytes.writeBigUInt64LE(ring.address, at + 16);
      bytes.writeBigUInt64LE(acall.addressOf(ids) + BigInt(i * 16), at + 32);
      args.forEach((arg, k) => void bytes.writeBigInt64LE(arg, at + 40 + k * 8));
    }
    if (acall.acall_submit(bytes) !== kOps) throw new Error('refused');
  };
  /** The result of an op that ran to its end; how many bytes it has read. */
  const take = (/** @type {number} */ kind, /** @type {bigint} */ code) => {
    sum.natural++;
    if (kind < 2) {
      if (code === 1n) return 1;
    } else if (kind === 2) {
      if (code >= 0n) {
        sum.opened++;
        fs.closeSync(Number(code));
        return 0;
      }
    } else if (code === 0n) {
      return 0;
    }
    sum.odd++;
    return 0;
  };
  for (let round = 0; round < rounds; round++) {
    submit(round);
    sum.ops += kOps;
    // Fewer bytes than readers: some are there before the cancel, some come with it, some never.
    const some = kOps / 4;
    spin(round * 7919);
    fs.writeSync(to, 'x'.repeat(some));
    sum.bytesWritten += some;
    spin(round * 104_729);
    for (let i = 0; i < kOps; i++) {
      const answer = acall.acall_cancel(ids.subarray(i * 16, i * 16 + 16));
      if (![0, -2, -114].includes(answer)) sum.odd++;
    }
    let readNow = 0;
    const seen = new Set();
    while (seen.size < kOps) {
      const drained = ring.drain((cookie, code) => {
        if (seen.has(cookie)) sum.twice++;
        seen.add(cookie);
        if (code === -125n) sum.cancelled++;
        else if (code === -4n) sum.interrupted++;
        else readNow += take(kindOf(Number(cookie) - 1, round), code);
      });
      if (drained === 0) await nextTurn();
    }
    // What was written and not read must still be there.
    const left = some - readNow;
    if (left < 0) sum.odd++;
    if (left > 0) {
      const got = fs.readSync(from, Buffer.alloc(64), 0, left, null);
      if (got !== left) sum.odd++;
      readNow += got;
    }
    sum.bytesRead += readNow;
  }
  await until(() => acall.counters().running === 0);
  return { ...sum, leaked: descriptors() - before };
}

module.exports = { race };
