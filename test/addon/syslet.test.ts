// acall/syslet by its bytes: atoms, async_exec, async_wait.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AcallCompletionRing, AcallId, Arena, acall_cancel, addressOf, constants, SYS } from 'acall';
import {
  async_exec,
  async_wait,
  SYSLET_ASYNC,
  SYSLET_NO_COMPLETE,
  SYSLET_NR_UMEM_ADD,
  SYSLET_SKIP_TO_NEXT_ON_STOP,
  SYSLET_STOP_ON_NEGATIVE,
  SYSLET_STOP_ON_NON_POSITIVE,
  SYSLET_STOP_ON_NONZERO,
  SYSLET_STOP_ON_ZERO,
  SYSLET_SYNC,
  SysletAtom,
} from 'acall/syslet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';

const { startWorker } = programsOf<typeof import('./programs/syslet.cjs')>(join(__dirname, 'programs', 'syslet.cjs'));

const { AT_FDCWD, ECANCELED, EFAULT, EINTR, EINVAL, ELOOP, ENOENT, EPERM, O_RDONLY } = constants;
const arena = new Arena(1 << 20);
const folder = mkdtempSync(join(tmpdir(), 'acall-syslet-'));
const fifo = join(folder, 'fifo');
let fifoEnd: number;

beforeAll(() => {
  execFileSync('mkfifo', [fifo]);
  fifoEnd = openSync(fifo, 'r+');
});
afterAll(() => {
  closeSync(fifoEnd);
  rmSync(folder, { recursive: true });
});

/** 8 bytes of the arena. */
class Word {
  readonly bytes = arena.alloc(8);
  readonly #view = new BigInt64Array(this.bytes.buffer, this.bytes.byteOffset, 1);
  readonly address = addressOf(this.bytes);
  constructor(value: number | bigint) {
    this.value = BigInt(value);
  }
  get value(): bigint {
    return Atomics.load(this.#view, 0);
  }
  set value(value: bigint) {
    Atomics.store(this.#view, 0, value);
  }
}
const word = (value: number | bigint) => new Word(value);
const pointer = (to: { address: bigint } | Uint8Array) => word(to instanceof Uint8Array ? addressOf(to) : to.address);

function fill(atom: SysletAtom, nr: number, args: Word[] = [], flags = 0, result?: Word): SysletAtom {
  atom.nr = nr;
  atom.flags = flags;
  atom.ret_ptr = result?.address ?? 0n;
  atom.arg_ptr.fill(0n);
  args.forEach((arg, i) => {
    atom.arg_ptr[i] = arg.address;
  });
  return atom;
}

const atomOf = (nr: number, args: Word[] = [], flags = 0, result?: Word) =>
  fill(new SysletAtom(arena), nr, args, flags, result);
const newRing = (nr = 8) => new AcallCompletionRing(arena, nr);

function drain(ring: AcallCompletionRing): [cookie: bigint, code: bigint][] {
  const all: [bigint, bigint][] = [];
  ring.drain((cookie, code) => all.push([cookie, code]));
  return all;
}

describe('SysletAtom', () => {
  it('lies in 80 bytes as 2007 had it', () => {
    const atom = new SysletAtom(arena);
    atom.flags = 0x11223344;
    atom.nr = 0x55667788;
    atom.ret_ptr = 1n;
    atom.next = 2n;
    for (let i = 0; i < 6; i++) atom.arg_ptr[i] = BigInt(10 + i);
    atom.private = 2n ** 64n - 1n;
    const words = new BigUint64Array(arena.buffer, Number(atom.address - arena.address), 10);
    expect([...words]).toEqual([0x5566778811223344n, 1n, 2n, 10n, 11n, 12n, 13n, 14n, 15n, 2n ** 64n - 1n]);
    expect(atom.private).toBe(2n ** 64n - 1n);
  });

  it('makes arrays that lie back to back, each linked to the next', () => {
    const atoms = SysletAtom.array(arena, 3);
    expect(atoms.map(({ address }) => address - atoms[0]!.address)).toEqual([0n, 80n, 160n]);
    expect(atoms.map(({ next }) => next)).toEqual([atoms[1]!.address, atoms[2]!.address, 0n]);
    expect(() => SysletAtom.array(arena, 0)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => new SysletAtom({} as Arena)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
  });

  it('has the historic flag values', () => {
    expect([
      SYSLET_ASYNC,
      SYSLET_SYNC,
      SYSLET_NO_COMPLETE,
      SYSLET_STOP_ON_NONZERO,
      SYSLET_STOP_ON_ZERO,
      SYSLET_STOP_ON_NEGATIVE,
      SYSLET_STOP_ON_NON_POSITIVE,
      SYSLET_SKIP_TO_NEXT_ON_STOP,
      SYSLET_NR_UMEM_ADD,
    ]).toEqual([0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x80, 0x80000000]);
  });
});

describe('async_exec', () => {
  it('returns the address of the last atom when nothing can block, and leaves no entry', () => {
    const ring = newRing();
    const pid = word(0);
    const first = atomOf(SYS.getpid, [], 0, pid);
    const second = atomOf(SYS.getppid);
    first.next = second.address;
    expect(async_exec(first, ring)).toBe(second.address);
    expect(async_exec(first.address, ring)).toBe(second.address);
    expect(pid.value).toBe(BigInt(process.pid));
    expect(ring.head).toBe(0);
    expect(async_wait(ring, 0, 1)).toBe(0);
  });

  it('opens, reads and closes in one go, each result the argument of the next', () => {
    const ring = newRing();
    const [open, read, close] = SysletAtom.array(arena, 3) as [SysletAtom, SysletAtom, SysletAtom];
    const [fd, length, content] = [word(-1), word(0), arena.alloc(256)];
    fill(
      open,
      SYS.openat,
      [word(AT_FDCWD), pointer(arena.cstring('/proc/thread-self/comm')), word(O_RDONLY)],
      SYSLET_STOP_ON_NEGATIVE,
      fd,
    );
    fill(read, SYS.read, [fd, pointer(content), word(256)], SYSLET_STOP_ON_NEGATIVE, length);
    fill(close, SYS.close, [fd], SYSLET_STOP_ON_NEGATIVE);
    const before = readdirSync('/proc/self/fd').length;
    expect(async_exec(open, ring)).toBeNull();
    expect(async_wait(ring, 0, 1)).toBe(1);
    expect(drain(ring)).toEqual([[close.address, 0n]]);
    // It was a thread of the pool that looked at itself.
    expect(Buffer.from(content.subarray(0, Number(length.value))).toString()).toBe('acall-pool\n');
    expect(readdirSync('/proc/self/fd').length - before).toBeLessThanOrEqual(1); // the eventfd of the wait
  });

  it('returns the address of the atom that stopped it', () => {
    const ring = newRing();
    const open = atomOf(
      SYS.openat,
      [word(AT_FDCWD), pointer(arena.cstring('/nope')), word(O_RDONLY)],
      SYSLET_STOP_ON_NEGATIVE,
    );
    open.next = atomOf(SYS.getpid).address;
    expect(async_exec(open, ring)).toBeNull();
    expect(async_wait(ring, 0, 1)).toBe(1);
    expect(drain(ring)).toEqual([[open.address, BigInt(-ENOENT)]]);
  });

  it('refuses at once what it cannot begin', () => {
    const ring = newRing();
    const atom = atomOf(SYS.getpid);
    expect(async_exec(0n, ring)).toBe(BigInt(-EFAULT));
    expect(async_exec(8n, ring)).toBe(BigInt(-EFAULT));
    expect(async_exec(atom.address + 4n, ring)).toBe(BigInt(-EINVAL));
    for (let bit = 8; bit < 32; bit++) {
      atom.flags = 2 ** bit;
      expect(async_exec(atom, ring)).toBe(BigInt(-EINVAL));
    }
    expect(() => async_exec({} as SysletAtom, ring)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => async_exec(atom, {} as AcallCompletionRing)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    expect(() => async_exec(atom, ring, {} as AcallId)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
  });

  it('checks each atom when it runs', () => {
    const ring = newRing();
    const result = word(0);
    const outcome = (nr: number, ...args: Word[]) => {
      const last = async_exec(atomOf(nr, args, 0, result), ring);
      if (last === null) async_wait(ring, ring.head, 1);
      drain(ring);
      return Number(result.value);
    };
    expect(outcome(SYS.exit_group, word(1))).toBe(-EPERM);
    expect(outcome(SYS.setuid as number, word(0))).toBe(-EPERM); // needs a thread of its own
    expect(outcome(SYS.read, word(fifoEnd), word(4096n), word(1))).toBe(-EFAULT);
    expect(outcome(SYSLET_NR_UMEM_ADD, word(4096n), word(1))).toBe(-EFAULT);
    // Computed at run time: the pointer starts inside and is moved out of the arena by the program itself.
    const target = pointer(arena.alloc(8));
    const move = atomOf(SYSLET_NR_UMEM_ADD, [pointer(target), word(arena.buffer.byteLength)]);
    const read = atomOf(SYS.read, [word(fifoEnd), target, word(8)], 0, result);
    move.next = read.address;
    expect(async_exec(move, ring)).toBe(read.address);
    expect(Number(result.value)).toBe(-EFAULT);
    result.value = 0n;
    target.value = addressOf(arena.alloc(8));
    move.flags = SYSLET_ASYNC;
    expect(async_exec(move, ring)).toBeNull();
    async_wait(ring, ring.head, 1);
    expect(Number(result.value)).toBe(-EFAULT);
    drain(ring);
  });

  it('bounds the steps of an endless program', () => {
    const ring = newRing();
    const counter = word(0);
    const atom = atomOf(SYSLET_NR_UMEM_ADD, [pointer(counter), word(1)]);
    atom.next = atom.address;
    expect(async_exec(atom, ring)).toBeNull();
    expect(async_wait(ring, 0, 1)).toBe(1);
    expect(drain(ring)).toEqual([[atom.address, BigInt(-ELOOP)]]);
    expect(counter.value).toBe(1_048_576n);
  });

  it('is cancelled inside an atom by its id', () => {
    const ring = newRing();
    const id = new AcallId(arena);
    const read = atomOf(SYS.read, [word(fifoEnd), pointer(arena.alloc(8)), word(1)]);
    read.next = atomOf(SYS.getpid).address;
    for (let round = 0; round < 50; round++) {
      expect(async_exec(read, ring, id)).toBeNull();
      expect(async_wait(ring, ring.head, 1, { sec: 0, nsec: 0 })).toBe(0);
      expect(acall_cancel(id)).toBe(0);
      expect(async_wait(ring, round, 1)).toBe(1);
      const [[cookie, code]] = drain(ring) as [[bigint, bigint]];
      expect(cookie).toBe(read.address);
      expect([BigInt(-EINTR), BigInt(-ECANCELED)]).toContain(code);
    }
  });

  it('SYNC waits for its atom, in a Worker that can be terminated meanwhile', async () => {
    const ring = newRing();
    const buffer = arena.alloc(8);
    const read = atomOf(SYS.read, [word(fifoEnd), pointer(buffer), word(1)], SYSLET_SYNC);
    writeSync(fifoEnd, 'x');
    expect(async_exec(read, ring)).toBe(read.address);
    expect(buffer[0]).toBe('x'.charCodeAt(0));
    expect(ring.head).toBe(0);
    const worker = startWorker('readSync', [fifoEnd]);
    await new Promise((resolve) => worker.once('message', resolve));
    expect(await worker.terminate()).toBe(1);
  });

  it('NO_COMPLETE leaves nothing behind, and async_wait comes back', () => {
    const ring = newRing();
    const counter = word(0);
    const atom = atomOf(SYSLET_NR_UMEM_ADD, [pointer(counter), word(1)], SYSLET_ASYNC | SYSLET_NO_COMPLETE);
    for (let i = 1; i <= 50; i++) {
      expect(async_exec(atom, ring)).toBeNull();
      expect(async_wait(ring, 0, 1)).toBe(0);
      expect(counter.value).toBe(BigInt(i));
    }
  });

  it('many programs share a counter and a ring smaller than they are', () => {
    const ring = newRing(3);
    const counter = word(0);
    const [loop, count] = SysletAtom.array(arena, 2) as [SysletAtom, SysletAtom];
    fill(loop, SYSLET_NR_UMEM_ADD, [pointer(counter), word(1)], SYSLET_ASYNC);
    for (let i = 0; i < 200; i++) {
      const left = word(100);
      const [add, down] = SysletAtom.array(arena, 2) as [SysletAtom, SysletAtom];
      fill(add, SYSLET_NR_UMEM_ADD, [pointer(counter), word(1)], SYSLET_ASYNC);
      fill(down, SYSLET_NR_UMEM_ADD, [pointer(left), word(-1)], SYSLET_STOP_ON_ZERO);
      down.next = add.address;
      expect(async_exec(add, ring)).toBeNull();
    }
    let seen = 0;
    for (const end = performance.now() + 20_000; seen < 200 && performance.now() < end; ) {
      async_wait(ring, seen, 1, { sec: 1, nsec: 0 });
      seen += drain(ring).length;
    }
    expect(seen).toBe(200);
    expect(drain(ring)).toEqual([]);
    expect(counter.value).toBe(20_000n);
    expect(count.next).toBe(0n);
  });
});

describe('async_wait', () => {
  it('checks its arguments', () => {
    const ring = newRing();
    expect(async_wait(ring, 0, 0)).toBe(0);
    expect(async_wait(ring, 0, 1, { sec: -1, nsec: 0 })).toBe(-EINVAL);
    expect(() => async_wait({} as AcallCompletionRing, 0, 1)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    expect(() => async_wait(ring, -1, 1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });
});
