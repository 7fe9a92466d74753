// Cancel against completion, from JavaScript: each op completes exactly once, a cancelled one did nothing, a completed one
// keeps its result. test/core has the same without Node, over more calls.
import { describe, expect, it } from 'vitest';
import { answerOf, slow } from '../lifecycle/support/child';

const kRounds = 2500 / (slow > 1 ? 5 : 1); // of 16 ops each, three times: more than 100,000 races

describe('cancel against completion', () => {
  it.each([
    ['in the pool', 1],
    ['on own threads', 0],
    ['tried at once', 1 | (1 << 16)],
  ])('%s: completed or cancelled, never both, never neither', async (_, flags) => {
    const told = await answerOf<Record<string, number>>(
      `
      const pair = Buffer.alloc(8);
      await acall.syscall('pipe2', [pair, 0]);
      const [from, to] = [pair.readInt32LE(0), pair.readInt32LE(4)];
      const arena = new acall.Arena(1 << 20);
      const ring = new acall.AcallCompletionRing(arena, 64);
      const kOps = 16;
      const ids = arena.alloc(16 * kOps), data = arena.alloc(16 * kOps), span = arena.alloc(16);
      const path = arena.cstring('/dev/null');
      new DataView(span.buffer, span.byteOffset).setBigUint64(8, 50_000n, true); // 50 us
      const bytes = Buffer.alloc(88 * kOps);
      const before = descriptors();
      const sum = { ops: 0, bytesWritten: 0, bytesRead: 0, opened: 0, cancelled: 0, interrupted: 0, natural: 0, twice: 0, odd: 0 };
      for (let round = 0; round < ${kRounds}; round++) {
        let writes = 0;
        bytes.fill(0);
        for (let i = 0; i < kOps; i++) {
          const at = i * 88, kind = (i + round) % 4;
          bytes.writeUInt32LE(${flags}, at + 4);
          bytes.writeBigUInt64LE(BigInt(i + 1), at + 8);
          bytes.writeBigUInt64LE(ring.address, at + 16);
          bytes.writeBigUInt64LE(acall.addressOf(ids) + BigInt(i * 16), at + 32);
          const args = [];
          if (kind < 2) { // a read of one byte: of those that come, each byte goes to one
            bytes.writeUInt32LE(acall.SYS.read, at);
            args.push(BigInt(from), acall.addressOf(data) + BigInt(i * 16), 1n);
            writes++;
          } else if (kind === 2) {
            bytes.writeUInt32LE(acall.SYS.openat, at);
            args.push(-100n, acall.addressOf(path), 0n);
          } else {
            bytes.writeUInt32LE(acall.SYS.nanosleep, at);
            args.push(acall.addressOf(span), 0n);
          }
          args.forEach((arg, k) => bytes.writeBigInt64LE(arg, at + 40 + k * 8));
        }
        if (acall.acall_submit(bytes) !== kOps) throw new Error('refused');
        sum.ops += kOps;
        // Fewer bytes than readers: some are there before the cancel, some come with it, some never.
        const some = Math.floor(writes / 2);
        for (let spins = (round * 7919) % 20000; spins > 0; spins--);
        fs.writeSync(to, 'x'.repeat(some));
        sum.bytesWritten += some;
        for (let spins = (round * 104729) % 20000; spins > 0; spins--);
        for (let i = 0; i < kOps; i++) {
          const answer = acall.acall_cancel(ids.subarray(i * 16, i * 16 + 16));
          if (![0, -2, -114].includes(answer)) sum.odd++;
        }
        const seen = new Set();
        while (seen.size < kOps) {
          if (ring.drain((cookie, code) => {
            if (seen.has(cookie)) sum.twice++;
            seen.add(cookie);
            const kind = (Number(cookie) - 1 + round) % 4;
            if (code === -125n) sum.cancelled++;
            else if (code === -4n) sum.interrupted++;
            else {
              sum.natural++;
              if (kind < 2) { if (code === 1n) sum.bytesRead++; else sum.odd++; }
              else if (kind === 2) { if (code >= 0n) { sum.opened++; fs.closeSync(Number(code)); } else sum.odd++; }
              else if (code !== 0n) sum.odd++;
            }
          }) === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        // What was written and not read must still be there.
        const left = some - (sum.bytesRead - (sum.readBefore ?? 0));
        sum.readBefore = sum.bytesRead;
        if (left < 0) sum.odd++;
        if (left > 0) {
          const rest = Buffer.alloc(64);
          const got = fs.readSync(from, rest, 0, left);
          if (got !== left) sum.odd++;
          sum.bytesRead += got;
          sum.readBefore = sum.bytesRead;
        }
      }
      await until(() => acall.counters().running === 0);
      sum.leaked = descriptors() - before;
      console.log(JSON.stringify(sum));`,
      { timeout: 300_000 },
    );
    expect(told).toMatchObject({ ops: kRounds * 16, twice: 0, odd: 0, leaked: 0 });
    expect(told.bytesRead).toBe(told.bytesWritten);
    expect(told.cancelled! + told.interrupted! + told.natural!).toBe(told.ops);
    expect(told.interrupted! + told.cancelled!).toBeGreaterThan(0);
    expect(told.natural).toBeGreaterThan(0);
  });
});
