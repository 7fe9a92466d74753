import { AsyncLocalStorage } from 'node:async_hooks';
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { counters, du, readdir, type SyscallError, walk } from 'acall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { descriptors, until } from '../support/quiet';
import { mayRead, stranger } from '../support/stranger';
import { type NastyTree, nastyTree } from './support/nasty-tree';
import { outcome } from './support/outcome';

const { run } = programsOf<typeof import('./programs/tree.cjs')>(join(__dirname, 'programs', 'tree.cjs'));

const strangerSeesNothing = !mayRead(require.resolve('acall'), join(__dirname, 'programs', 'tree.cjs'), tmpdir());
let tree: NastyTree;
const at = (...parts: string[]) => join(tree.root, ...parts);
const kHuge = 70_000; // entries, more than a walk finds ahead of its consumer
let hugeFolder: string | undefined;

/** A folder of so many names that they come in many parts, made once. */
function huge(): string {
  if (hugeFolder === undefined) {
    hugeFolder = fs.mkdtempSync(join(tmpdir(), 'acall-huge-'));
    const files = Array.from({ length: 3 }, (_, i) => join(hugeFolder!, `file ${i}`));
    for (const file of files) fs.writeFileSync(file, '');
    for (let i = 3; i < kHuge; i++) fs.linkSync(files[i % 3]!, join(hugeFolder, `${(i * 7919) % 70_001}`));
  }
  return hugeFolder;
}

beforeAll(async () => {
  tree = await nastyTree();
});
afterAll(() => {
  tree.remove();
  if (hugeFolder !== undefined) execFileSync('rm', ['-rf', hugeFolder]);
});

const kTypes = [
  'isFile',
  'isDirectory',
  'isSymbolicLink',
  'isFIFO',
  'isSocket',
  'isCharacterDevice',
  'isBlockDevice',
] as const;
const typeOf = (entry: Pick<fs.Dirent, (typeof kTypes)[number]>) => kTypes.find((name) => entry[name]());

/** Every path below `root` with its type, one folder after the other, by descriptors where a path would be too long. */
function expectedEntries(root: string): Map<string, string> {
  const output = execFileSync('find', [root, '-mindepth', '1', '-printf', '%d %y %p\\0'], {
    maxBuffer: 1 << 28,
    encoding: 'latin1',
  });
  const letters: Record<string, string> = {
    f: 'isFile',
    d: 'isDirectory',
    l: 'isSymbolicLink',
    p: 'isFIFO',
    s: 'isSocket',
  };
  const entries = output
    .split('\0')
    .slice(0, -1)
    .map((line) => {
      const [, depth, letter, path] = /^(\d+) (.) ([\s\S]*)$/.exec(line)!;
      return [path!, `${depth} ${letters[letter!]}`] as const;
    });
  return new Map(entries);
}

describe('readdir', () => {
  const folders = () => [
    at(),
    at('folder'),
    at('folder/inner'),
    at('folder/inner/empty'),
    at('many'),
    at('link to folder'),
    '/dev',
    '/proc/self',
  ];

  it('equals node:fs in every form, order included', async () => {
    for (const folder of folders()) {
      expect(await readdir(folder)).toEqual(fs.readdirSync(folder));
      expect(await readdir(folder, { encoding: 'buffer' })).toEqual(fs.readdirSync(folder, { encoding: 'buffer' }));
      const mine = await readdir(folder, { withFileTypes: true });
      expect(mine).toStrictEqual(fs.readdirSync(folder, { withFileTypes: true }));
      expect(mine.every((entry) => entry instanceof fs.Dirent)).toBe(true);
      const bytes = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
      expect(bytes).toStrictEqual(fs.readdirSync(folder, { withFileTypes: true, encoding: 'buffer' }));
    }
  });

  it('withStats brings lstat of each entry', async () => {
    for (const folder of [at(), at('many')]) {
      const entries = await readdir(folder, { withStats: true });
      expect(entries.map(({ name }) => name)).toEqual(fs.readdirSync(folder));
      for (const { name, stats, error } of entries) {
        expect(stats).toStrictEqual(fs.lstatSync(join(folder, name)));
        expect(error).toBeUndefined();
      }
    }
    const bytes = await readdir(at('folder/inner'), { withStats: true, encoding: 'buffer' });
    for (const { name, stats } of bytes) {
      expect(stats).toStrictEqual(fs.lstatSync(Buffer.concat([Buffer.from(`${at('folder/inner')}/`), name])));
    }
  });

  it('has the errors of node:fs', async () => {
    for (const path of ['/nope', at('file'), at('dangling'), at('circle one'), '', at('file/x')]) {
      expect(await outcome(readdir(path))).toEqual(await outcome(fs.promises.readdir(path)));
    }
  });

  it('reads a folder of 70,000 names', async () => {
    expect(await readdir(huge())).toEqual(fs.readdirSync(huge()));
    const typed = await readdir(huge(), { withFileTypes: true });
    expect(typed.map(({ name }) => name)).toEqual(fs.readdirSync(huge()));
  });
});

describe('walk', () => {
  it('finds what find finds: paths, depths, types', async () => {
    const entries = await walk(tree.root, { encoding: 'buffer' }).collect();
    const found = new Map(entries.map((entry) => [entry.path.toString('latin1'), `${entry.depth} ${typeOf(entry)}`]));
    expect(entries).toHaveLength(found.size);
    const expected = expectedEntries(tree.root);
    expect(found.size).toBe(expected.size);
    for (const [path, facts] of expected) expect(found.get(path), path).toBe(facts);
  });

  it('gives the same entry by entry, in batches and all at once', async () => {
    const one: string[] = [];
    for await (const entry of walk(tree.root)) one.push(entry.path);
    const batches: string[] = [];
    for await (const batch of walk(tree.root).batches()) {
      expect(batch.length).toBeLessThanOrEqual(1024);
      batches.push(...batch.map(({ path }) => path));
    }
    const all = (await walk(tree.root).collect()).map(({ path }) => path);
    expect(one.sort()).toEqual(all.sort());
    expect(batches.sort()).toEqual(all);
  });

  it('names, stats and types agree with node:fs', async () => {
    const entries = await walk(at('folder'), { stats: true, encoding: 'buffer' }).collect();
    expect(entries.length).toBeGreaterThan(10);
    for (const entry of entries) {
      expect(entry.stats).toStrictEqual(fs.lstatSync(entry.path));
      expect(entry.error).toBeUndefined();
      expect(typeOf(entry)).toBe(typeOf(entry.stats!));
      expect(entry.path.subarray(-entry.name.length).equals(entry.name)).toBe(true);
      expect(entry.name.includes('/')).toBe(false);
    }
    for (const entry of await walk(`${at('folder')}/`).collect()) {
      expect(entry.path.startsWith(`${at('folder')}/`)).toBe(true);
      expect(entry.path).not.toContain('//');
      expect(entry.path.endsWith(`/${entry.name}`)).toBe(true);
      expect(entry.stats).toBeUndefined();
    }
  });

  it('goes no deeper than maxDepth', async () => {
    expect(await walk(tree.root, { maxDepth: 0 }).collect()).toEqual([]);
    const names = (await walk(tree.root, { maxDepth: 1 }).collect()).map(({ name }) => name);
    expect(names.sort()).toEqual(fs.readdirSync(tree.root).sort());
    const depths = (await walk(tree.root, { maxDepth: 3 }).collect()).map(({ depth }) => depth);
    expect(Math.max(...depths)).toBe(3);
    expect((await walk(tree.root, { maxDepth: Number.POSITIVE_INFINITY }).collect()).length).toBeGreaterThan(4000);
  });

  it('follows a link as root, and no other', async () => {
    const entries = await walk(at('link to folder')).collect();
    expect(entries.map(({ path }) => path)).toContain(at('link to folder/large'));
    expect(entries.some(({ path }) => path.includes('/up/'))).toBe(false);
  });

  it('is a traversal of its own in each iteration', async () => {
    const twice = walk(at('folder'));
    expect((await twice.collect()).length).toBe((await twice.collect()).length);
  });

  it('rejects when the root is no folder', async () => {
    for (const path of ['/nope', at('file')]) {
      const expected = await outcome(fs.promises.readdir(path));
      expect(await outcome(walk(path).collect())).toEqual(expected);
      expect(
        await outcome(
          walk(path, { onError: () => {} })
            [Symbol.asyncIterator]()
            .next(),
        ),
      ).toEqual(expected);
      expect(await outcome(walk(path).batches().next())).toEqual(expected);
    }
  });

  it.skipIf(strangerSeesNothing)(
    'calls onError for unreadable folders and goes on; without it the walk rejects',
    async () => {
      // The file system asks nobody who is root: a child without rights looks.
      const folder = fs.mkdtempSync(join(tmpdir(), 'acall-unreadable-'));
      fs.chmodSync(folder, 0o755);
      for (const name of ['a', 'b', 'c']) fs.mkdirSync(join(folder, name, 'inside'), { recursive: true });
      fs.chmodSync(join(folder, 'b'), 0o000);
      const { stdout, stderr } = await run('lookAtUnreadable', [folder], { cwd: '/', user: stranger });
      fs.chmodSync(join(folder, 'b'), 0o700);
      fs.rmSync(folder, { recursive: true });
      expect(stderr).toBe('');
      const path = join(folder, 'b');
      const message = `EACCES: permission denied, scandir '${path}'`;
      expect(JSON.parse(stdout)).toEqual({
        names: ['a', 'a/inside', 'b', 'c', 'c/inside'].map((name) => join(folder, name)),
        errors: [{ code: 'EACCES', syscall: 'scandir', path }],
        rejected: message,
        thrown: 'stop',
        sum: { bytes: 0, files: 0, directories: 6, errors: 1 },
        told: [message],
        list: message,
      });
    },
  );

  it('serves calls of next() that do not wait for each other', async () => {
    const iterator = walk(at('many'))[Symbol.asyncIterator]();
    const results = await Promise.all(Array.from({ length: 3005 }, () => iterator.next()));
    const paths = results.flatMap((result) => (result.done ? [] : [result.value.path]));
    expect(new Set(paths).size).toBe(3000);
    expect(results.slice(3000).every(({ done }) => done)).toBe(true);
    expect(await iterator.next()).toEqual({ value: undefined, done: true });
  });

  it('ends when the loop is left: no descriptor, no thread stays inside', async () => {
    const before = descriptors();
    const last = { value: undefined, done: true };
    for (let i = 0; i < 20; i++) {
      for await (const entry of walk('/usr')) if (entry.depth > 1) break;
    }
    const iterator = walk('/usr').batches();
    await iterator.next();
    expect(await iterator.return?.()).toEqual(last);
    expect(await iterator.next()).toEqual(last);
    const abandoned = walk('/usr')[Symbol.asyncIterator]();
    await abandoned.next();
    expect(await Promise.all([abandoned.next(), abandoned.return?.()])).toContainEqual(last);
    const inside = () => counters().running + counters().queued;
    await expect.poll(inside, { timeout: 10_000 }).toBe(0);
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  });

  it('pauses while nobody takes', async () => {
    const before = descriptors();
    // So long a root makes paths of nearly four kilobytes: a few thousand of them are as much as a walk keeps.
    const iterator = walk(`${huge()}${'/.'.repeat(1900)}`).batches();
    let entries = (await iterator.next()).value.length;
    await until(() => counters().running === 0 && counters().queued === 0);
    expect(descriptors()).toBeGreaterThan(before); // the folder, which has not been read to its end
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) entries += next.value.length;
    expect(entries).toBe(kHuge);
    expect(descriptors()).toBe(before);
  });

  it.each(['entries', 'batches'])(
    'lets timers fire under a consumer that is always at work, and sees their abort (%s)',
    async (by) => {
      // Each entry costs the consumer 0.1 ms, so that those in hand would last a second without a turn of the loop.
      const work = (entries: number): void => {
        for (const until = performance.now() + entries / 10; performance.now() < until; );
      };
      const root = huge();
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      let taken = 0;
      const begun = performance.now();
      try {
        const found = walk(root, { signal: AbortSignal.timeout(100) });
        const consume = async (): Promise<void> => {
          if (by === 'batches')
            for await (const batch of found.batches()) work((taken += batch.length) && batch.length);
          else for await (const _ of found) work((taken += 1) && 1);
        };
        await expect(consume()).rejects.toMatchObject({ code: 'ABORT_ERR' });
      } finally {
        clearInterval(timer);
      }
      // A turn for each 8 ms of work and for each batch; a busy machine has fewer. Without them there is none.
      expect(ticks).toBeGreaterThan(0);
      expect(taken).toBeLessThan(kHuge);
      expect(performance.now() - begun).toBeLessThan(5000);
    },
  );

  it('ends with AbortError or ETIMEDOUT, also while nobody waits for an entry', async () => {
    const before = descriptors();
    const expected = { name: 'AbortError', code: 'ABORT_ERR' };
    await expect(walk('/usr', { signal: AbortSignal.abort() }).collect()).rejects.toMatchObject(expected);
    const controller = new AbortController();
    const iterator = walk('/usr', { signal: controller.signal }).batches();
    await iterator.next();
    controller.abort(new Error('enough'));
    await until(() => counters().running === 0 && descriptors() <= before);
    await expect(
      (async () => {
        while (!(await iterator.next()).done);
      })(),
    ).rejects.toMatchObject({ ...expected, cause: new Error('enough') });
    await expect(walk('/', { timeout: 1, onError: () => {} }).collect()).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'scandir',
      path: '/',
    });
    await until(() => counters().running === 0 && descriptors() <= before);
  });
});

describe('du', () => {
  it('calls back in the AsyncLocalStorage context of its call', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen = new Set<string | undefined>();
    await storage.run('of the call', () => du('/usr/lib', { onProgress: () => seen.add(storage.getStore()) }));
    expect([...seen]).toEqual(['of the call']);
  });

  // GNU du prints the sum also when it may not read everything, and then exits with 1.
  const gnu = (...args: string[]) => Number.parseInt(spawnSync('du', ['-s', ...args], { encoding: 'utf8' }).stdout, 10);

  it('equals GNU du to the byte', async () => {
    for (const root of [
      tree.root,
      at('folder'),
      at('file'),
      at('link to folder'),
      `${at('link to folder')}/`,
      at('dangling'),
      '/usr/share',
      at('sparse'),
    ]) {
      expect((await du(root)).bytes, root).toBe(gnu('-B1', root));
      expect((await du(root, { apparentSize: true })).bytes, root).toBe(gnu('-b', root));
      expect((await du(root, { oneFileSystem: true })).bytes, root).toBe(gnu('-xB1', root));
    }
  });

  it('counts files once and directories', async () => {
    const entries = expectedEntries(tree.root);
    const folders = [...entries.values()].filter((facts) => facts.endsWith('isDirectory')).length;
    const { files, directories, errors } = await du(tree.root);
    expect({ files, directories, errors }).toEqual({
      files: entries.size - folders - 2,
      directories: folders + 1,
      errors: 0,
    });
  });

  it('reports progress, and the result at the end', async () => {
    const told: unknown[] = [];
    const result = await du('/usr', { onProgress: (sum) => told.push(sum) });
    expect(told.at(-1)).toEqual(result);
    await expect(
      du(tree.root, {
        onProgress: () => {
          throw new Error('no more');
        },
      }),
    ).rejects.toThrow('no more');
  });

  it('rejects without a root, on abort and time-out', async () => {
    expect(await outcome(du('/nope'))).toEqual(await outcome(fs.promises.lstat('/nope')));
    await expect(du('/', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(du('/', { timeout: 1 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    await until(() => counters().running === 0);
  });
});

it('errors are SyscallErrors and print as such', async () => {
  const error = (await readdir('/nope').catch((error) => error)) as SyscallError;
  expect(error).toBeInstanceOf(Error);
  expect(String(error)).toBe("Error: ENOENT: no such file or directory, scandir '/nope'");
});
