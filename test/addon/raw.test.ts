import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  ACALL_SUBMIT_THREAD_POOL,
  ACALL_SUBMIT_UNSAFE,
  AcallCompletion,
  AcallCompletionRing,
  AcallId,
  AcallSubmission,
  Arena,
  acall_cancel,
  acall_comp_pwait,
  acall_ring_pwait,
  acall_submit,
  acall_submit_error,
  addressOf,
  constants,
  counters,
  SYS,
} from 'acall';
import { describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { until } from '../support/quiet';

const { startWorker } = programsOf<typeof import('./programs/raw.cjs')>(join(__dirname, 'programs', 'raw.cjs'));

const { EALREADY, ECANCELED, EFAULT, EINTR, EINVAL, ENOENT, ENOSYS, EPERM } = constants;
const arena = new Arena(4 << 20);

interface Fields {
  nr?: number;
  flags?: number;
  cookie?: bigint;
  ring?: AcallCompletionRing;
  slot?: AcallCompletion;
  id?: AcallId;
  args?: (number | bigint)[];
}

function entry({
  nr = SYS.getppid,
  flags = ACALL_SUBMIT_THREAD_POOL,
  cookie = 1n,
  ring,
  slot,
  id,
  args = [],
}: Fields = {}) {
  const submission = new AcallSubmission(arena);
  submission.nr = nr;
  submission.flags = flags;
  submission.cookie = cookie;
  if (ring) submission.completion_ring_pointer = ring.address;
  if (slot) submission.completion_pointer = slot.address;
  if (id) submission.id_pointer = id.address;
  args.forEach((value, i) => {
    submission.args[i] = BigInt(value);
  });
  return submission;
}

/** Drains a ring until so many completions have come or 10 s have passed. The test checks how many came. */
function drained(ring: AcallCompletionRing, count: number): bigint[] {
  const seen: bigint[] = [];
  for (const end = performance.now() + 10_000; seen.length < count && performance.now() < end; )
    ring.drain((cookie) => seen.push(cookie));
  return seen;
}

/** Both ends of a pipe, made by raw calls. */
function pipe(): { read: number; write: number; close(): void } {
  const ends = arena.alloc(8);
  const slot = new AcallCompletion(arena);
  const id = new AcallId(arena);
  acall_submit([entry({ nr: SYS.pipe2, slot, id, args: [addressOf(ends), 0] })]);
  expect(acall_comp_pwait([id], 1)).toBe(1);
  expect(slot.return_code).toBe(0n);
  const [read, write] = new Int32Array(ends.buffer, ends.byteOffset, 2) as unknown as [number, number];
  return {
    read,
    write,
    close() {
      const ring = new AcallCompletionRing(arena, 2);
      acall_submit([read, write].map((fd) => entry({ nr: SYS.close, ring, args: [fd] })));
      expect(acall_ring_pwait(ring, 0, 2)).toBe(2);
    },
  };
}

/** A read that blocks on an empty pipe, with its id and slot. */
function blockedRead(flags = ACALL_SUBMIT_THREAD_POOL) {
  const ends = pipe();
  const buffer = arena.alloc(16);
  const id = new AcallId(arena);
  const slot = new AcallCompletion(arena);
  expect(acall_submit([entry({ nr: SYS.read, flags, slot, id, args: [ends.read, addressOf(buffer), 16] })])).toBe(1);
  return { ...ends, id, slot, buffer };
}

const now = { sec: 0, nsec: 0 };

describe('acall_submit', () => {
  it('completes into slot, ring and id', () => {
    const ring = new AcallCompletionRing(arena, 4);
    const slot = new AcallCompletion(arena);
    const id = new AcallId(arena);
    expect(acall_submit([entry({ cookie: 7n, ring, slot, id })])).toBe(1);
    expect(acall_comp_pwait([id], 1)).toBe(1);
    expect({ cookie: slot.cookie, code: slot.return_code }).toEqual({ cookie: 7n, code: BigInt(process.ppid) });
    expect(ring.comps(0)).toEqual({ cookie: 7n, return_code: BigInt(process.ppid) });
    expect(ring.head).toBe(1);
  });

  it('takes contiguous entries in any buffer, and nr 0', () => {
    const ring = new AcallCompletionRing(arena, 8);
    const bytes = Buffer.concat([1n, 2n, 3n].map((cookie) => Buffer.from(entry({ cookie, ring }).raw)));
    expect(acall_submit(bytes, 0)).toBe(0);
    expect(acall_submit(bytes, 2)).toBe(2);
    expect(acall_submit(new DataView(bytes.buffer, bytes.byteOffset + 176, 88))).toBe(1);
    expect(acall_ring_pwait(ring, 0, 3)).toBe(3);
  });

  it('stops at the first bad entry and reports which and why', () => {
    const ring = new AcallCompletionRing(arena, 8);
    const bad = entry({ flags: 1 << 5, ring });
    expect(acall_submit([entry({ ring }), entry({ ring }), bad, entry({ ring })])).toBe(2);
    expect(acall_submit_error()).toEqual({ index: 2, errno: -EINVAL });
    expect(acall_submit([bad])).toBe(-EINVAL);
    expect(acall_submit_error()).toEqual({ index: 0, errno: -EINVAL });
    expect(acall_submit([entry({ ring })])).toBe(1);
    expect(acall_submit_error()).toBeNull();
    expect(acall_ring_pwait(ring, 0, 3)).toBe(3);
  });

  const outside = addressOf(arena.alloc(8)) + BigInt(arena.buffer.byteLength);
  const refusals: [string, () => AcallSubmission, number][] = [
    ['unknown flag bits', () => entry({ flags: 1 << 30 }), -EINVAL],
    ['a call that never runs', () => entry({ nr: SYS.exit_group }), -EPERM],
    ['a call of one thread in the pool', () => entry({ nr: SYS.setns, args: [-1, 0] }), -EPERM],
    ['an unchecked call without the flag', () => entry({ nr: SYS.munmap, args: [0, 0] }), -EPERM],
    ['policy before sinks', () => Object.assign(entry({ nr: SYS.execve }), { completion_pointer: 8n }), -EPERM],
    ['a ring outside', () => Object.assign(entry(), { completion_ring_pointer: outside }), -EFAULT],
    ['a slot outside', () => Object.assign(entry(), { completion_pointer: 16n }), -EFAULT],
    ['an id outside', () => Object.assign(entry(), { id_pointer: 16n }), -EFAULT],
    ['a pointer argument outside', () => entry({ nr: SYS.read, args: [0, 4096, 1] }), -EFAULT],
    [
      'a pointer argument not whole inside',
      () => entry({ nr: SYS.read, args: [0, addressOf(arena.alloc(8)), arena.buffer.byteLength] }),
      -EFAULT,
    ],
    [
      'a misaligned slot',
      () => Object.assign(entry(), { completion_pointer: addressOf(arena.alloc(32)) + 4n }),
      -EINVAL,
    ],
    ['a slot with cookie 0', () => entry({ cookie: 0n, slot: new AcallCompletion(arena) }), -EINVAL],
    ['a ring with cookie 0', () => entry({ cookie: 0n, ring: new AcallCompletionRing(arena, 1) }), -EINVAL],
    ['a ring of nr 0', () => Object.assign(entry(), { completion_ring_pointer: addressOf(arena.alloc(32)) }), -EINVAL],
  ];
  it.each(refusals)('refuses %s', (_what, make, error) => {
    expect(acall_submit([make()])).toBe(error);
  });

  it('needs no cookie for an id alone', () => {
    const id = new AcallId(arena);
    expect(acall_submit([entry({ cookie: 0n, id })])).toBe(1);
    expect(acall_comp_pwait([id], 1)).toBe(1);
  });

  it('completes a bad syscall number with -ENOSYS', () => {
    const ring = new AcallCompletionRing(arena, 4);
    const numbers = [2000, 0x40000000 | 1, 0xffffffff];
    expect(acall_submit(numbers.map((nr) => entry({ nr, ring })))).toBe(3);
    expect(acall_ring_pwait(ring, 0, 3)).toBe(3);
    const codes: bigint[] = [];
    ring.drain((_cookie, code) => codes.push(code));
    expect(codes).toEqual([-38n, -38n, -38n]);
    expect(ENOSYS).toBe(38);
  });

  it('runs unchecked calls with ACALL_SUBMIT_UNSAFE', () => {
    const slot = new AcallCompletion(arena);
    const id = new AcallId(arena);
    const flags = ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_UNSAFE;
    expect(acall_submit([entry({ nr: SYS.munmap, flags, slot, id, args: [1, 0] })])).toBe(1);
    expect(acall_comp_pwait([id], 1)).toBe(1);
    expect(slot.return_code).toBe(BigInt(-EINVAL));
  });

  it('throws for wrong JavaScript types', () => {
    expect(() => acall_submit([{}] as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => acall_submit('x' as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => acall_submit([entry()], 2)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => acall_submit(Buffer.alloc(87), 1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => acall_submit([entry()], 0.5)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => acall_submit([entry()], -1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });

  it('accepts a detached buffer as what it is: empty', () => {
    const buffer = new ArrayBuffer(88);
    const view = new Uint8Array(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    expect(acall_submit(view)).toBe(0);
    expect(() => acall_submit(view, 1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });
});

describe('acall_comp_pwait', () => {
  it('returns 0 for nr 0 and on time-out, 1 for a forgotten id, -EINVAL for one never issued', () => {
    const read = blockedRead();
    expect(acall_comp_pwait([read.id], 0)).toBe(0);
    expect(acall_comp_pwait([read.id], 1, now)).toBe(0);
    expect(acall_comp_pwait([read.id], 1, { sec: 0n, nsec: 1_000_000 })).toBe(0);
    expect(acall_cancel(read.id)).toBe(0);
    expect(acall_comp_pwait([read.id], 1)).toBe(1);
    expect(acall_comp_pwait([read.id], 1)).toBe(1);
    expect(acall_comp_pwait(Buffer.alloc(16), 1, now)).toBe(-EINVAL);
    expect(acall_comp_pwait(Buffer.alloc(16, 0xff), 1, now)).toBe(-EINVAL);
    read.close();
  });

  it('waits for any of several', () => {
    const stuck = blockedRead();
    const id = new AcallId(arena);
    acall_submit([entry({ id })]);
    expect(acall_comp_pwait([stuck.id, id], 2)).toBe(1);
    acall_cancel(stuck.id);
    expect(acall_comp_pwait(Buffer.concat([stuck.id.bytes, id.bytes]), 2)).toBe(1);
    acall_comp_pwait([stuck.id], 1);
    stuck.close();
  });

  it('refuses bad times and mask sizes', () => {
    const id = new AcallId(arena);
    acall_submit([entry({ id })]);
    for (const utime of [
      { sec: -1, nsec: 0 },
      { sec: 0, nsec: -1 },
      { sec: 0, nsec: 1_000_000_000 },
    ]) {
      expect(acall_comp_pwait([id], 1, utime)).toBe(-EINVAL);
    }
    expect(acall_comp_pwait([id], 1, null, new Uint8Array(8), 4)).toBe(-EINVAL);
    expect(acall_comp_pwait([id], 1, null, ['SIGUSR1'])).toBe(1);
    expect(() => acall_comp_pwait([id], 1, 5 as never)).toThrow(TypeError);
    expect(() => acall_comp_pwait([id], 1, null, ['SIGNOPE'] as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    );
  });
});

describe('acall_ring_pwait', () => {
  it('counts what is stored since tail, polls, and never blocks for min 0', () => {
    const ring = new AcallCompletionRing(arena, 8);
    expect(acall_ring_pwait(ring, 0, 0)).toBe(0);
    expect(acall_ring_pwait(ring, 0, 1, now)).toBe(0);
    acall_submit([entry({ ring }), entry({ ring })]);
    expect(acall_ring_pwait(ring, 0, 2)).toBe(2);
    expect(acall_ring_pwait(ring, 1, 1)).toBe(1);
    expect(acall_ring_pwait(ring, 2, 1, now)).toBe(0);
    expect(acall_ring_pwait(ring, 5, 0)).toBe(0);
  });

  it('returns what there is when the ring is full, and nothing is lost', async () => {
    const ring = new AcallCompletionRing(arena, 3);
    acall_submit([1n, 2n, 3n, 4n, 5n].map((cookie) => entry({ cookie, ring })));
    expect(acall_ring_pwait(ring, 0, 5)).toBe(3);
    await until(() => ring.overflows === 2); // these may come later
    expect(drained(ring, 5).sort()).toEqual([1n, 2n, 3n, 4n, 5n]);
    expect(ring.overflows).toBe(2);
    expect(ring.head).toBe(5);
  });

  it('works with one slot', () => {
    const ring = new AcallCompletionRing(arena, 1);
    const cookies = Array.from({ length: 100 }, (_, i) => BigInt(i + 1));
    acall_submit(cookies.map((cookie) => entry({ cookie, ring })));
    expect(drained(ring, 100).sort((a, b) => Number(a - b))).toEqual(cookies);
    expect(ring.head).toBe(100);
    expect(ring.drain(() => {})).toBe(0);
  });
});

describe('acall_cancel', () => {
  it.each([
    ['pool', ACALL_SUBMIT_THREAD_POOL],
    ['own thread', 0],
  ])('ends a blocked read (%s), also the second time', (_where, flags) => {
    const read = blockedRead(flags);
    expect(acall_cancel(read.id)).toBe(0);
    expect([0, -ENOENT, -EALREADY]).toContain(acall_cancel(read.id));
    expect(acall_comp_pwait([read.id], 1)).toBe(1);
    expect([BigInt(-EINTR), BigInt(-ECANCELED)]).toContain(read.slot.return_code);
    expect(acall_cancel(read.id)).toBe(-ENOENT);
    read.close();
  });

  it('returns -ENOENT for an id that was never issued, and throws for wrong types', () => {
    expect(acall_cancel(Buffer.alloc(16))).toBe(-ENOENT);
    expect(() => acall_cancel(Buffer.alloc(8))).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => acall_cancel(1 as never)).toThrow(TypeError);
  });
});

describe('AcallCompletionRing', () => {
  it('refuses sizes that are none', () => {
    for (const nr of [0, -1, 1.5, Number.NaN, 2 ** 33]) {
      expect(() => new AcallCompletionRing(arena, nr)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    }
    expect(() => new AcallCompletionRing(arena, '4' as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    expect(() => new AcallCompletionRing({} as never, 4)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    expect(() => new AcallCompletionRing(arena, 1e6)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });

  it('keeps the rest when a visit throws', () => {
    const ring = new AcallCompletionRing(arena, 8);
    acall_submit([1n, 2n, 3n, 4n].map((cookie) => entry({ cookie, ring })));
    acall_ring_pwait(ring, 0, 4);
    const first: bigint[] = [];
    expect(() =>
      ring.drain((cookie) => {
        first.push(cookie);
        if (first.length === 2) throw new Error('enough');
      }),
    ).toThrow('enough');
    const rest: bigint[] = [];
    expect(ring.drain((cookie) => rest.push(cookie), 1)).toBe(1);
    expect(ring.drain((cookie) => rest.push(cookie))).toBe(1);
    expect([...first, ...rest].sort()).toEqual([1n, 2n, 3n, 4n]);
  });

  it('may be drained and submitted to from within a visit', () => {
    const ring = new AcallCompletionRing(arena, 4);
    acall_submit([entry({ cookie: 1n, ring }), entry({ cookie: 2n, ring })]);
    acall_ring_pwait(ring, 0, 2);
    const seen: bigint[] = [];
    ring.drain((cookie) => {
      if (seen.push(cookie) > 1) return; // whichever came first
      acall_submit([entry({ cookie: 3n, ring })]);
      ring.drain((other) => seen.push(other));
    });
    expect([...seen, ...drained(ring, 3 - seen.length)].sort()).toEqual([1n, 2n, 3n]);
  });

  it('is found again by its address', () => {
    const ring = new AcallCompletionRing(arena, 4);
    acall_submit([entry({ cookie: 9n, ring })]);
    acall_ring_pwait(ring, 0, 1);
    const same = AcallCompletionRing.from(arena, ring.address);
    expect(same.nr).toBe(4);
    expect(same.drain((cookie) => expect(cookie).toBe(9n))).toBe(1);
    expect(ring.drain(() => {})).toBe(0);
    expect(() => AcallCompletionRing.from(arena, 8n)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => AcallCompletionRing.from(arena, 8 as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
  });

  it('wait resolves with what can be drained, after a time-out with what there is, and rejects on abort', async () => {
    const ring = new AcallCompletionRing(arena, 8);
    expect(await ring.wait({ min: 0 })).toBe(0);
    expect(await ring.wait({ timeout: 5 })).toBe(0);
    const pending = ring.wait({ min: 3 });
    acall_submit([entry({ ring }), entry({ ring }), entry({ ring })]);
    expect(await pending).toBe(3);
    ring.drain(() => {});
    const controller = new AbortController();
    const aborted = ring.wait({ signal: controller.signal });
    controller.abort(new Error('why'));
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: new Error('why') });
    await expect(ring.wait({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(ring.wait({ min: -1 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    await expect(ring.wait({ timeout: 'x' as never })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('wait resolves when the ring is full although min is more', async () => {
    const ring = new AcallCompletionRing(arena, 2);
    const pending = ring.wait({ min: 5 });
    acall_submit([entry({ ring }), entry({ ring }), entry({ ring })]);
    expect(await pending).toBe(2);
    await until(() => ring.overflows === 1); // the third may come later
    expect(drained(ring, 3)).toHaveLength(3);
    expect(ring.overflows).toBe(1);
  });

  it('may be drained by several Workers: each completion goes to exactly one', async () => {
    const kOps = 20_000;
    const shared = new Arena(8 << 20);
    const ring = new AcallCompletionRing(shared, 1024);
    const left = new SharedArrayBuffer(4);
    new Int32Array(left)[0] = kOps;
    const workers = [1, 2].map(() => startWorker('drainShared', [shared.buffer, ring.address, left]));
    const answers = workers.map(
      (worker) => new Promise<{ count: number; sum: bigint }>((resolve) => worker.once('message', resolve)),
    );
    const submission = new AcallSubmission(shared);
    submission.nr = SYS.getppid;
    submission.flags = ACALL_SUBMIT_THREAD_POOL;
    submission.completion_ring_pointer = ring.address;
    for (let i = 1; i <= kOps; i++) {
      submission.cookie = BigInt(i);
      expect(acall_submit([submission])).toBe(1);
    }
    const [a, b] = (await Promise.all(answers)) as [{ count: number; sum: bigint }, { count: number; sum: bigint }];
    expect(a.count + b.count).toBe(kOps);
    expect(a.sum + b.sum).toBe((BigInt(kOps) * BigInt(kOps + 1)) / 2n);
  });
});

describe('Arena', () => {
  it('allocates zeroed, aligned bytes and gives them back', () => {
    const small = new Arena(8192);
    for (const align of [1, 2, 8, 16, 64, 4096]) {
      const bytes = small.alloc(24, align);
      expect(addressOf(bytes) % BigInt(align)).toBe(0n);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
      bytes.fill(255);
      small.free(bytes);
    }
    expect(small.alloc(4000).every((byte) => byte === 0)).toBe(true);
    expect(() => small.alloc(8192)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });

  it('refuses bytes that it did not allocate, and bytes that are free', () => {
    const small = new Arena(4096);
    const bytes = small.alloc(16);
    small.free(bytes);
    for (const what of [bytes, new Uint8Array(4), bytes.subarray(4)]) {
      expect(() => small.free(what)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    }
    expect(() => small.free(null as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    const id = new AcallId(small);
    small.free(id);
    expect(() => small.free(id)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
  });

  it('refuses sizes and alignments that are none', () => {
    for (const size of [0, -1, 1.5, 2 ** 53])
      expect(() => new Arena(size)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => arena.alloc(-1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => arena.alloc(8, 3)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    expect(() => arena.cstring('a\0b')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    expect(() => Arena.from(new ArrayBuffer(8) as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    expect(() => addressOf(new Uint8Array(8))).toThrow(TypeError);
  });

  it('shares one registration for one buffer', () => {
    const again = Arena.from(arena.buffer);
    expect(again.address).toBe(arena.address);
    expect(Buffer.from(again.cstring('grüße')).toString()).toBe('grüße\0');
  });

  it('does not take addresses of an arena that only a Worker has', async () => {
    const worker = startWorker('tellAddress', []);
    const foreign = await new Promise<bigint>((resolve) => worker.once('message', resolve));
    expect(acall_submit([Object.assign(entry(), { completion_pointer: foreign })])).toBe(-EFAULT);
    worker.postMessage('end');
    await new Promise((resolve) => worker.once('exit', resolve));
  });

  it('lives until ops in flight are complete, although JavaScript drops it', async () => {
    const ends = pipe();
    const ring = new AcallCompletionRing(arena, 2);
    (() => {
      const dropped = new Arena(1 << 16);
      const submission = entry({ nr: SYS.read, ring, args: [ends.read, addressOf(dropped.alloc(16)), 16] });
      expect(acall_submit([submission])).toBe(1);
    })();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (let i = 0; i < 5; i++) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
    acall_submit([
      entry({ cookie: 2n, nr: SYS.write, ring, args: [ends.write, addressOf(arena.cstring('alive')), 5] }),
    ]);
    expect(acall_ring_pwait(ring, 0, 2)).toBe(2);
    const codes: bigint[] = [];
    ring.drain((_cookie, code) => codes.push(code));
    expect(codes).toEqual([5n, 5n]);
    ends.close();
  });
});

it('counters account for every op', () => {
  const { submitted, completed, queued, running } = counters();
  expect(submitted).toBe(completed);
  expect({ queued, running }).toEqual({ queued: 0, running: 0 });
});
