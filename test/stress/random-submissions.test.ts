// Wild submissions: the calls that the table marks harmless, everything else about them random. Each is refused or run; the
// process lives, and no byte outside the registered memory changes. In an unprivileged, restricted child.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answerOf, slow } from '../lifecycle/support/child';
import { skip } from '../lifecycle/support/compile';
import { mayRead } from '../support/stranger';

const kSubmissions = Number(process.env.ACALL_RANDOM_SUBMISSIONS ?? 1_000_000) / (slow > 1 ? 5 : 1);
const kWorkers = 20;
const seed = Number(process.env.ACALL_RANDOM_SEED ?? Date.now() % 1_000_000);

const dist = JSON.stringify(join(__dirname, '../../dist'));

/** Runs in each Worker: `workerData` is { seed, count }. */
const submitter = `
  const { native } = require(${dist} + '/native.js');
  const { signatureOf } = require(${dist} + '/memory/signature.js');
  const { signatureData, CallFlag } = require(${dist} + '/generated/syscalls.js');
  const kUnsafe = acall.ACALL_SUBMIT_UNSAFE;

  let state = (workerData.seed * 2654435761) >>> 0 || 1;
  const random = () => { state ^= state << 13; state >>>= 0; state ^= state >>> 17; state ^= state << 5; return (state >>>= 0); };
  const below = (limit) => random() % limit;
  const one = (list) => list[below(list.length)];
  const word = () => (BigInt(random()) << 32n) | BigInt(random());

  const arena = new acall.Arena(1 << 20);
  const bytes = new Uint8Array(arena.buffer);
  const base = arena.address;
  // What must never change: memory of JavaScript whose address the wild pointers know.
  const canary = new Uint8Array(new SharedArrayBuffer(1 << 16)).fill(0xa5);
  const canaryAddress = native.addressOf(canary);
  const rings = [1, 2, 3, 64, 1000].map((nr) => new acall.AcallCompletionRing(arena, nr));
  const ids = arena.alloc(16 * 4096);
  const slots = arena.alloc(16 * 256);
  const idAddress = acall.addressOf(ids), slotAddress = acall.addressOf(slots);
  const free = arena.alloc(1 << 18); // where the calls may write
  const freeAddress = acall.addressOf(free);

  const edges = [0n, 1n, 7n, 8n, 4095n, 4096n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x7fffffffffffffffn, 2n ** 64n - 1n,
    base - 8n, base - 1n, base + (1n << 20n) - 8n, base + (1n << 20n) - 1n, base + (1n << 20n), canaryAddress, canaryAddress - 4n];
  const value = () => {
    switch (below(8)) {
      case 0: return one(edges);
      case 1: return BigInt(below(64));
      case 2: return BigInt(below(1 << 20));
      case 3: return freeAddress + BigInt(below(1 << 18));
      case 4: return freeAddress + BigInt(below(1 << 15)) * 8n;
      case 5: return canaryAddress + BigInt(below(1 << 16));
      case 6: return BigInt.asUintN(64, BigInt(below(16)) - 8n);
      default: return word();
    }
  };
  const names = Object.keys(acall.SYS).filter((name) => workerData.names.includes(name) && acall.SYS[name] !== undefined);

  const kBatch = 256;
  const batch = Buffer.alloc(88 * kBatch);
  let accepted = 0, refused = 0, skipped = 0;
  const errors = {};
  for (let done = 0, turn = 0; done < workerData.count; turn++) {
    // What the calls find where they are told to look changes all the time.
    for (let i = 0; i < 512; i++) free[below(1 << 18)] = random();
    for (let i = 0; i < 64; i++) {
      const at = below((1 << 18) - 64) & ~7;
      new DataView(free.buffer, free.byteOffset).setBigUint64(at, value(), true);
    }
    for (let i = 0; i < kBatch; i++) {
      const at = i * 88;
      let name, args;
      do {
        name = one(names);
        args = Array.from({ length: 6 }, value);
      } while (!((signatureOf(name, args)?.flags ?? 0) & CallFlag.harmless));
      batch.writeUInt32LE(acall.SYS[name], at);
      const flags = below(20) === 0 ? 0 : below(10) === 0 ? random() & ~kUnsafe : below(4) === 0 ? 1 | acall.ACALL_SUBMIT_INLINE : 1;
      batch.writeUInt32LE(flags >>> 0, at + 4);
      batch.writeBigUInt64LE(below(20) === 0 ? 0n : word(), at + 8);
      const ring = below(10) === 0 ? value() : below(3) === 0 ? 0n : one(rings).address;
      batch.writeBigUInt64LE(ring, at + 16);
      batch.writeBigUInt64LE(below(10) === 0 ? value() : below(3) === 0 ? 0n : slotAddress + BigInt(below(256) * 16), at + 24);
      batch.writeBigUInt64LE(below(20) === 0 ? value() : idAddress + BigInt(((turn % 16) * kBatch + i) * 16), at + 32);
      args.forEach((arg, k) => batch.writeBigUInt64LE(BigInt.asUintN(64, arg), at + 40 + k * 8));
    }
    for (let first = 0; first < kBatch; ) {
      const taken = acall.acall_submit(batch.subarray(first * 88), kBatch - first);
      if (taken > 0) { accepted += taken; first += taken; }
      if (first < kBatch) {
        const error = acall.acall_submit_error();
        errors[error.errno] = (errors[error.errno] ?? 0) + 1;
        refused++; first++;
      }
    }
    done += kBatch;
    for (const ring of rings) ring.drain(() => {}, 300);
    slots.fill(0);
    // Those that block, those that are over, and what wild calls have made of the ids.
    for (let i = 0; i < kBatch; i++) acall.acall_cancel(ids.subarray(((turn % 16) * kBatch + i) * 16, ((turn % 16) * kBatch + i) * 16 + 16));
    if (below(8) === 0) acall.acall_ring_pwait(one(rings), random(), below(3), { sec: 0, nsec: below(100000) });
    if (below(8) === 0) acall.acall_comp_pwait(ids, 1 + below(64), { sec: 0, nsec: below(100000) });
    if (below(8) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const changed = canary.some((byte) => byte !== 0xa5);
  parentPort.postMessage({ accepted, refused, errors, changed });
  process.exit(0);`;

const source = `
  const { signatureData, CallFlag } = require(${dist} + '/generated/syscalls.js');
  const { calls } = signatureData();
  const names = Object.keys(calls).filter((name) => JSON.stringify(calls[name]) && (calls[name][1] & CallFlag.harmless));
  // Calls of which some cases are harmless: only those cases are made, see the Worker.
  const more = Object.keys(calls).filter((name) => !names.includes(name) && calls[name][3] !== undefined && ['fcntl', 'futex', 'prctl', 'semctl', 'shmctl', 'msgctl', 'getsockopt'].includes(name));
  acall.restrict([...names, ...more]);
  const sum = { accepted: 0, refused: 0, errors: {}, names: names.length };
  await acall.syscall('getppid', []);
  const first = new Set(fs.readdirSync('/proc/self/fd'));
  const closeTheRest = () => {
    for (const fd of fs.readdirSync('/proc/self/fd')) {
      if (!first.has(fd) && Number(fd) < 10000 && !/eventpoll|\\[eventfd\\]|pipe:|\\/proc/.test(link(fd))) try { fs.closeSync(Number(fd)); } catch {}
    }
  };
  const link = (fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return '/proc'; } };
  for (let i = 0; i < ${kWorkers}; i++) {
    const there = worker(${JSON.stringify(`(async () => { ${submitter} })();`)}, {
      workerData: { seed: ${seed} + i, count: ${Math.ceil(kSubmissions / kWorkers)}, names: [...names, ...more] },
    });
    const told = await new Promise((resolve, reject) => {
      there.once('message', resolve).once('error', reject).once('exit', (code) => reject(new Error('the Worker ended with ' + code)));
    });
    await new Promise((resolve) => (there.threadId === -1 ? resolve() : there.on('exit', resolve)));
    if (told.changed) throw new Error('memory was written that is not registered');
    sum.accepted += told.accepted;
    sum.refused += told.refused;
    for (const [errno, count] of Object.entries(told.errors)) sum.errors[errno] = (sum.errors[errno] ?? 0) + count;
    closeTheRest();
  }
  await until(() => acall.counters().running === 0 && acall.counters().queued === 0);
  const { submitted, completed } = acall.counters();
  console.log(JSON.stringify({ ...sum, lost: submitted - completed }));
  process.exit(0);`;

describe('random submissions', () => {
  const isRoot = process.getuid?.() === 0;
  const canDrop =
    isRoot &&
    spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0 &&
    mayRead(require.resolve('acall'));

  it.skipIf(
    skip(
      isRoot && !canDrop,
      'random submissions: root needs setpriv to drop its rights, and a checkout that others may read',
    ),
  )(
    `${kSubmissions} of them, seed ${seed}: refused or run, never a crash, never a write outside registered memory`,
    async () => {
      const told = await answerOf<{
        accepted: number;
        refused: number;
        names: number;
        lost: number;
        errors: Record<string, number>;
      }>(source, {
        launcher: isRoot ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] : [],
        env: { ACALL_POOL_MAX: '64', ACALL_OWN_MAX: '64' },
        timeout: 500_000,
      });
      expect(told.accepted + told.refused).toBeGreaterThanOrEqual(kSubmissions);
      expect(told.names).toBeGreaterThan(100);
      expect(told.lost).toBe(0);
      // All three kinds of refusal came up, and most ran.
      for (const errno of [-22, -14]) expect(told.errors[errno] ?? 0).toBeGreaterThan(1000);
      expect(told.accepted).toBeGreaterThan(kSubmissions / 10);
    },
  );
});
