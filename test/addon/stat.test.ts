import * as fs from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { fstat, lstat, stat, statMany } from 'acall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NastyTree, nastyTree } from './support/nasty-tree';
import { outcome } from './support/outcome';

let tree: NastyTree;
let paths: string[];
beforeAll(async () => {
  tree = await nastyTree();
  const { root } = tree;
  paths = [
    ...fs.readdirSync(root).map((name) => join(root, name)),
    ...fs.readdirSync(join(root, 'folder/inner')).map((name) => join(root, 'folder/inner', name)),
    ...[
      '',
      '.',
      '/',
      'nope',
      '/nope/x',
      join(root, 'file/'),
      join(root, 'file/x'),
      join(root, 'folder/'),
      join(root, 'link/'),
    ],
    ...[
      '/dev/null',
      '/proc/self/exe',
      '/proc/self/status',
      '/proc/1/root/nope',
      '/sys',
      '/dev/fd/0',
      `/${'x'.repeat(256)}`,
    ],
    `/${'x/'.repeat(3000)}`,
    'lone \ud800 surrogate',
  ].filter((path) => path !== '/proc/self/status'); // its times are those of the look
});
afterAll(() => tree.remove());

describe.each([
  ['stat', stat, fs.promises.stat],
  ['lstat', lstat, fs.promises.lstat],
] as const)('%s', (_name, ours, theirs) => {
  it('equals node:fs for every path, error and number', async () => {
    for (const path of paths) {
      expect(await outcome(ours(path)), path).toEqual(await outcome(theirs(path)));
      expect(await outcome(ours(path, { bigint: true })), path).toEqual(await outcome(theirs(path, { bigint: true })));
    }
  });

  it('gives Stats of the same kind, methods included', async () => {
    for (const path of paths.filter((path) => fs.existsSync(path))) {
      const [mine, nodes] = [await ours(path), await theirs(path)];
      expect(mine).toStrictEqual(nodes);
      expect(mine).toBeInstanceOf(fs.Stats);
      expect(Object.keys(mine)).toEqual(Object.keys(nodes));
      expect([mine.isFile(), mine.isDirectory(), mine.isFIFO()]).toEqual([
        nodes.isFile(),
        nodes.isDirectory(),
        nodes.isFIFO(),
      ]);
      const [large, nodesLarge] = [await ours(path, { bigint: true }), await theirs(path, { bigint: true })];
      expect(large).toStrictEqual(nodesLarge);
      expect(large.mtimeNs).toBe(nodesLarge.mtimeNs);
    }
  });

  it('takes Buffers, names that are no UTF-8 among them, and URLs', async () => {
    const inner = Buffer.from(join(tree.root, 'folder/inner/'));
    const names = fs.readdirSync(inner, { encoding: 'buffer' }) as unknown as Buffer[];
    for (const name of names) {
      const path = Buffer.concat([inner, name]);
      expect(await outcome(ours(path))).toEqual(await outcome(theirs(path)));
      expect(await outcome(ours(path, { bigint: true }))).toEqual(await outcome(theirs(path, { bigint: true })));
      const [mine, nodes] = [await ours(path), await theirs(path)];
      expect(mine).toStrictEqual(nodes);
      expect(Reflect.ownKeys(mine)).toEqual(Reflect.ownKeys(nodes)); // Node 26 has symbols among them
    }
    const gone = Buffer.concat([inner, Buffer.from([0xfe])]);
    expect(await outcome(ours(gone))).toEqual(await outcome(theirs(gone)));
    const url = pathToFileURL(join(tree.root, 'folder/inner/grüße'));
    expect(await ours(url)).toEqual(await theirs(url));
  });

  it('takes bytes among strings of one tick, and does not see what happens to them afterwards', async () => {
    const inner = Buffer.from(join(tree.root, 'folder/inner/'));
    const names = fs.readdirSync(inner, { encoding: 'buffer' }) as unknown as Buffer[];
    const bytes = names.map((name) => Buffer.concat([inner, name]));
    const expected = bytes.map((path) => fs.lstatSync(path).ino);
    expect(names.some((name) => !Buffer.from(name.toString()).equals(name))).toBe(true);
    const pending = Array.from({ length: 300 }, (_, i) => {
      const text = lstat('/');
      const path = Buffer.from(bytes[i % bytes.length]!);
      const found = lstat(path, i % 2 ? { ref: false } : {});
      path.fill(0x2f);
      return [text, found] as const;
    });
    const root = fs.lstatSync('/').ino;
    for (const [i, [text, found]] of pending.entries()) {
      expect((await text).ino).toBe(root);
      expect((await found).ino).toBe(expected[i % expected.length]);
    }
  });

  it('gives the same results in a burst of a thousand as alone', async () => {
    const many = paths.filter((path) => fs.existsSync(path));
    const expected = await Promise.all(many.map((path) => theirs(path)));
    const found = await Promise.all(Array.from({ length: 1000 }, (_, i) => ours(many[i % many.length]!)));
    found.forEach((stats, i) => {
      const nodes = expected[i % many.length]!;
      expect(stats).toStrictEqual(nodes);
      expect(Reflect.ownKeys(stats)).toEqual(Reflect.ownKeys(nodes));
      expect({ ...stats }).toStrictEqual({ ...nodes });
      expect(structuredClone(stats)).toStrictEqual(structuredClone(nodes));
      expect(JSON.stringify(stats)).toBe(JSON.stringify(nodes));
    });
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(found.at(-1));
    expect(receiveMessageOnPort(port2)?.message).toStrictEqual({ ...expected[(found.length - 1) % many.length] });
    port1.close();
  });

  it('has times beyond the year 2262 and before 1970, to the nanosecond', async () => {
    const path = join(tree.root, 'times');
    fs.writeFileSync(path, '');
    for (const seconds of [-62_135_596_800, -1.5, 9_300_000_000.123, 32_503_680_000, 8_640_000_000_000]) {
      fs.utimesSync(path, seconds, seconds); // as far as the file system goes
      for (const as of [path, Buffer.from(path)]) {
        expect(await ours(as, { bigint: true })).toStrictEqual(await theirs(as, { bigint: true }));
        expect(await ours(as)).toStrictEqual(await theirs(as));
      }
    }
    fs.rmSync(path);
  });
});

describe('an option that no stat has', () => {
  it.each([
    ['stat', (options: object) => stat('/', options)],
    ['lstat', (options: object) => lstat('/', options)],
    ['fstat', (options: object) => fstat(0, options)],
  ])('%s refuses it', async (_name, call) => {
    await expect(call({ bigInt: true })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    expect(await call({ bigint: null, bigInt: undefined })).toBeInstanceOf(fs.Stats);
  });
});

describe('fstat', () => {
  it('equals node:fs', async () => {
    for (const name of ['file', 'sparse', 'folder']) {
      const fd = fs.openSync(join(tree.root, name), 'r');
      expect(await fstat(fd)).toStrictEqual(fs.fstatSync(fd));
      expect(await fstat(fd, { bigint: true })).toStrictEqual(fs.fstatSync(fd, { bigint: true }));
      fs.closeSync(fd);
    }
    const mine = (await outcome(fstat(9999))) as { error: object };
    expect(mine.error).toEqual({
      code: 'EBADF',
      errno: -9,
      syscall: 'fstat',
      path: undefined,
      message: 'EBADF: bad file descriptor, fstat',
      name: 'Error',
    });
  });
});

describe('statMany', () => {
  it.each([true, false])('equals stat or lstat row by row (follow: %s)', async (follow) => {
    const batch = await statMany(paths, { follow });
    expect(batch.length).toBe(paths.length);
    for (const [i, path] of paths.entries()) {
      const row = batch.get(i);
      const expected = await outcome(follow ? fs.promises.stat(path) : fs.promises.lstat(path));
      if (row instanceof Error) expect(await outcome(Promise.reject(row)), path).toEqual(expected);
      else expect({ value: row }, path).toEqual(expected);
    }
  });

  it('has columns', async () => {
    const file = join(tree.root, 'folder/large');
    const batch = await statMany([file, '/nope', '/dev/null']);
    const stats = fs.statSync(file, { bigint: true });
    expect(batch.error).toEqual(Int32Array.of(0, -2, 0));
    expect(batch.size).toEqual(Float64Array.of(300_000, 0, 0));
    expect([batch.ino[0], batch.dev[0], batch.rdev[2]]).toEqual([
      stats.ino,
      stats.dev,
      fs.statSync('/dev/null', { bigint: true }).rdev,
    ]);
    const words = [batch.mode, batch.nlink, batch.uid, batch.gid, batch.blksize].map((column) => BigInt(column[0]!));
    expect(words).toEqual([stats.mode, stats.nlink, stats.uid, stats.gid, stats.blksize]);
    expect(batch.blocks[0]).toBe(Number(stats.blocks));
    expect(batch.mtimeMs[0]).toBe(fs.statSync(file).mtimeMs);
    expect(() => batch.get(3)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => batch.get(-1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });

  it('takes Buffers and URLs among strings, names that are no UTF-8, and its errors name the path that failed', async () => {
    const inner = Buffer.from(join(tree.root, 'folder/inner/'));
    const names = fs.readdirSync(inner, { encoding: 'buffer' }) as unknown as Buffer[];
    const gone = Buffer.concat([inner, Buffer.from([0xfe])]);
    const some = [
      ...names.flatMap((name) => [Buffer.concat([inner, name]), '/dev/null']),
      pathToFileURL(join(tree.root, 'folder/large')),
      gone,
    ];
    const given = Array.from({ length: 3000 }, (_, i) => {
      const path = some[i % some.length]!;
      return Buffer.isBuffer(path) ? Buffer.from(path) : path;
    });
    const pending = statMany(given, { follow: false });
    for (const path of given) if (Buffer.isBuffer(path)) path.fill(0x2f);
    const batch = await pending;
    for (const i of given.keys()) {
      const path = some[i % some.length]!;
      const row = batch.get(i);
      if (path !== gone) expect(row).toStrictEqual(fs.lstatSync(path));
      else expect(await outcome(Promise.reject(row))).toEqual(await outcome(fs.promises.lstat(path)));
    }
  });

  it('looks from a directory, and at nothing', async () => {
    const dirfd = fs.openSync(join(tree.root, 'folder'), 'r');
    expect((await statMany(['large', 'nope'], { dirfd })).error).toEqual(Int32Array.of(0, -2));
    fs.closeSync(dirfd);
    expect((await statMany([])).length).toBe(0);
  });

  it('does not see what happens to the array afterwards', async () => {
    const many = Array.from({ length: 100_000 }, () => '/etc');
    const pending = statMany(many);
    many.fill('/nope');
    const batch = await pending;
    expect(batch.error.every((error) => error === 0)).toBe(true);
  });
});
