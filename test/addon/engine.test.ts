import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type CommonOptions, constants, counters, fstat, lstat, stat, statMany, syscall } from 'acall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fs.mkdtempSync(join(tmpdir(), 'acall-engine-'));
const inRoot = (name: string) => join(root, name);
const oddName = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe, 0x41])]);

beforeAll(() => {
  fs.mkdirSync(inRoot('folder'));
  fs.writeFileSync(inRoot('file'), 'hello');
  fs.writeFileSync(inRoot('grüße 世界'), 'x');
  fs.writeFileSync(oddName, 'odd');
  fs.symlinkSync('file', inRoot('link'));
  fs.symlinkSync('nowhere', inRoot('dangling'));
  fs.symlinkSync('loop', inRoot('loop'));
  fs.symlinkSync('folder', inRoot('to-folder'));
  fs.utimesSync(inRoot('file'), -1.5, -86400.25);
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const paths: (string | Buffer | URL)[] = [
  ...[
    'file',
    'folder',
    'link',
    'dangling',
    'loop',
    'to-folder',
    'grüße 世界',
    'nope',
    'file/',
    'folder/',
    'folder/.',
    'file/below',
    'to-folder/',
    'link/',
  ].map(inRoot),
  inRoot('x'.repeat(256)),
  `/${'a/'.repeat(2100)}`,
  '',
  '.',
  '..',
  '/',
  '//',
  '/dev/null',
  '/dev/tty',
  '/proc/self/status',
  '/proc/self/exe',
  '/proc/1/cwd',
  oddName,
  Buffer.from(inRoot('file')),
  pathToFileURL(inRoot('grüße 世界')),
];

function outcome(run: () => unknown): unknown {
  try {
    return { value: run() };
  } catch (error) {
    return failure(error);
  }
}
async function awaited(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return { value: await run() };
  } catch (error) {
    return failure(error);
  }
}
function failure(error: unknown): unknown {
  const { message, code, errno, syscall: name, path } = error as NodeJS.ErrnoException;
  return { message, code, errno, syscall: name, path };
}

describe('stat, lstat, fstat', () => {
  it.each(paths.map((path) => [String(path).slice(0, 80), path] as const))(
    'equal node:fs for %s',
    async (_text, path) => {
      expect(await awaited(() => stat(path))).toEqual(outcome(() => fs.statSync(path)));
      expect(await awaited(() => lstat(path))).toEqual(outcome(() => fs.lstatSync(path)));
      expect(await awaited(() => stat(path, { bigint: true }))).toEqual(
        outcome(() => fs.statSync(path, { bigint: true })),
      );
      expect(await awaited(() => lstat(path, { bigint: true }))).toEqual(
        outcome(() => fs.lstatSync(path, { bigint: true })),
      );
    },
  );

  it('give Stats of node:fs, key by key', async () => {
    const ours = await stat(inRoot('file'));
    const nodes = fs.statSync(inRoot('file'));
    expect(ours).toBeInstanceOf(fs.Stats);
    expect(Object.keys(ours)).toEqual(Object.keys(nodes));
    expect(JSON.stringify(ours)).toBe(JSON.stringify(nodes));
    expect(ours.mtime).toEqual(nodes.mtime);
    expect(ours.isFile()).toBe(true);
  });

  it('in a burst too: dates are the same when looked at', async () => {
    const burst = await Promise.all(Array.from({ length: 1000 }, () => stat(inRoot('file'))));
    const nodes = fs.statSync(inRoot('file'));
    const last = burst.at(-1)!;
    expect(last).toBeInstanceOf(fs.Stats);
    for (const key of ['atime', 'mtime', 'ctime', 'birthtime', ...Object.keys(nodes)] as (keyof fs.Stats)[])
      expect(last[key]).toEqual(nodes[key]);
    expect(JSON.parse(JSON.stringify(last))).toEqual(JSON.parse(JSON.stringify(nodes)));
  });

  it('fstat equals node:fs', async () => {
    const fd = fs.openSync(inRoot('file'), 'r');
    expect(await fstat(fd)).toEqual(fs.fstatSync(fd));
    expect(await fstat(fd, { bigint: true })).toEqual(fs.fstatSync(fd, { bigint: true }));
    fs.closeSync(fd);
    expect(await awaited(() => fstat(1_000_000))).toEqual(outcome(() => fs.fstatSync(1_000_000)));
  });

  it.each([
    [() => stat(5 as never), 'ERR_INVALID_ARG_TYPE'],
    [() => stat('a\0b'), 'ERR_INVALID_ARG_VALUE'],
    [() => stat(Buffer.from('a\0b')), 'ERR_INVALID_ARG_VALUE'],
    [() => stat('/', { bigint: 1 as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => stat('/', 5 as never), 'ERR_INVALID_ARG_TYPE'],
    [() => stat('/', { timeout: -1 }), 'ERR_OUT_OF_RANGE'],
    [() => stat('/', { timeout: '1' as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => stat('/', { signal: {} as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => stat('/', { ref: 1 as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => fstat(-1), 'ERR_OUT_OF_RANGE'],
    [() => fstat(1.5), 'ERR_OUT_OF_RANGE'],
    [() => fstat('1' as never), 'ERR_INVALID_ARG_TYPE'],
  ])('reject bad input %#', async (run, code) => {
    await expect(run()).rejects.toMatchObject({ code });
  });
});

describe('syscall', () => {
  it('moves text in and bytes out', async () => {
    const fd = await syscall('openat', [constants.AT_FDCWD, inRoot('file'), constants.O_RDONLY]);
    const buffer = Buffer.alloc(16, '.');
    expect(await syscall('read', [fd, buffer, 16])).toBe(5);
    expect(buffer.toString()).toBe('hello...........');
    expect(await syscall('pread64', [fd, buffer.subarray(8), 3, 1])).toBe(3);
    expect(buffer.toString()).toBe('hello...ell.....');
    expect(await syscall('close', [fd])).toBe(0);
  });

  it('moves large buffers', async () => {
    const size = 3 << 20;
    const data = Buffer.alloc(size, 'abcdefg');
    const fd = await syscall('memfd_create', ['large', 0]);
    expect(await syscall('pwrite64', [fd, data, size, 0])).toBe(size);
    const back = Buffer.alloc(size);
    expect(await syscall('pread64', [fd, back, size, 0])).toBe(size);
    expect(back.equals(data)).toBe(true);
    await syscall('close', [fd]);
  });

  it('fills value-result arguments and structs', async () => {
    const fd = await syscall('socket', [constants.AF_UNIX, constants.SOCK_STREAM, 0]);
    const address = Buffer.alloc(110);
    const length = Int32Array.of(110);
    expect(await syscall('getsockname', [fd, address, length])).toBe(0);
    expect({ length: length[0], family: address.readUInt16LE(0) }).toEqual({ length: 2, family: constants.AF_UNIX });
    await syscall('close', [fd]);
    const name = Buffer.alloc(390);
    await syscall('uname', [name]);
    expect(name.toString('latin1', 0, 5)).toBe('Linux');
  });

  it('gives errors in the shape of Node, with paths', async () => {
    await expect(syscall('renameat2', [-100, inRoot('nope'), -100, inRoot('other'), 0])).rejects.toMatchObject({
      name: 'Error',
      code: 'ENOENT',
      errno: -2,
      syscall: 'renameat2',
      path: inRoot('nope'),
      dest: inRoot('other'),
      message: `ENOENT: no such file or directory, renameat2 '${inRoot('nope')}' -> '${inRoot('other')}'`,
    });
  });

  it('sets `refused` when acall and not the kernel refuses', async () => {
    await expect(syscall('exit_group', [0])).rejects.toMatchObject({ code: 'EPERM', refused: true });
    await expect(syscall('munmap', [0, 0])).rejects.toMatchObject({ code: 'EPERM', refused: true });
    await expect(syscall('read', [0, Buffer.alloc(4), 5])).rejects.toMatchObject({ code: 'EFAULT', refused: true });
    await expect(syscall('setns', [-1, 0])).rejects.toMatchObject({ code: 'EPERM', refused: true });
    await expect(syscall('setns', [-1, 0], { thread: 'own' })).rejects.toMatchObject({ code: 'EBADF' });
    await expect(syscall(5000)).rejects.toMatchObject({ code: 'ENOSYS' });
  });

  it('returns results above 2^53 as bigints only', async () => {
    expect(await syscall('getppid', [], { bigint: true })).toBe(BigInt(process.ppid));
    expect(await syscall('lseek', [-1, 0, 0], { bigint: true }).catch((error) => error.code)).toBe('EBADF');
  });

  it.each([
    [() => syscall('nope' as never), 'ERR_INVALID_ARG_VALUE'],
    [() => syscall(1.5), 'ERR_OUT_OF_RANGE'],
    [() => syscall({} as never), 'ERR_INVALID_ARG_TYPE'],
    [() => syscall('getppid', [1] as never), 'ERR_INVALID_ARG_VALUE'],
    [() => syscall('close', ['1'] as never), 'ERR_INVALID_ARG_TYPE'],
    [() => syscall('close', [1.5]), 'ERR_OUT_OF_RANGE'],
    [() => syscall('close', [2n ** 64n]), 'ERR_OUT_OF_RANGE'],
    [() => syscall('openat', [-100, 'a\0b', 0]), 'ERR_INVALID_ARG_VALUE'],
    [() => syscall('openat', [-100, {} as never, 0]), 'ERR_INVALID_ARG_TYPE'],
    [() => syscall('getppid', [], { thread: 'here' as never }), 'ERR_INVALID_ARG_VALUE'],
    [() => syscall('getppid', 'x' as never), 'ERR_INVALID_ARG_TYPE'],
  ])('rejects bad input %#', async (run, code) => {
    await expect(run()).rejects.toMatchObject({ code });
  });

  it('survives a buffer that is detached while the call runs', async () => {
    const ends = new Int32Array(2);
    await syscall('pipe2', [ends, 0]);
    const buffer = new ArrayBuffer(8);
    const reading = syscall('read', [ends[0]!, new Uint8Array(buffer), 8]);
    structuredClone(buffer, { transfer: [buffer] });
    await syscall('write', [ends[1]!, Buffer.from('12345678'), 8]);
    expect(await reading).toBe(8);
    await Promise.all([...ends].map((fd) => syscall('close', [fd])));
  });
});

describe('abort and time-out', () => {
  const blocked = async (options: CommonOptions) => {
    const ends = new Int32Array(2);
    await syscall('pipe2', [ends, 0]);
    const buffer = Buffer.alloc(4, '.');
    const result = await awaited(() => syscall('read', [ends[0]!, buffer, 4], options));
    await Promise.all([...ends].map((fd) => syscall('close', [fd])));
    return { result, buffer: buffer.toString() };
  };

  it('reject the promise and leave the buffer alone', async () => {
    expect(await blocked({ timeout: 5 })).toMatchObject({
      result: { code: 'ETIMEDOUT', errno: -110, syscall: 'read' },
      buffer: '....',
    });
    expect(await blocked({ signal: AbortSignal.timeout(5) })).toMatchObject({
      result: { code: 'ABORT_ERR' },
      buffer: '....',
    });
    expect(await blocked({ signal: AbortSignal.any([AbortSignal.timeout(5)]) })).toMatchObject({
      result: { code: 'ABORT_ERR' },
    });
  });

  it('never start what is aborted in its tick, or before', async () => {
    const { submitted } = counters();
    const controller = new AbortController();
    const pending = [
      syscall('mkdirat', [-100, inRoot('never'), 0o777], { signal: controller.signal }),
      stat('/', { signal: controller.signal }),
      stat('/', { signal: AbortSignal.abort() }),
    ];
    controller.abort();
    for (const { status } of await Promise.allSettled(pending)) expect(status).toBe('rejected');
    expect(counters().submitted).toBe(submitted);
    expect(fs.existsSync(inRoot('never'))).toBe(false);
  });

  it('serve thousands of calls on one signal without a warning', async () => {
    const warnings: unknown[] = [];
    const listen = (warning: unknown) => warnings.push(warning);
    process.on('warning', listen);
    const controller = new AbortController();
    const all = Array.from({ length: 5000 }, () => stat('/', { signal: controller.signal }));
    await Promise.all(all);
    const ends = new Int32Array(2);
    await syscall('pipe2', [ends, 0]);
    const stuck = Array.from({ length: 100 }, () =>
      syscall('read', [ends[0]!, Buffer.alloc(1), 1], { signal: controller.signal }),
    );
    const settled = Promise.allSettled(stuck);
    setImmediate(() => controller.abort());
    for (const result of await settled)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ABORT_ERR' } });
    await Promise.all([...ends].map((fd) => syscall('close', [fd])));
    process.off('warning', listen);
    expect(warnings).toEqual([]);
  });
});

describe('very many at once', () => {
  it('a million stats wait for their turn, and timers keep firing', async () => {
    const kMany = 1_000_000;
    const path = inRoot('file');
    let done = 0;
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await new Promise<void>((resolve, reject) => {
      const one = () => {
        if (++done === kMany) resolve();
      };
      for (let i = 0; i < kMany; i++) stat(path).then(one, reject);
    });
    clearInterval(timer);
    expect(done).toBe(kMany);
    expect(ticks).toBeGreaterThan(3);
  }, 240_000);

  it('chains of calls, one after the other, let the loop turn while others complete', async () => {
    let given = 0;
    let most = 0; // between two turns
    let isOver = false;
    const look = () => {
      most = Math.max(most, given);
      given = 0;
      if (!isOver) setImmediate(look);
    };
    const into = Buffer.alloc(64);
    const chain = async () => {
      for (let i = 0; i < 100; i++) {
        await syscall('readlinkat', [constants.AT_FDCWD, inRoot('link'), into, into.length]);
        given++;
        for (const until = performance.now() + 0.2; performance.now() < until; );
      }
    };
    for (let round = 0; round < 6; round++) {
      setImmediate(look);
      isOver = false;
      await Promise.all(Array.from({ length: 24 }, chain));
      isOver = true;
      look();
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    }
    expect(most).toBeLessThan(400); // of 2,400: those that complete within 5 ms of bells
  });

  it('statMany takes a million paths and keeps their order', async () => {
    const names = [inRoot('file'), inRoot('nope'), inRoot('folder')];
    const many = Array.from({ length: 1_000_000 }, (_, i) => names[i % 3]!);
    const { error, size, length } = await statMany(many);
    expect(length).toBe(many.length);
    for (const i of [0, 3, 999_999]) expect([error[i], size[i]]).toEqual([0, 5]);
    for (const i of [1, 999_997]) expect([error[i], size[i]]).toEqual([-2, 0]);
    expect(error.reduce((sum, code) => sum + (code === 0 ? 0 : 1), 0)).toBe(333_333);
  }, 240_000);
});
