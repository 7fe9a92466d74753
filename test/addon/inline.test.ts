// Inline calls: their results equal those of the pool, the event loop goes on turning, and abort works as with other calls.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { counters, fstat, lstat, SyscallError, stat, syscall } from 'acall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';

const { answerOf, startWorker } = programsOf<typeof import('./programs/inline.cjs')>(
  join(__dirname, 'programs', 'inline.cjs'),
);

let root: string;
const inRoot = (name: string) => join(root, name);

const awaited = async (f: () => Promise<unknown>) => f().catch((error) => describeError(error));
const describeError = (error: NodeJS.ErrnoException & { dest?: string }) => ({
  name: error.name,
  message: error.message,
  code: error.code,
  errno: error.errno,
  syscall: error.syscall,
  path: error.path,
});

/** Hits of one call. */
async function hitsOf(f: () => Promise<unknown>): Promise<number> {
  const before = counters().inlineHits;
  await f().catch(() => {});
  return counters().inlineHits - before;
}

/** A pool thread reads the mounts after the first stat; until then all stats go to the pool. */
async function knowMounts(): Promise<void> {
  while ((await hitsOf(() => stat(root))) === 0) await new Promise(setImmediate);
}

beforeAll(async () => {
  root = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'acall-inline-')));
  fs.writeFileSync(inRoot('file'), 'hello');
  fs.mkdirSync(inRoot('folder/below'), { recursive: true });
  fs.writeFileSync(inRoot('folder/inner'), Buffer.alloc(5000));
  for (const [target, name] of [
    ['file', 'to-file'],
    ['folder', 'to-folder'],
    ['nowhere', 'dangling'],
    ['loop', 'loop'],
    ['/proc/self/status', 'to-proc'],
    ['folder/below/../inner', 'through'],
  ]) {
    fs.symlinkSync(target!, inRoot(name!));
  }
  let target = 'file';
  for (let i = 1; i <= 42; i++) fs.symlinkSync(target, inRoot((target = `chain-${i}`)));
  spawnSync('mkfifo', [inRoot('fifo')]);
  await knowMounts();
});

afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

describe('stat and lstat, run inline, equal node:fs', () => {
  const tails = ['', '/', '/.', '/..', '/x', '//'];
  const names = [
    'file',
    'folder',
    'to-file',
    'to-folder',
    'dangling',
    'loop',
    'to-proc',
    'through',
    'missing',
    'fifo',
    'chain-40',
    'chain-41',
  ];
  const paths = [
    ...names.flatMap((name) => tails.map((tail) => () => inRoot(name) + tail)),
    () => inRoot('n'.repeat(255)),
    () => inRoot('n'.repeat(256)),
    () => `/${'x/'.repeat(2046)}xx`,
    () => `/${'x/'.repeat(2047)}xx`,
    () => inRoot('ünï-\u{1f600}'),
    () => `${inRoot('lone')}\ud800`,
    ...[
      '',
      '.',
      '..',
      '/',
      '//',
      '/dev/null',
      '/dev/stdin',
      '/proc',
      '/proc/self',
      '/proc/self/exe',
      '/proc/self/cwd/',
      '/sys',
    ].map((path) => () => path),
  ];

  it('in every field and every error, on nasty paths', async () => {
    const before = counters().inlineHits;
    for (const path of paths) {
      for (const [ours, nodes] of [
        [stat, fs.promises.stat],
        [lstat, fs.promises.lstat],
      ] as const) {
        for (let round = 0; round < 2; round++) {
          // /proc changes under our eyes: node:fs before and after must agree for the comparison to mean something.
          for (;;) {
            const one = await awaited(() => nodes(path()));
            const mine = await awaited(() => ours(path()));
            const two = await awaited(() => nodes(path()));
            if (JSON.stringify(one) !== JSON.stringify(two)) continue;
            expect(mine).toEqual(two);
            break;
          }
        }
      }
    }
    expect(counters().inlineHits - before).toBeGreaterThan(paths.length);
  });

  it('with bigints, and as this very class', async () => {
    const [mine, nodes] = [await stat(inRoot('file')), fs.statSync(inRoot('file'))];
    expect(Object.keys(mine)).toEqual(Object.keys(nodes));
    expect(Object.getPrototypeOf(mine)).toBe(Object.getPrototypeOf(nodes));
    expect(await hitsOf(() => stat(inRoot('file'), { bigint: true }))).toBe(1);
    expect(await stat(inRoot('file'), { bigint: true })).toEqual(fs.statSync(inRoot('file'), { bigint: true }));
    const fd = fs.openSync(inRoot('file'), 'r');
    expect(await hitsOf(() => fstat(fd))).toBe(1);
    expect(await fstat(fd)).toEqual(fs.fstatSync(fd));
    fs.closeSync(fd);
  });

  it('while the file changes', async () => {
    const fd = fs.openSync(inRoot('growing'), 'w');
    for (let size = 1; size <= 500; size++) {
      fs.writeSync(fd, 'x');
      expect((await stat(inRoot('growing'))).size).toBe(size);
    }
    fs.closeSync(fd);
    for (let i = 0; i < 100; i++) {
      fs.renameSync(inRoot('growing'), inRoot('moved'));
      expect(await awaited(() => stat(inRoot('growing')))).toMatchObject({ code: 'ENOENT' });
      fs.renameSync(inRoot('moved'), inRoot('growing'));
      expect((await stat(inRoot('growing'))).size).toBe(500);
    }
  });

  it('and leave what is not known to be local to the pool', async () => {
    const before = counters().inlineMisses;
    expect(await hitsOf(() => stat('/proc/self/status'))).toBe(0);
    expect(counters().inlineMisses).toBeGreaterThan(before);
  });

  it('in a Worker as well', async () => {
    const worker = startWorker('statInWorker', ['/etc']);
    const { hits, ino } = await new Promise<{ hits: number; ino: number }>((resolve, reject) =>
      worker.once('message', resolve).once('error', reject),
    );
    expect(hits).toBeGreaterThan(100);
    expect(ino).toBe(fs.statSync('/etc').ino);
  });
});

describe('the event loop', () => {
  const endless = 1_000_000;

  it.each([
    ['stats', () => stat(inRoot('file'))],
    ['stats with options', () => stat(inRoot('file'), { signal: new AbortController().signal })],
    ['calls', () => syscall('getppid')],
    ['failures', () => stat(inRoot('missing')).catch(() => {})],
  ] as const)('turns while %s are awaited one after the other', async (_, call) => {
    let turned = false;
    setTimeout(() => setImmediate(() => (turned = true)), 0);
    let done = 0;
    while (!turned && done < endless) {
      await call();
      done++;
    }
    expect(turned).toBe(true);
  });

  it('turns while many chains of them run side by side', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const chain = async () => {
      for (let i = 0; turns < 5 && i < endless; i++) await syscall('getpid');
    };
    await Promise.all(Array.from({ length: 30 }, chain));
    clearInterval(timer);
    expect(turns).toBeGreaterThanOrEqual(5);
  });

  it('makes a bounded part of a burst itself when the pool is far behind', async () => {
    const fifo = inRoot('blocks');
    spawnSync('mkfifo', [fifo]);
    const { hits, queued, different } = await answerOf('burst', [fifo, inRoot('file')], {
      env: { ACALL_POOL_MAX: '1' },
    });
    expect(hits).toBeGreaterThan(10_000);
    expect(hits).toBeLessThan(20_000);
    expect(queued).toBeGreaterThan(20_000);
    expect(different).toBe(1);
  });

  it('hears others between two of them', async () => {
    const server = createServer((socket) => socket.end('x')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    let heard = false;
    const client = (await import('node:net')).connect(port, '127.0.0.1').on('data', () => (heard = true));
    for (let i = 0; !heard && i < endless; i++) await stat(inRoot('file'));
    expect(heard).toBe(true);
    client.destroy();
    server.close();
  });
});

describe('abort', () => {
  it('in the tick of the call wins, and the call never runs', async () => {
    const controller = new AbortController();
    const before = counters().submitted;
    const promise = stat(inRoot('file'), { signal: controller.signal });
    const call = syscall('getpid', [], { signal: controller.signal });
    controller.abort();
    await expect(promise).rejects.toMatchObject({ name: 'AbortError' });
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    expect(counters().submitted).toBe(before);
  });

  it('of one that waits for the inline budget of the next turn', async () => {
    const others = Promise.all(Array.from({ length: 100 }, () => stat(inRoot('file')))); // this turn's budget is spent
    const controller = new AbortController();
    const promise = stat(inRoot('file'), { signal: controller.signal });
    await Promise.resolve();
    await Promise.resolve();
    controller.abort(new Error('why'));
    await expect(promise).rejects.toMatchObject({ name: 'AbortError' });
    expect((await others).length).toBe(100);
    expect((await stat(inRoot('file'))).size).toBe(5);
  });
});

describe('calls', () => {
  it('on files and pipes are left to a thread, also where all is in memory', async () => {
    const fd = fs.openSync(inRoot('folder/inner'), 'r');
    const buffer = Buffer.alloc(8192, 1);
    fs.readSync(fd, buffer, 0, 8192, 0);
    buffer.fill(1);
    expect(await hitsOf(() => syscall('pread64', [fd, buffer, buffer.length, 0]))).toBe(0);
    expect(buffer.subarray(0, 5000)).toEqual(Buffer.alloc(5000));
    expect(buffer.subarray(5000)).toEqual(Buffer.alloc(3192, 1));
    expect(await syscall('pread64', [fd, buffer, 100, 4990])).toBe(10);
    expect(await syscall('pread64', [fd, buffer, 100, 6000])).toBe(0);
    expect(await hitsOf(() => syscall('lseek', [fd, 0, 1]))).toBe(0);
    fs.closeSync(fd);
  });

  it('wait on a thread for what is not', async () => {
    const ends = new Int32Array(2);
    await syscall('pipe2', [ends, 0]);
    const [reader, writer] = ends as unknown as [number, number];
    const buffer = Buffer.alloc(16);
    const read = syscall('read', [reader, buffer, 16]);
    await stat(inRoot('file'));
    fs.writeSync(writer, 'abc');
    expect(await read).toBe(3);
    expect(buffer.toString('utf8', 0, 3)).toBe('abc');
    const size = 300_000;
    const written = syscall('write', [writer, Buffer.alloc(size, 7), size]);
    let got = 0;
    while (got < size) got += fs.readSync(reader, Buffer.alloc(65536));
    expect(await written).toBe(size);
    fs.closeSync(reader);
    fs.closeSync(writer);
  });

  it('fail as ever', async () => {
    for (const f of [() => syscall('read', [999_999, Buffer.alloc(1), 1]), () => syscall('fcntl', [999_999, 1, 0])]) {
      await expect(f()).rejects.toBeInstanceOf(SyscallError);
      await expect(f()).rejects.toMatchObject({ code: 'EBADF' });
    }
  });

  it('a hundred thousand in one burst run partly inline, partly on threads, and all are right', async () => {
    const before = counters();
    const all = await Promise.all(Array.from({ length: 100_000 }, () => syscall('getppid')));
    expect(all.every((pid) => pid === process.ppid)).toBe(true);
    const hits = counters().inlineHits - before.inlineHits;
    expect(hits).toBeGreaterThan(1000);
    expect(hits).toBeLessThan(50_000);
  });
});
