// Wrong arguments: refused at once with Node's errors, and nothing has happened.
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as acall from 'acall';
import { Program, type ProgramBuilder } from 'acall/syslet';
import { afterAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';

const { startWorker } = programsOf<typeof import('./programs/raw.cjs')>(join(__dirname, 'programs', 'raw.cjs'));

const { Arena, AcallCompletionRing, AcallId, AcallSubmission, acall_submit, addressOf, SYS } = acall;
const folder = mkdtempSync(join(tmpdir(), 'acall-bad-input-'));
afterAll(() => rmdirSync(folder));
const any = (value: unknown) => value as never;

type Call = () => Promise<unknown>;
const type = 'ERR_INVALID_ARG_TYPE';
const value = 'ERR_INVALID_ARG_VALUE';
const range = 'ERR_OUT_OF_RANGE';

/** Every helper that takes a path, called with one. */
const withPath: [string, (path: never) => Promise<unknown>][] = [
  ['stat', (path) => acall.stat(path)],
  ['lstat', (path) => acall.lstat(path)],
  ['readdir', (path) => acall.readdir(path)],
  ['readFile', (path) => acall.readFile(path)],
  ['open', (path) => acall.open(path)],
  ['du', (path) => acall.du(path)],
  ['walk', async (path) => acall.walk(path)],
  ['statMany', (path) => acall.statMany([path])],
  ['async_stat', async (path) => acall.async_stat(path, new acall.StatBuffer())],
];

/** Every promise call, with common options. */
const withOptions: [string, (options: never) => Promise<unknown>][] = [
  ['stat', (options) => acall.stat('/', options)],
  ['lstat', (options) => acall.lstat('/', options)],
  ['fstat', (options) => acall.fstat(0, options)],
  ['statMany', (options) => acall.statMany(['/'], options)],
  ['statMany of nothing', (options) => acall.statMany([], options)],
  ['readdir', (options) => acall.readdir('/', options)],
  ['walk', async (options) => acall.walk(folder, options).collect()],
  ['du', (options) => acall.du('/dev/null', options)],
  ['readFile', (options) => acall.readFile('/dev/null', options)],
  ['open', (options) => acall.open('/dev/null', 'r', 0, options)],
  ['flock', (options) => acall.flock(0, 'unlock', options)],
  ['syscall', (options) => acall.syscall('getppid', [], options)],
  ['unsafe.syscall', (options) => acall.unsafe.syscall('getppid', [], options)],
  ['wait_for_async', (options) => acall.wait_for_async(options)],
];

describe.each(withPath)('%s', (_, call) => {
  it('refuses what is no path, and a NUL inside', async () => {
    for (const wrong of [undefined, null, 5, true, {}, [], Symbol('x'), () => {}]) {
      await expect(call(any(wrong)), String(wrong)).rejects.toMatchObject({ code: type, name: 'TypeError' });
    }
    await expect(call(any('a\0b'))).rejects.toMatchObject({ code: value, name: 'TypeError' });
    await expect(call(any(Buffer.from('a\0b')))).rejects.toMatchObject({ code: value });
  });
});

describe.each(withOptions)('%s', (name, call) => {
  it('refuses what are no options', async () => {
    // As in node:fs, where a function or null stands for no options.
    for (const wrong of name === 'readFile' || name === 'readdir' ? [5, true] : [5, true, null])
      await expect(call(any(wrong)), String(wrong)).rejects.toMatchObject({ code: type });
    for (const signal of [5, {}, 'x', new EventTarget()])
      await expect(call(any({ signal }))).rejects.toMatchObject({ code: type });
    for (const timeout of ['5', true, {}, 5n])
      await expect(call(any({ timeout }))).rejects.toMatchObject({ code: type });
    for (const timeout of [-1, Number.NaN, -0.5])
      await expect(call(any({ timeout }))).rejects.toMatchObject({ code: range });
    for (const ref of [0, 'no', {}]) await expect(call(any({ ref }))).rejects.toMatchObject({ code: type });
  });

  it('answers with each of them what it answers without, and leaves nothing on the signal', async () => {
    const answer = async (options: unknown) => {
      const result = await call(any(options));
      if (!(result instanceof acall.FileHandle)) return result;
      await result.close();
      return 'opened';
    };
    const plain = await answer(undefined);
    const { signal } = new AbortController();
    for (const options of [{ signal }, { timeout: 60_000 }, { timeout: Number.POSITIVE_INFINITY }, { ref: true }, {}])
      expect(await answer(options)).toEqual(plain);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const aborted = call(any({ signal: AbortSignal.abort('enough') }));
    await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
  });
});

/* Every function that takes options, the methods too. */
const withFile = async (call: (file: acall.FileHandle) => unknown) => {
  const file = await acall.open('/dev/null', 'r+');
  try {
    return await call(file);
  } finally {
    await file.close();
  }
};
const program = () => new Program({}, (p) => ({ parent: p.call('getppid', []) }));
const building = async (step: (p: ProgramBuilder) => void) => new Program({}, (p) => step(p));
const kBytes = Buffer.alloc(1);
const takesOptions: Record<string, (options: never) => Promise<unknown>> = {
  ...Object.fromEntries(withOptions),
  readFiles: async (options) => acall.readFiles(['/dev/null'], options),
  writeFile: (options) => acall.writeFile(join(folder, 'none/x'), '', options),
  copyFile: (options) => acall.copyFile('/dev/null', join(folder, 'none'), options),
  mkdirp: (options) => acall.mkdirp(folder, options),
  rmTree: (options) => acall.rmTree(join(folder, 'none'), options),
  asyncScope: (options) => acall.asyncScope().wait_for_async(options),
  'FileHandle.read': (options) => withFile((file) => file.read(kBytes, options)),
  'FileHandle.read, last': (options) => withFile((file) => file.read(kBytes, 0, 1, null, options)),
  'FileHandle.write': (options) => withFile((file) => file.write(kBytes, options)),
  'FileHandle.write, text': (options) => withFile((file) => file.write('text', null, 'utf8', options)),
  'FileHandle.stat': (options) => withFile((file) => file.stat(options)),
  'FileHandle.sync': (options) => withFile((file) => file.sync(options)),
  'FileHandle.datasync': (options) => withFile((file) => file.datasync(options)),
  'FileHandle.truncate': (options) => withFile((file) => file.truncate(0, options)),
  'FileHandle.allocate': (options) => withFile((file) => file.allocate(0, 1, 0, options)),
  'FileHandle.advise': (options) => withFile((file) => file.advise(0, 1, 'normal', options)),
  'FileHandle.lock': (options) => withFile((file) => file.lock('shared', options)),
  'FileHandle.unlock': (options) => withFile((file) => file.unlock(options)),
  AcallCompletionRing: (options) => new AcallCompletionRing(new Arena(4096), 4).wait(options),
  'Program.run': (options) => program().run({}, options),
  'Program.runMany': (options) => program().runMany([], options),
  Program: async (options) => new Program({}, () => {}, options),
  'ProgramBuilder.call': (options) => building((p) => p.call('getppid', [], options)),
  'ProgramBuilder.pair': (options) => building((p) => p.pair('pipe2', [0], options)),
  'ProgramBuilder.close': (options) => building((p) => p.close(p.call('openat', [-100, '/dev/null', 0]), options)),
};

describe('an option that is not known', () => {
  it.each(Object.entries(takesOptions))('is refused by %s, and the error names the known options', async (_, call) => {
    for (const options of [{ timout: 5 }, { signals: null }, { timeout: undefined, Signal: false }]) {
      const refused = {
        code: value,
        message: expect.stringMatching(/options\.(timout|signals|Signal)' is unknown; there are \w/),
      };
      await expect(call(any(options))).rejects.toMatchObject(refused);
    }
  });

  it('is so everywhere: no exported function is left out that takes options', () => {
    const takeNone =
      /Error$|^Stat(Buffer|Batch)$|^(Arena|ReadFiles|Walk|FileHandle|Acall(Completion|Id|Submission)|acall_.*|addressOf|async_stat|counters|restrict)$/;
    const functions = Object.entries(acall).filter(([, what]) => typeof what === 'function');
    const missing = functions.filter(([name]) => !takeNone.test(name) && takesOptions[name] === undefined);
    expect(missing.map(([name]) => name)).toEqual([]);
    const methods = ['fd', 'constructor', 'use', 'detach', 'close'];
    const left = Object.getOwnPropertyNames(acall.FileHandle.prototype).filter(
      (name) => !methods.includes(name) && takesOptions[`FileHandle.${name}`] === undefined,
    );
    expect(left).toEqual([]);
  });
});

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe('other arguments', () => {
  it('what is optional at the end of a call may be left out', async () => {
    const fd = await acall.syscall('openat', [acall.constants.AT_FDCWD, '/', acall.constants.O_RDONLY]);
    expect(await acall.syscall('fcntl', [fd, acall.constants.F_GETFD])).toBeGreaterThanOrEqual(0);
    expect(await acall.syscall('close', [fd])).toBe(0);
    expect(await acall.syscall('clock_nanosleep', [0, 0, Buffer.alloc(16)])).toBe(0);
  });

  it('takes 32 bits with a sign, without, and as the kernel widens them', async () => {
    for (const none of [-1, 0xffffffff, -1n, 2n ** 64n - 1n])
      await expect(acall.syscall('close', [none])).rejects.toMatchObject({ code: 'EBADF' });
  });

  const wrong: [string, string, Call][] = [
    ['fstat of a negative descriptor', range, () => acall.fstat(-1)],
    ['fstat of a fraction', range, () => acall.fstat(1.5)],
    ['fstat of text', type, () => acall.fstat(any('1'))],
    ['stat with bigint no boolean', type, () => acall.stat('/', { bigint: any(1) })],
    ['statMany of no array', type, () => acall.statMany(any('/etc'))],
    ['statMany of an array with a hole', type, () => acall.statMany(any(new Array(3)))],
    ['statMany with a NUL in bytes', value, () => acall.statMany(['/', Buffer.from('a\0b')])],
    ['statMany with a NUL behind ten thousand', value, () => acall.statMany([...new Array(10_000).fill('/'), 'a\0b'])],
    ['statMany with a negative dirfd', range, () => acall.statMany(['/'], { dirfd: -1 })],
    ['statMany with follow no boolean', type, () => acall.statMany(['/'], { follow: any(1) })],
    ['readdir with an unknown encoding', value, () => acall.readdir('/', { encoding: any('klingon') })],
    ['readdir with withStats no boolean', type, () => acall.readdir('/', { withStats: any('yes') })],
    ['walk with a negative depth', range, async () => acall.walk('/', { maxDepth: -1 })],
    ['walk with half a depth', range, async () => acall.walk('/', { maxDepth: 0.5 })],
    ['walk with onError no function', type, async () => acall.walk('/', { onError: any(5) })],
    ['walk with an unknown encoding', value, async () => acall.walk('/', { encoding: any('latin1') })],
    ['walk with stats no boolean', type, async () => acall.walk('/', { stats: any(1) })],
    ['du with onProgress no function', type, () => acall.du('/', { onProgress: any({}) })],
    ['du with apparentSize no boolean', type, () => acall.du('/', { apparentSize: any('b') })],
    ['syscall of an unknown name', value, () => acall.syscall(any('opanat'), [])],
    ['syscall of a name of Object', value, () => acall.syscall(any('constructor'), [])],
    ['syscall of no name', type, () => acall.syscall(any({}), [])],
    ['syscall of a negative number', range, () => acall.syscall(-1, [])],
    ['syscall of a fraction', range, () => acall.syscall(1.5, [])],
    ['syscall with no array', type, () => acall.syscall('getppid', any('x'))],
    ['syscall with too many arguments', value, () => acall.syscall('getppid', any([1]))],
    ['syscall with undefined', type, () => acall.syscall('close', any([undefined]))],
    ['syscall with a hole', type, () => acall.syscall('kill', any(new Array(2)))],
    ['syscall with undefined where it may be left out', type, () => acall.syscall('fcntl', any([0, 1, undefined]))],
    ['syscall with null for a descriptor', type, () => acall.syscall('dup2', any([0, null]))],
    ['syscall with null for a length', type, () => acall.syscall('read', any([0, Buffer.alloc(1), null]))],
    ['syscall with null for an address that is not looked at', type, () => acall.syscall('mlock', any([null, 0]))],
    ['syscall with too few arguments', value, () => acall.syscall('close', any([]))],
    ['syscall with the last needed argument left out', value, () => acall.syscall('openat', any([0, '/']))],
    ['syscall with a symbol for a command', type, () => acall.syscall('fcntl', any([0, Symbol('F_GETFD')]))],
    ['syscall with a revoked proxy', type, () => acall.syscall('fcntl', any([0, revoked()]))],
    ['syscall with a revoked proxy for its arguments', type, () => acall.syscall('getppid', any(revoked()))],
    ['syscall with a revoked proxy for its options', type, () => acall.syscall('getppid', [], any(revoked()))],
    ['a program with a revoked proxy for its inputs', type, async () => new Program(any(revoked()), () => ({}))],
    ['a program with a revoked proxy for its results', type, async () => new Program({}, () => any(revoked()))],
    ['a run with a revoked proxy', type, () => new Program({ path: 'text' }, () => ({})).run(any(revoked()))],
    ['runMany with a revoked proxy', type, () => new Program({ path: 'text' }, () => ({})).runMany(any([revoked()]))],
    ['syscall with a revoked proxy for its name', type, () => acall.syscall(any(revoked()))],
    ['unsafe.syscall with undefined', type, () => acall.unsafe.syscall('ioctl', any([0, 1, undefined]))],
    ['unsafe.syscall with a buffer for a descriptor', type, () => acall.unsafe.syscall('close', [Buffer.alloc(4)])],
    ['unsafe.syscall with null for a descriptor', type, () => acall.unsafe.syscall('close', [null])],
    ['unsafe.syscall of a new number with undefined', type, () => acall.unsafe.syscall(5000, any([undefined]))],
    ['syscall with an object', type, () => acall.syscall('close', any([{}]))],
    ['syscall with a boolean', type, () => acall.syscall('close', any([true]))],
    ['syscall with a fraction', range, () => acall.syscall('close', any([1.5]))],
    ['syscall with NaN', range, () => acall.syscall('close', any([Number.NaN]))],
    ['syscall with 2 ** 64', range, () => acall.syscall('close', any([2n ** 64n]))],
    ['syscall with a descriptor that would be 0', range, () => acall.syscall('close', [2 ** 32])],
    ['syscall with a descriptor of 33 bits', range, () => acall.syscall('close', [2n ** 32n])],
    ['syscall with a descriptor far below', range, () => acall.syscall('close', [-(2 ** 32)])],
    ['syscall with a signal of 33 bits', range, () => acall.syscall('kill', [0, 2 ** 32])],
    ['syscall with a count of 33 bits', range, () => acall.syscall('readv', [0, null, 2 ** 32])],
    ['unsafe.syscall with a descriptor that would be 0', range, () => acall.unsafe.syscall('close', [2 ** 32])],
    ['syscall with text where the kernel writes', type, () => acall.syscall('read', any([0, 'text', 4]))],
    ['syscall with a buffer where a number belongs', type, () => acall.syscall('close', any([Buffer.alloc(4)]))],
    ['syscall with a NUL in a path', value, () => acall.syscall('chdir', ['/\0'])],
    ['syscall on an unknown thread', value, () => acall.syscall('getppid', [], { thread: any('mine') })],
    ['restrict to an unknown name', value, async () => acall.restrict(['getppid', any('frob')])],
    ['restrict to no array', type, async () => acall.restrict(any('getppid'))],
  ];

  it.each(wrong)('%s: %s', async (_what, code, call) => {
    await expect(call()).rejects.toMatchObject({ code });
  });

  it('a number that is no system call completes with ENOSYS', async () => {
    for (const nr of [9999, 0x40000000 | SYS.getppid!, 0xffffffff]) {
      await expect(acall.syscall(nr, [])).rejects.toMatchObject({ code: 'ENOSYS', errno: -38 });
    }
  });
});

describe('memory that goes away', () => {
  it('a detached, a resizable and a shared buffer as argument', async () => {
    const detached = new Uint8Array(16);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    await expect(acall.syscall('getrandom', [detached, 16, 0])).rejects.toMatchObject({
      code: 'EFAULT',
      refused: true,
    });
    expect(await acall.syscall('getrandom', [detached, 0, 0])).toBe(0);

    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: object,
    ) => ArrayBuffer & { resize(length: number): void };
    const resizable = new Resizable(64, { maxByteLength: 4096 });
    const view = new Uint8Array(resizable);
    const calls = [view, new Uint8Array(resizable)].map((bytes) => acall.syscall('getrandom', [bytes, 64, 0]));
    resizable.resize(8);
    expect(await Promise.all(calls)).toEqual([64, 64]);
    const growing = acall.syscall('getrandom', [new Uint8Array(resizable), 8, 0]);
    resizable.resize(4096);
    expect(await growing).toBe(8);
    resizable.resize(8);
    expect(view.byteLength).toBe(8);

    const shared = new Uint8Array(new SharedArrayBuffer(16));
    expect(await acall.syscall('getrandom', [shared, 16, 0])).toBe(16);
    expect(shared.some((byte) => byte !== 0)).toBe(true);
  });

  it('views of freed arena memory, addresses beside it', () => {
    const arena = new Arena(4096);
    const id = new AcallId(arena);
    arena.free(id);
    expect(() => arena.free(id)).toThrow(expect.objectContaining({ code: value }));
    const submission = new AcallSubmission(arena);
    submission.nr = SYS.getppid!;
    submission.flags = acall.ACALL_SUBMIT_THREAD_POOL;
    for (const address of [1n, 8n, arena.address - 8n, arena.address + 4096n, arena.address + 4088n, 2n ** 63n]) {
      submission.id_pointer = address;
      expect(acall_submit([submission]), String(address)).toBeLessThan(0);
    }
    expect(() => addressOf(new Uint8Array(4))).toThrow(expect.objectContaining({ code: type }));
    expect(() => addressOf(any(5))).toThrow(expect.objectContaining({ code: type }));
  });

  it('an address of an arena of another Worker, and one whose Worker has gone', async () => {
    const worker = startWorker('tellAddress', []);
    const foreign = await new Promise<bigint>((resolve) => worker.once('message', resolve));
    const tried = async () => {
      await expect(acall.syscall('getrandom', any([foreign, 64, 0]))).rejects.toMatchObject({
        code: 'EFAULT',
        refused: true,
      });
    };
    await tried();
    await worker.terminate();
    await tried();
  });

  it('rings of no size, misaligned, or outside', () => {
    const arena = new Arena(4096);
    for (const nr of [0, -1, 0.5, Number.NaN])
      expect(() => new AcallCompletionRing(arena, nr)).toThrow(expect.objectContaining({ code: range }));
    expect(() => new AcallCompletionRing(arena, 4096)).toThrow(expect.objectContaining({ code: range }));
    const zero = arena.alloc(64);
    expect(() => AcallCompletionRing.from(arena, addressOf(zero))).toThrow(expect.objectContaining({ code: range }));
    expect(() => AcallCompletionRing.from(arena, addressOf(zero) + 1n)).toThrow(
      expect.objectContaining({ code: range }),
    );
    expect(() => AcallCompletionRing.from(arena, arena.address + 4095n)).toThrow(
      expect.objectContaining({ code: range }),
    );
    new Uint32Array(zero.buffer, zero.byteOffset, 2)[1] = 0xffffffff;
    expect(() => AcallCompletionRing.from(arena, addressOf(zero))).toThrow(expect.objectContaining({ code: range }));
  });
});

describe('a million of anything', () => {
  it('lookups into a buffer, entries of a ring; hundreds of thousands of promises: timers keep firing', {
    timeout: 180_000,
  }, async () => {
    const kMany = 1_000_000;
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const buffer = new acall.StatBuffer();
    for (let i = 0; i < kMany; i++) acall.async_stat('/', buffer);
    await acall.wait_for_async();
    expect(buffer.error).toBe(0);
    expect(ticks).toBeGreaterThan(1);

    ticks = 0;
    let done = 0;
    const pending: Promise<void>[] = [];
    for (let i = 0; i < kMany / 4; i++) {
      pending.push(
        acall.syscall('getppid').then(() => {
          done++;
        }),
      );
    }
    await Promise.all(pending);
    clearInterval(timer);
    expect(done).toBe(kMany / 4);
    expect(ticks).toBeGreaterThan(1);

    const arena = new Arena(1 << 20);
    const ring = new AcallCompletionRing(arena, 256);
    const submission = new AcallSubmission(arena);
    submission.nr = SYS.getppid!;
    submission.flags = acall.ACALL_SUBMIT_THREAD_POOL;
    submission.cookie = 1n;
    submission.completion_ring_pointer = ring.address;
    const thousand = Buffer.concat(new Array(1000).fill(Buffer.from(submission.raw)));
    let seen = 0;
    for (let i = 0; i < 1000; i++) {
      expect(acall_submit(thousand)).toBe(1000);
      seen += ring.drain(() => {});
    }
    while (seen < kMany) seen += ring.drain(() => {}) || (await ring.wait({ min: 1 })) * 0;
    expect(seen).toBe(kMany);
    expect(ring.drain(() => {})).toBe(0);
    expect(ring.overflows).toBeGreaterThan(0);
  });
});

describe('every exported function that returns a promise', () => {
  // What gives an iterable throws at once, as do the raw calls and what returns no promise.
  const others = /^(acall_|async_stat$|asyncScope$|addressOf$|counters$|restrict$|walk$|readFiles$)/;
  const functions = Object.entries(acall).filter(
    ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name) && !others.test(name),
  ) as [string, (...args: unknown[]) => unknown][];

  it.each(functions)('%s rejects, whatever it gets, and never throws', async (_, call) => {
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const hostile = {
      get signal() {
        throw new Error('hostile');
      },
    };
    const texts = ['', 'a\0b', '/proc/nope-acall/x']; // nothing can be made there
    const odd = [null, Number.NaN, -1, 1.5, 2 ** 40, true, Symbol('odd'), 10n, {}, [], () => {}, new Uint8Array(2)];
    const options = [{ signal: 1 }, { timeout: -1 }, { timeout: 'x' }, { ref: 1 }, hostile, Object.create(null)];
    const values = [undefined, ...texts, ...odd, ...options, revoked.proxy];
    const promises: Promise<unknown>[] = [];
    for (const first of values) {
      for (const second of values) {
        for (const third of [undefined, hostile, { signal: 1 }]) {
          promises.push(call(first, second, third) as Promise<unknown>);
        }
      }
    }
    for (const promise of promises) {
      expect(promise).toBeInstanceOf(Promise);
      promise.catch(() => {});
    }
    expect(promises.length).toBe(values.length ** 2 * 3);
  });
});
