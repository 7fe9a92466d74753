// Abort and time-out of calls that block: the promise rejects in the turn that learns of it, the kernel lets go, and nothing
// is left behind. Calls that only a hung file system blocks are in hung-disk.test.ts.
import { execFileSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CommonOptions,
  constants,
  copyFile,
  counters,
  flock,
  open,
  readFile,
  readFiles,
  stat,
  syscall,
  writeFile,
} from 'acall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { slow } from '../support/programs';
import { descriptors, makePipe, nextTurn, quiet, untilBlocked } from '../support/quiet';

const folder = fs.mkdtempSync(join(tmpdir(), 'acall-abort-'));
const fifo = join(folder, 'fifo');
const held = join(folder, 'held');
let holder: number;
let descriptorsAtRest: number;
let emptyPipe: [number, number];
let fullPipe: [number, number];

beforeAll(async () => {
  execFileSync('mkfifo', [fifo]);
  fs.writeFileSync(held, '');
  holder = fs.openSync(held, 'r');
  await syscall('flock', [holder, constants.LOCK_EX]);
  emptyPipe = await makePipe();
  fullPipe = await makePipe();
  const size = await syscall('fcntl', [fullPipe[1], constants.F_SETPIPE_SZ, 4096]);
  fs.writeSync(fullPipe[1], Buffer.alloc(size));
  await quiet();
  descriptorsAtRest = descriptors();
});
afterAll(() => {
  for (const fd of [holder, ...emptyPipe, ...fullPipe]) fs.closeSync(fd);
  fs.rmSync(folder, { recursive: true, force: true });
});

/** A lock that is granted late is released late: through a duplicate of its file, which takes some turns of the loop. */
async function nothingLeft(): Promise<void> {
  await quiet();
  for (let turns = 0; turns < 1000 && descriptors() !== descriptorsAtRest; turns++) await nextTurn();
  await quiet();
  expect(descriptors()).toBe(descriptorsAtRest);
}

interface Blocking {
  /** The name in the error of a time-out. */
  name: string;
  call(options: CommonOptions): Promise<unknown>;
}

/** Opens the held file, asks for its lock, and closes it whatever comes. */
async function lockHeld(ask: (file: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
  const file = await open(held, 'r');
  try {
    await ask(file);
  } finally {
    await file.close();
  }
}

const blocking: Record<string, Blocking> = {
  'syscall in the pool': { name: 'read', call: (o) => syscall('read', [emptyPipe[0], Buffer.alloc(8), 8], o) },
  'syscall on its own thread': {
    name: 'read',
    call: (o) => syscall('read', [emptyPipe[0], Buffer.alloc(8), 8], { ...o, thread: 'own' }),
  },
  'a write into a full pipe': {
    name: 'write',
    call: (o) => syscall('write', [fullPipe[1], Buffer.alloc(8192), 8192], o),
  },
  'open of a FIFO by syscall': {
    name: 'openat',
    call: (o) => syscall('openat', [constants.AT_FDCWD, fifo, constants.O_RDONLY], o),
  },
  open: { name: 'open', call: (o) => open(fifo, 'r', 0o666, o) },
  readFile: { name: 'open', call: (o) => readFile(fifo, o) },
  'FileHandle.read': {
    name: 'read',
    call: async (o) => {
      const file = await open(fifo, 'r+'); // a reader that is a writer too: it does not block, and nothing ever comes
      try {
        await file.read(Buffer.alloc(8), o);
      } finally {
        await file.close();
      }
    },
  },
  readFiles: { name: 'open', call: async (o) => await readFiles([fifo, held], o) },
  writeFile: { name: 'open', call: (o) => writeFile(fifo, 'text', { ...o, flag: 'w' }) },
  copyFile: { name: 'copyfile', call: (o) => copyFile(fifo, join(folder, 'copy'), o) },
  flock: { name: 'flock', call: (o) => lockHeld((file) => flock(file, 'exclusive', o)) },
  'FileHandle.lock': { name: 'flock', call: (o) => lockHeld((file) => file.lock('exclusive', o)) },
  'flock by syscall': {
    name: 'flock',
    call: (o) => lockHeld(async (f) => void (await syscall('flock', [f.fd, constants.LOCK_EX], o))),
  },
};

describe.each(Object.entries(blocking))('%s', (_, { name, call }) => {
  it('rejects in the turn of the abort, and leaves nothing', async () => {
    await quiet();
    const controller = new AbortController();
    const reason = new Error('enough');
    let error: unknown;
    const promise = call({ signal: controller.signal }).catch((rejection) => (error = rejection));
    await untilBlocked(1);
    controller.abort(reason);
    const begun = performance.now();
    await promise;
    expect(performance.now() - begun).toBeLessThan(500 * slow);
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
    await nothingLeft();
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('rejects with ETIMEDOUT when it times out', async () => {
    await quiet();
    const begun = performance.now();
    const error = await call({ timeout: 30 }).catch((rejection) => rejection);
    const took = performance.now() - begun;
    expect(error).toMatchObject({ code: 'ETIMEDOUT', errno: -110, syscall: name });
    expect(took).toBeGreaterThan(25);
    expect(took).toBeLessThan(30 + 500 * slow);
    await nothingLeft();
  });

  it('does not run with a signal that is aborted already', async () => {
    await quiet();
    const { cancelled } = counters();
    const error = await call({ signal: AbortSignal.abort('early') }).catch((rejection) => rejection);
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'early' });
    expect(counters().cancelled).toBe(cancelled);
  });

  it('rejects by AbortSignal.any and AbortSignal.timeout', async () => {
    const error = await call({
      signal: AbortSignal.any([new AbortController().signal, AbortSignal.timeout(20)]),
    }).catch((rejection) => rejection);
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: { name: 'TimeoutError' } });
    await quiet();
  });
});

describe('the promise of an aborted call', () => {
  it('is settled before the next turn of the loop, whatever the kernel does', async () => {
    const controller = new AbortController();
    let settled = 0;
    const count = 200;
    for (let i = 0; i < count; i++) {
      syscall('read', [emptyPipe[0], Buffer.alloc(8), 8], { signal: controller.signal }).catch(() => settled++);
    }
    await untilBlocked(count);
    controller.abort();
    await null;
    await null;
    expect(settled).toBe(count);
    await quiet();
  });

  it('never ran when the abort came in its tick', async () => {
    const names = ['pool', 'own', 'batched'].map((name) => join(folder, `never-${name}`));
    const controller = new AbortController();
    const { signal } = controller;
    const promises = [
      syscall('mkdirat', [constants.AT_FDCWD, names[0]!, 0o777], { signal }),
      syscall('mkdirat', [constants.AT_FDCWD, names[1]!, 0o777], { signal, thread: 'own' }),
      writeFile(names[2]!, 'text', { signal }),
      stat('/', { signal }),
    ];
    controller.abort();
    const ends = await Promise.allSettled(promises);
    expect(ends.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'rejected'));
    await quiet();
    expect(names.filter((name) => fs.existsSync(name))).toEqual([]);
  });

  it('leaves the buffers of the caller as they were', async () => {
    const [from, to] = await makePipe();
    for (let round = 0; round < 200; round++) {
      const buffer = Buffer.alloc(64, 0xaa);
      const controller = new AbortController();
      const promise = syscall('read', [from, buffer, 64], { signal: controller.signal });
      await null;
      await null;
      // The bytes may have been written and read before the abort or not. No turn of the loop lies between, so the buffer is unchanged.
      fs.writeSync(to, 'x'.repeat(64));
      if (round % 2 === 0)
        for (const end = performance.now() + 1000; counters().running > 0 && performance.now() < end; );
      controller.abort();
      expect(await promise.catch((error) => error.code)).toBe('ABORT_ERR');
      expect(buffer.every((byte) => byte === 0xaa)).toBe(true);
      await quiet();
      const drain = await open('/dev/null'); // bytes that were not read would disturb the next round
      await drain.close();
      await syscall('fcntl', [from, constants.F_SETFL, constants.O_NONBLOCK]);
      while ((await syscall('read', [from, Buffer.alloc(64), 64]).catch(() => 0)) > 0);
      await syscall('fcntl', [from, constants.F_SETFL, 0]);
    }
    fs.closeSync(from);
    fs.closeSync(to);
  });

  it('may be aborted from the completion of another', async () => {
    const controller = new AbortController();
    const blocked = syscall('read', [emptyPipe[0], Buffer.alloc(8), 8], { signal: controller.signal });
    await Promise.all([
      stat('/').then(() => controller.abort('by a completion')),
      expect(blocked).rejects.toMatchObject({ cause: 'by a completion' }),
    ]);
    await quiet();
  });
});
