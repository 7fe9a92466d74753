// acall/asys: the fibrils' pair of calls, one set per environment.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arena, addressOf, constants, counters, SYS } from 'acall';
import { type AsysCompletion, asys_await_completion, asys_submit } from 'acall/asys';
import { afterEach, expect, it } from 'vitest';
import { programsOf } from '../support/programs';

const { startWorker } = programsOf<typeof import('./programs/asys.cjs')>(join(__dirname, 'programs', 'asys.cjs'));

const { EBADF, EDEADLK, EFAULT, EINVAL, ENOSYS, EPERM } = constants;
const arena = new Arena();

const awaited = (): AsysCompletion => {
  const result = asys_await_completion();
  if (typeof result === 'number') throw new Error(`no result: ${result}`);
  return result;
};

afterEach(() => {
  expect(asys_await_completion()).toBe(-EDEADLK); // no test leaves a call behind
});

it('runs what does not block at once, and gives one result per call', () => {
  const before = counters();
  const inputs = Array.from({ length: 1000 }, (_, i) => ({ syscall_nr: SYS.getppid as number, cookie: BigInt(i + 1) }));
  expect(asys_submit(inputs)).toBe(1000); // more than the ring has slots
  expect(counters().inlineHits - before.inlineHits).toBe(1000);
  for (let i = 0; i < 1000; i++) {
    expect(awaited()).toEqual({ return_code: BigInt(process.ppid), cookie: BigInt(i + 1) });
  }
});

it('gives results in the order of completion, errors as -errno', () => {
  const folder = mkdtempSync(join(tmpdir(), 'acall-asys-'));
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const fd = openSync(fifo, 'r+');
  try {
    const bytes = arena.alloc(8);
    expect(
      asys_submit([
        { syscall_nr: SYS.read, cookie: 1n, args: [fd, addressOf(bytes), 8] },
        { syscall_nr: SYS.close, cookie: 2n, args: [-1] },
        { syscall_nr: 0x7ffffff, cookie: 2n ** 64n - 1n },
      ]),
    ).toBe(3);
    const quick = [awaited(), awaited()].sort((a, b) => (a.cookie < b.cookie ? -1 : 1));
    expect(quick).toEqual([
      { return_code: BigInt(-EBADF), cookie: 2n },
      { return_code: BigInt(-ENOSYS), cookie: 2n ** 64n - 1n },
    ]);
    writeSync(fd, 'hello');
    expect(awaited()).toEqual({ return_code: 5n, cookie: 1n });
    expect(Buffer.from(bytes.subarray(0, 5)).toString()).toBe('hello');
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

it('stops at the first bad entry', () => {
  const good = { syscall_nr: SYS.getpid, cookie: 7n };
  expect(asys_submit([])).toBe(0);
  expect(asys_submit([good, good], 0)).toBe(0);
  expect(asys_submit([{ ...good, cookie: 0n }])).toBe(-EINVAL);
  expect(asys_submit([{ syscall_nr: SYS.exit_group, cookie: 1n, args: [1] }, good])).toBe(-EPERM);
  expect(asys_submit([good, { syscall_nr: SYS.pipe2, cookie: 1n, args: [4096n, 0] }, good])).toBe(1);
  expect(asys_submit([{ syscall_nr: SYS.pipe2, cookie: 1n, args: [4096n, 0] }])).toBe(-EFAULT);
  expect(awaited()).toEqual({ return_code: BigInt(process.pid), cookie: 7n });
});

it('throws for what is no input', () => {
  const code = (text: string) => expect.objectContaining({ code: text });
  const good = { syscall_nr: SYS.getpid, cookie: 7n };
  for (const inputs of [undefined, 1, good]) {
    expect(() => asys_submit(inputs as never)).toThrow(code('ERR_INVALID_ARG_TYPE'));
  }
  expect(() => asys_submit([good], 2)).toThrow(code('ERR_OUT_OF_RANGE'));
  expect(() => asys_submit([{ ...good, syscall_nr: -1 }])).toThrow(code('ERR_OUT_OF_RANGE'));
  expect(() => asys_submit([{ ...good, cookie: 7 as never }])).toThrow(code('ERR_INVALID_ARG_TYPE'));
  expect(() => asys_submit([{ ...good, args: ['x' as never] }])).toThrow(code('ERR_INVALID_ARG_TYPE'));
  expect(() => asys_submit([{ ...good, args: [0.5] }])).toThrow(code('ERR_OUT_OF_RANGE'));
  expect(() => asys_submit([{ ...good, args: [1, 2, 3, 4, 5, 6, 7] }])).toThrow(code('ERR_INVALID_ARG_VALUE'));
});

it('has a set of its own in each Worker, and a Worker that waits can be terminated', async () => {
  expect(asys_submit([{ syscall_nr: SYS.getpid, cookie: 1n }])).toBe(1);
  const worker = startWorker('waitForEver', []);
  const first = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  expect(first).toBe(-EDEADLK);
  expect(await worker.terminate()).toBe(1);
  expect(awaited()).toEqual({ return_code: BigInt(process.pid), cookie: 1n });
});
