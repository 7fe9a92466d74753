// Program: what it computes, how it ends, what it leaves behind.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AbortError, constants, SyscallError } from 'acall';
import { Program, type ProgramBuilder, ProgramError, type ProgramResult } from 'acall/syslet';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';

const { startWorker } = programsOf<typeof import('./programs/program.cjs')>(join(__dirname, 'programs', 'program.cjs'));

const { AT_FDCWD, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_WRONLY } = constants;
const folder = fs.mkdtempSync(join(tmpdir(), 'acall-program-'));
const path = (name: string) => join(folder, name);
const fifo = path('fifo');
let fifoEnd: number;

beforeAll(() => {
  execFileSync('mkfifo', [fifo]);
  fifoEnd = fs.openSync(fifo, 'r+');
  fs.writeFileSync(path('hello'), 'hello, world');
  fs.symlinkSync('hello', path('link'));
});
afterAll(() => {
  fs.closeSync(fifoEnd);
  fs.rmSync(folder, { recursive: true });
});

/** The numbers of open descriptors that belong to files of ours. */
const openFiles = () =>
  fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder) && Number(fd) !== fifoEnd;
    } catch {
      return false;
    }
  });

/** Waits until the engine's threads have made a condition true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((next) => setImmediate(next));
}

const code = (expected: string) => expect.objectContaining({ code: expected });
const O_READ = O_RDONLY | O_CLOEXEC;

/** The values of a run that has to be done. */
function done<V>(result: ProgramResult<V> | Error): V {
  if (result instanceof Error) throw result;
  expect(result.stoppedAt).toBeNull();
  return result.values as V;
}

const readSmall = new Program({ path: 'text' }, (p, { path }) => {
  const fd = p.call('openat', [AT_FDCWD, path, O_READ], { as: 'open' });
  const content = p.bytes(4096);
  const length = p.call('read', [fd, content, content.byteLength]);
  return { length, content: content.first(length) };
});

describe('a run', () => {
  beforeEach(() => expect(openFiles()).toEqual([]));

  it('resolves with its values and leaves no descriptor', async () => {
    const result = await readSmall.run({ path: path('hello') });
    expect(result).toEqual({
      done: true,
      stoppedAt: null,
      steps: 3,
      values: { length: 12, content: Buffer.from('hello, world') },
    });
    expect(openFiles()).toEqual([]);
  });

  it('takes paths that are no text', async () => {
    const name = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]);
    fs.writeFileSync(name, 'bytes');
    expect(done(await readSmall.run({ path: name })).content.toString()).toBe('bytes');
  });

  it('rejects as the call that failed, with its place and what there was', async () => {
    const error: ProgramError = await readSmall.run({ path: path('nope') }).catch((error) => error);
    expect(error).toBeInstanceOf(ProgramError);
    expect(error).toBeInstanceOf(SyscallError);
    expect(error.message).toBe(`ENOENT: no such file or directory, openat '${path('nope')}'`);
    expect(error).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'openat', path: path('nope'), step: 'open' });
    expect(error.values).toEqual({ length: null, content: Buffer.alloc(0) });
    await expect(readSmall.run({ path: folder })).rejects.toMatchObject({ code: 'EISDIR', step: 'read' });
  });

  it('hands out descriptors of a run that was done, and only of that', async () => {
    const open = new Program({ path: 'text', stop: 'number' }, (p, { path, stop }) => {
      const fd = p.call('openat', [AT_FDCWD, path, O_READ]);
      p.stop('told to', stop.isPositive());
      p.fail('EBUSY', 'told to', stop.isNegative());
      return { fd, number: stop };
    });
    const { fd } = done(await open.run({ path: path('hello'), stop: 0 }));
    expect(fs.readFileSync(fd, 'utf8')).toBe('hello, world');
    fs.closeSync(fd);
    const stopped = await open.run({ path: path('hello'), stop: 1 });
    expect(stopped).toMatchObject({ done: false, stoppedAt: 'told to', result: 0, values: { fd: null, number: 1 } });
    await expect(open.run({ path: path('hello'), stop: -1 })).rejects.toMatchObject({ code: 'EBUSY', step: 'told to' });
    expect(openFiles()).toEqual([]);
  });

  it('stops on the results that a call names', async () => {
    const read = new Program({ path: 'text' }, (p, { path }) => {
      const fd = p.call('openat', [AT_FDCWD, path, O_READ]);
      const rounds = p.variable(0);
      p.loop(() => {
        p.call('read', [fd, p.bytes(5), 5], { as: 'next piece', stopOn: ['zero', 'negative'] });
        p.add(rounds, 1);
      });
      return { rounds };
    });
    const result = await read.run({ path: path('hello') });
    expect(result).toMatchObject({ done: false, stoppedAt: 'next piece', result: 0, values: { rounds: 3 } });
    for (const [stopOn, stops] of [
      ['never', [false, false, false]],
      ['negative', [true, false, false]],
      ['zero', [false, true, false]],
      ['nonzero', [true, false, true]],
      ['nonpositive', [true, true, false]],
    ] as const) {
      // lseek to an offset: its result is the offset; below 0 it fails.
      const seek = new Program({ fd: 'number', to: 'number' }, (p, { fd, to }) => {
        p.call('lseek', [fd, to, 0], { stopOn });
      });
      const fd = fs.openSync(path('hello'), 'r');
      const ends = [-1, 0, 7].map((to) =>
        seek.run({ fd, to }).then(
          ({ done }) => !done,
          () => true,
        ),
      );
      expect(await Promise.all(ends)).toEqual(stops);
      fs.closeSync(fd);
    }
  });

  it('goes on after errors that are allowed, and after no others', async () => {
    const open = new Program({ path: 'text' }, (p, { path }) => {
      const fd = p.call('openat', [AT_FDCWD, path, O_READ | O_NOFOLLOW], { allow: ['ENOENT', 'ENOTDIR'] });
      const failed = p.variable(0);
      p.if(fd.isNegative(), () => p.set(failed, fd));
      return { failed };
    });
    expect(done(await open.run({ path: path('hello') }))).toEqual({ failed: 0 });
    expect(done(await open.run({ path: path('nope') }))).toEqual({ failed: -2 });
    expect(done(await open.run({ path: `${path('hello')}/x` }))).toEqual({ failed: -20 });
    await expect(open.run({ path: path('link') })).rejects.toMatchObject({ code: 'ELOOP', syscall: 'openat' });
  });

  it('copies data in, and hands whole memory out cleared', async () => {
    const write = new Program({ path: 'text', data: 'data' }, (p, { path, data }) => {
      const fd = p.call('openat', [AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600]);
      const written = p.call('write', [fd, data, data.byteLength]);
      return { written, length: data.byteLength, untouched: p.bytes(64), started: p.bytes(Uint8Array.of(1, 2, 3)) };
    });
    const data = Buffer.from('x'.repeat(200_000));
    const values = done(await write.run({ path: path('written'), data: data.subarray(1) }));
    expect(values).toEqual({
      written: 199_999,
      length: 199_999,
      untouched: Buffer.alloc(64),
      started: Buffer.from([1, 2, 3]),
    });
    expect(fs.readFileSync(path('written')).equals(data.subarray(1))).toBe(true);
  });

  it('refuses at run time what its memory does not hold', async () => {
    const read = new Program({ path: 'text', count: 'number' }, (p, { path, count }) => {
      const fd = p.call('openat', [AT_FDCWD, path, O_READ]);
      const small = p.bytes(8);
      const pointer = p.variable(small);
      p.add(pointer, 4);
      return { length: p.call('read', [fd, pointer, count]), small: small.from(4) };
    });
    expect(done(await read.run({ path: path('hello'), count: 4 }))).toEqual({ length: 4, small: Buffer.from('hell') });
    await expect(read.run({ path: path('hello'), count: 5 })).rejects.toMatchObject({ code: 'EFAULT', step: 'read' });
  });

  it('walks texts one by one, none at all included', async () => {
    const count = new Program({ names: 'texts' }, (p, { names }) => {
      const there = p.variable(0);
      p.each(names, (name, loop) => {
        const result = p.call('faccessat', [AT_FDCWD, name, 0], { stopOn: 'never' });
        loop.continue(result.isNonZero());
        p.add(there, 1);
      });
      return { there, given: names.length };
    });
    expect(done(await count.run({ names: [] }))).toEqual({ there: 0, given: 0 });
    const names = Array.from({ length: 500 }, (_, i) => (i % 3 === 0 ? path('hello') : path(`${i}`)));
    expect(done(await count.run({ names }))).toEqual({ there: 167, given: 500 });
  });

  it('opens a path component by component, whatever it consists of', async () => {
    const openBeneath = new Program({ names: 'texts' }, (p, { names }) => {
      const at = p.descriptor(AT_FDCWD);
      p.each(names, (name) => {
        p.call('openat', [at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC], { into: at });
      });
      return { at };
    });
    fs.mkdirSync(path('a/b/c'), { recursive: true });
    fs.symlinkSync('b', path('a/link'));
    const { at } = done(await openBeneath.run({ names: [folder, 'a', 'b', 'c'] }));
    expect(fs.readlinkSync(`/proc/self/fd/${at}`)).toBe(path('a/b/c'));
    fs.closeSync(at);
    await expect(openBeneath.run({ names: [folder, 'a', 'link', 'c'] })).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(openBeneath.run({ names: [folder, 'a', 'nope', 'c'] })).rejects.toMatchObject({ code: 'ENOENT' });
    expect(openFiles()).toEqual([]);
  });

  it('bounds its steps, and cleans up behind them', async () => {
    const spin = new Program(
      {},
      (p) => {
        p.call('openat', [AT_FDCWD, path('hello'), O_READ]);
        const rounds = p.variable(0);
        p.loop(() => p.add(rounds, 1));
        return { rounds };
      },
      { maxSteps: 1001 },
    );
    const error = await spin.run({}).catch((error) => error);
    expect(error).toMatchObject({ code: 'ERR_ACALL_PROGRAM_STEPS', values: { rounds: 500 } });
    expect(openFiles()).toEqual([]);
  });

  it('carries 64 bits as bigints', async () => {
    const echo = new Program({ value: 'number' }, (_, { value }) => ({ value: value.asBigInt() }));
    for (const value of [0n, -1n, 2n ** 62n, -(2n ** 63n) + 1n]) {
      expect(done(await echo.run({ value })).value).toBe(value);
    }
    const number = new Program({ value: 'number' }, (_, { value }) => ({ value }));
    expect(done(await number.run({ value: -5 })).value).toBe(-5);
    await expect(number.run({ value: 2n ** 60n })).rejects.toEqual(code('ERR_OUT_OF_RANGE'));
  });
});

describe('clean-up', () => {
  // Each step writes a letter to a pipe: the letters show which steps ran, in order.
  const log = fs.openSync('/tmp', constants.O_TMPFILE | constants.O_RDWR | constants.O_APPEND, 0o600);
  const mark = (p: ProgramBuilder, name: string) => p.call('write', [log, Buffer.from(`${name} `), name.length + 1]);
  const marks = () => {
    const text = fs.readFileSync(`/proc/self/fd/${log}`, 'utf8');
    fs.ftruncateSync(log);
    return text.trim().split(' ');
  };
  afterAll(() => fs.closeSync(log));
  const program = new Program({ end: 'number' }, (p, { end }) => {
    p.finally(() => mark(p, 'first'));
    p.undo(() => mark(p, 'undone'));
    p.finish(end.equals(1));
    p.stop('stop', end.equals(2));
    p.fail('EIO', 'fail', end.equals(3));
    p.finally(() => {
      mark(p, 'second');
      p.call('mkdirat', [AT_FDCWD, path('nope/nope'), 0], { allow: 'ENOENT' });
      mark(p, 'third');
    });
    p.if(end.equals(4), () => p.call('mkdirat', [AT_FDCWD, path('nope/nope'), 0]));
  });

  it.each([
    [0, 'done', ['second', 'third', 'first']],
    [1, 'done', ['first']],
    [2, 'stop', ['undone', 'first']],
    [3, 'EIO', ['undone', 'first']],
    [4, 'ENOENT', ['second', 'third', 'undone', 'first']],
  ])('runs what the run has got to, the last first: end %i', async (end, outcome, expected) => {
    const result = await program.run({ end }).catch((error: ProgramError) => error);
    expect(result instanceof ProgramError ? result.code : (result.stoppedAt ?? 'done')).toBe(outcome);
    expect(marks()).toEqual(expected);
  });

  it('fails a run that was done when one of its calls fails, and goes on with the others', async () => {
    const failing = new Program({ fail: 'number' }, (p, { fail }) => {
      const fd = p.call('openat', [AT_FDCWD, path('hello'), O_READ]);
      p.finally(() => mark(p, 'late'));
      p.finally(() => p.call('unlinkat', [AT_FDCWD, path('nope'), 0], { as: 'clean' }));
      p.fail('EIO', 'early', fail.isPositive());
      return { fd };
    });
    await expect(failing.run({ fail: 0 })).rejects.toMatchObject({ code: 'ENOENT', step: 'clean' });
    expect(marks()).toEqual(['late']);
    await expect(failing.run({ fail: 1 })).rejects.toMatchObject({ code: 'EIO', step: 'early' });
    expect(marks()).toEqual(['late']);
    expect(openFiles()).toEqual([]);
  });

  it('closes a descriptor once: closed by the program, handed over, opened again in a loop', async () => {
    const calls = new Program({}, (p) => {
      const kept = p.descriptor();
      p.repeat(20, () => {
        const fd = p.call('openat', [AT_FDCWD, path('hello'), O_READ]);
        const copy = p.call('dup', [fd], { into: kept });
        p.close(fd);
        p.close(fd); // holds nothing any more
        p.call('openat', [AT_FDCWD, path('hello'), O_READ]);
        p.call('close', [copy]);
      });
      const fd = p.call('openat', [AT_FDCWD, path('hello'), O_READ]);
      p.move(kept, fd);
      return { kept, fd };
    });
    const { kept, fd } = done(await calls.run({}));
    expect(fd).toBe(-1);
    expect(openFiles()).toEqual([String(kept)]);
    fs.closeSync(kept);
  });
});

describe('aborting a run', () => {
  const blocking = new Program({ path: 'text', fifo: 'number' }, (p, { path, fifo }) => {
    const first = p.call('openat', [AT_FDCWD, path, O_READ]);
    const second = p.call('dup', [first]);
    p.call('read', [fifo, p.bytes(1), 1]);
    return { second };
  });

  it('rejects by signal and time-out, interrupts the call and closes everything', async () => {
    for (let round = 0; round < 30; round++) {
      const controller = new AbortController();
      const run = blocking.run({ path: path('hello'), fifo: fifoEnd }, { signal: controller.signal });
      if (round % 3 === 1) await until(() => openFiles().length === 2);
      if (round % 3 === 2) await Promise.resolve();
      controller.abort('enough');
      await expect(run).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' });
      await until(() => openFiles().length === 0);
    }
    await expect(blocking.run({ path: path('hello'), fifo: fifoEnd }, { timeout: 5 })).rejects.toEqual(
      code('ETIMEDOUT'),
    );
    await until(() => openFiles().length === 0);
    await expect(
      blocking.run({ path: path('hello'), fifo: fifoEnd }, { signal: AbortSignal.abort() }),
    ).rejects.toBeInstanceOf(AbortError);
  });

  it('closes what a run hands out to nobody', async () => {
    const open = new Program({ path: 'text' }, (p, { path }) => ({ fd: p.call('openat', [AT_FDCWD, path, O_READ]) }));
    for (let round = 0; round < 200; round++) {
      const controller = new AbortController();
      const run = open.run({ path: path('hello') }, { signal: controller.signal });
      // Often it is complete and not looked at yet: the loop does not turn here.
      await Promise.resolve();
      const end = process.hrtime.bigint() + BigInt((round % 20) * 10_000);
      while (process.hrtime.bigint() < end);
      controller.abort();
      await expect(run).rejects.toBeInstanceOf(AbortError);
    }
    await until(() => openFiles().length === 0);
  });

  it('aborts all runs of a batch together', async () => {
    const inputs = Array.from({ length: 300 }, () => ({ path: path('hello'), fifo: fifoEnd }));
    const controller = new AbortController();
    const all = blocking.runMany(inputs, { signal: controller.signal });
    await until(() => openFiles().length > 4);
    controller.abort();
    await expect(all).rejects.toBeInstanceOf(AbortError);
    await expect(blocking.runMany(inputs, { timeout: 20 })).rejects.toEqual(code('ETIMEDOUT'));
    await until(() => openFiles().length === 0);
  });

  it('leaves nothing behind when its Worker is terminated', async () => {
    for (let round = 0; round < 5; round++) {
      const worker = startWorker('runBlocking', [{ path: path('hello'), fifo: fifoEnd }]);
      await new Promise((next) => worker.once('message', next));
      if (round % 2 === 0) await until(() => openFiles().length > 0);
      await worker.terminate();
      await expect.poll(openFiles, { timeout: 10_000 }).toEqual([]);
    }
  });
});

describe('many runs', () => {
  it('give results in the order of their inputs, errors in their places', async () => {
    const names = Array.from({ length: 5000 }, (_, i) => (i % 7 === 0 ? 'nope' : i % 11 === 0 ? '.' : 'hello'));
    const results = await readSmall.runMany(names.map((name) => ({ path: path(name) })));
    const told = results.map((result) => (result instanceof Error ? result.code : done(result).content.toString()));
    expect(told).toEqual(names.map((name) => (name === 'nope' ? 'ENOENT' : name === '.' ? 'EISDIR' : 'hello, world')));
    expect(await readSmall.runMany([])).toEqual([]);
    expect(openFiles()).toEqual([]);
  });

  it('keep their memory in bounds', async () => {
    const large = new Program({ path: 'text' }, (p, { path }) => {
      const fd = p.call('openat', [AT_FDCWD, path, O_READ]);
      const content = p.bytes(4 << 20);
      const zeros = p.call('openat', [AT_FDCWD, '/dev/zero', O_READ]);
      p.call('read', [zeros, content, content.byteLength]); // touches all of it
      return { length: p.call('read', [fd, content, content.byteLength]) };
    });
    const before = process.memoryUsage.rss();
    const results = await large.runMany(Array.from({ length: 200 }, () => ({ path: path('hello') })));
    expect(results.every((result) => done(result).length === 12)).toBe(true);
    expect(process.memoryUsage.rss() - before).toBeLessThan(300 << 20); // 800 MiB without a bound
  }, 60_000);
});

describe('pairs', () => {
  const { O_NONBLOCK, AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC } = constants;
  /** Descriptors of pipes and sockets. */
  const ends = () =>
    fs.readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return /^(pipe|socket):/.test(fs.readlinkSync(`/proc/self/fd/${fd}`));
      } catch {
        return false;
      }
    }).length;

  it('are two descriptors of the program, used, closed and handed out one by one', async () => {
    const before = ends();
    const through = new Program({ data: 'data' }, (p, { data }) => {
      const [readEnd, writeEnd] = p.pair('pipe2', [O_CLOEXEC]);
      const [left, right] = p.pair('socketpair', [AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0], { as: 'sockets' });
      p.call('write', [writeEnd, data, data.byteLength]);
      p.close(writeEnd);
      const carried = p.bytes(64);
      const first = p.call('read', [readEnd, carried, 64]);
      p.call('write', [left, carried, first]);
      const content = p.bytes(64);
      const length = p.call('read', [right, content, 64]);
      return { content: content.first(length), right, isOdd: readEnd };
    });
    const { content, right, isOdd } = done(await through.run({ data: Buffer.from('through both') }));
    expect(content.toString()).toBe('through both');
    expect(isOdd).toBeGreaterThan(2);
    expect(ends()).toBe(before + 2);
    fs.closeSync(right);
    fs.closeSync(isOdd);
    expect(ends()).toBe(before);
  });

  it('are closed when the run stops, fails or goes round, and when the call fails', async () => {
    const before = ends();
    const loop = new Program({ rounds: 'number', end: 'number', flags: 'number' }, (p, { rounds, end, flags }) => {
      const kept = p.descriptor();
      p.repeat(rounds, () => {
        const [readEnd, writeEnd] = p.pair('pipe2', [flags], { allow: 'EINVAL' });
        p.if(writeEnd.isNonNegative(), () => {
          p.call('write', [writeEnd, Buffer.from('x'), 1]);
          p.move(kept, readEnd);
        });
      });
      p.stop('stop', end.equals(1));
      p.fail('EIO', 'fail', end.equals(2));
      return { kept };
    });
    for (const end of [1, 2]) {
      await loop.run({ rounds: 30, end, flags: O_CLOEXEC }).catch(() => {});
      expect(ends()).toBe(before);
    }
    const { kept } = done(await loop.run({ rounds: 30, end: 0, flags: O_CLOEXEC | O_NONBLOCK }));
    expect(ends()).toBe(before + 1);
    expect(fs.readSync(kept, Buffer.alloc(2))).toBe(1);
    fs.closeSync(kept);
    expect(done(await loop.run({ rounds: 3, end: 0, flags: -1 }))).toEqual({ kept: -1 });
    const failing = new Program({}, (p) => ({ ends: p.pair('pipe2', [-1], { as: 'make' })[0] }));
    await expect(failing.run({})).rejects.toMatchObject({ code: 'EINVAL', step: 'make', syscall: 'pipe2' });
    expect(ends()).toBe(before);
  });

  it('are closed wherever the run is aborted', async () => {
    const before = ends();
    const stuck = new Program({}, (p) => {
      const pairs = Array.from({ length: 5 }, () => p.pair('pipe2', [O_CLOEXEC]));
      p.call('read', [pairs[0]![0], p.bytes(1), 1]);
      return { last: pairs[4]![0], first: pairs[0]![1] };
    });
    for (let round = 0; round < 200; round++) {
      const controller = new AbortController();
      const run = stuck.run({}, { signal: controller.signal });
      await Promise.resolve();
      const end = process.hrtime.bigint() + BigInt((round % 40) * 2000);
      while (process.hrtime.bigint() < end);
      controller.abort();
      await expect(run).rejects.toBeInstanceOf(AbortError);
    }
    await until(() => ends() === before);
  });

  it('refuse what is none', () => {
    const build = (act: (p: ProgramBuilder) => void) => () =>
      new Program({}, (p) => {
        act(p);
      });
    expect(build((p) => p.pair('pipe' as never, [0]))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.pair('pipe2', [] as never))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.pair('pipe2', ['x'] as never))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.pair('pipe2', [0], 5 as never))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.call('recvmsg', [0, p.bytes(56), 0]))).toThrow(code('ERR_INVALID_ARG_VALUE'));
  });
});

describe('faults', () => {
  it('at every call leave no descriptor', async () => {
    // The n-th call fails because its argument says so.
    const steps = 6;
    const program = new Program({ bad: 'number', path: 'text' }, (p, { bad, path }) => {
      const flags = p.variable(0);
      for (let i = 0; i < steps; i++) {
        p.set(flags, O_READ);
        p.if(bad.equals(i), () => p.set(flags, O_READ | O_DIRECTORY));
        p.call('openat', [AT_FDCWD, path, flags], { as: `open ${i}` });
      }
    });
    for (let bad = 0; bad < steps; bad++) {
      await expect(program.run({ bad, path: path('hello') })).rejects.toMatchObject({
        code: 'ENOTDIR',
        step: `open ${bad}`,
      });
      expect(openFiles()).toEqual([]);
    }
    expect((await program.run({ bad: -1, path: path('hello') })).done).toBe(true);
    expect(openFiles()).toEqual([]);
  });
});

describe('runMany of very many inputs', () => {
  it('lets the event loop go on while they are checked, started and reported', { timeout: 120_000 }, async () => {
    const program = new Program({ number: 'number' }, (p, { number }) => {
      const sum = p.variable();
      p.set(sum, number);
      return { sum };
    });
    const kMany = 200_000;
    let turns = 0;
    let going = true;
    const turn = () => {
      turns++;
      if (going) setImmediate(turn);
    };
    setImmediate(turn);
    let taken = 0;
    function* inputs() {
      for (; taken < kMany; taken++) yield { number: taken };
    }
    const promise = program.runMany(inputs());
    expect(taken).toBeLessThan(kMany); // not all in the turn of the call
    const results = await promise;
    going = false;
    expect(results.length).toBe(kMany);
    expect(results.every((result, i) => 'values' in result && result.values?.sum === i)).toBe(true);
    expect(turns).toBeGreaterThan(20);
  });

  it('is aborted while they are being checked', async () => {
    const program = new Program({ number: 'number' }, () => {});
    const controller = new AbortController();
    function* endless() {
      for (let number = 0; ; number++) yield { number };
    }
    setImmediate(() => controller.abort(new Error('enough')));
    await expect(program.runMany(endless(), { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    });
    await expect(program.runMany(endless(), { timeout: 20 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });
});
