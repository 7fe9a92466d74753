// readFiles: equal to fs.readFile of each path, in the order of the paths or as they come, bounded, aborted anywhere.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { counters, type PathLike, type ReadFilesEntry, readdir, readFiles, SyscallError } from 'acall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { descriptors, until } from '../support/quiet';
import { type NastyTree, nastyTree } from './support/nasty-tree';
import { outcome } from './support/outcome';

const { run } = programsOf<typeof import('./programs/read-files.cjs')>(join(__dirname, 'programs', 'read-files.cjs'));

const folder = fs.mkdtempSync(join(tmpdir(), 'acall-read-'));
const at = (...names: string[]) => join(folder, ...names);
let tree: NastyTree;
let paths: string[]; // every path of the tree that can be read without waiting, of every kind

const kMany = 2000;
const many = () => Array.from({ length: kMany }, (_, i) => at('many', `f${i}`));
const contentOf = (i: number) => `content ${i} `.repeat(1 + (i % 300));

beforeAll(async () => {
  tree = await nastyTree();
  paths = fs
    .readdirSync(tree.root, { recursive: false, withFileTypes: true })
    .filter((entry) => !entry.isFIFO())
    .map((entry) => join(tree.root, entry.name))
    .concat(
      fs.readdirSync(join(tree.root, 'folder/inner')).map((name) => join(tree.root, 'folder/inner', name)),
      fs.readdirSync(join(tree.root, 'many')).map((name) => join(tree.root, 'many', name)),
      ['/proc/version', '/proc/self/cmdline', '/dev/null', '', join(tree.root, 'file/x'), join(tree.root, 'nope')],
      ['/sys/kernel/mm/transparent_hugepage/enabled', `${tree.root}/${'x'.repeat(256)}`, '/proc/self/mem'],
    );
  fs.mkdirSync(at('many'));
  many().forEach((path, i) => {
    fs.writeFileSync(path, contentOf(i));
  });
});
afterAll(() => {
  tree.remove();
  fs.rmSync(folder, { recursive: true });
});

const facts = (value: unknown) =>
  value instanceof Error
    ? (({ code, errno, syscall, path, message, name }: NodeJS.ErrnoException) => ({
        error: { code, errno, syscall, path, message, name },
      }))(value as NodeJS.ErrnoException)
    : { value: Buffer.isBuffer(value) ? value.toString('latin1') : value }; // compared in no time

describe('readFiles', () => {
  it('gives for each path what fs.readFile gives, errors included', async () => {
    for (const encoding of [undefined, 'latin1', 'utf8'] as const) {
      const all = await (encoding === undefined ? readFiles(paths) : readFiles(paths, { encoding }));
      expect(all.length).toBe(paths.length);
      for (const [i, path] of paths.entries()) {
        const expected = (await outcome(fs.promises.readFile(path, encoding))) as { value?: unknown };
        expect(facts(all[i]), path).toEqual('value' in expected ? facts(expected.value) : expected);
      }
    }
  });

  it('gives each file once as they come, by file and in batches', async () => {
    const seen = new Map<number, ReadFilesEntry>();
    for await (const entry of readFiles(paths)) {
      expect(seen.has(entry.index)).toBe(false);
      expect(entry.path).toBe(paths[entry.index]);
      expect('data' in entry).toBe(!('error' in entry));
      seen.set(entry.index, entry);
    }
    expect(seen.size).toBe(paths.length);
    const ordered = await readFiles(paths);
    for (const [index, { data, error }] of seen) expect(facts(data ?? error)).toEqual(facts(ordered[index]));
    let count = 0;
    for await (const batch of readFiles(paths, 'latin1').batches()) {
      expect(batch.length).toBeGreaterThan(0);
      for (const { index, data } of batch) {
        count++;
        if (data !== undefined) expect(Buffer.from(data, 'latin1').equals(ordered[index] as Buffer)).toBe(true);
      }
    }
    expect(count).toBe(paths.length);
  });

  it('takes any iterable, as it needs it, and paths of every form', async () => {
    let taken = 0;
    let closed = false;
    function* source(): Generator<PathLike> {
      try {
        for (;;) {
          for (let i = 0; i < kMany; i++) {
            taken++;
            const path = at('many', `f${i}`);
            yield i % 3 === 0 ? path : i % 3 === 1 ? Buffer.from(path) : new URL(`file://${path}`);
          }
        }
      } finally {
        closed = true;
      }
    }
    let count = 0;
    for await (const { index, data, path } of readFiles(source())) {
      expect(data?.toString()).toBe(contentOf(index % kMany));
      expect(path instanceof URL).toBe((index % kMany) % 3 === 2);
      if (++count === 3 * kMany) break;
    }
    expect(closed).toBe(true); // an endless source, left
    expect(taken).toBeLessThan(3 * kMany + 40_000); // not much ahead
    const bytes = Buffer.concat([Buffer.from(join(tree.root, 'folder/inner/')), Buffer.from([0xff])]);
    expect(await readFiles(new Set([bytes]), 'latin1')).toEqual(['no UTF-8']);
    expect(await readFiles([])).toEqual([]);
    expect(await readFiles(new Set<string>())).toEqual([]);
  });

  it('may be read again, and twice at once', async () => {
    const files = readFiles(many(), 'latin1');
    const [all, again] = await Promise.all([files, files]);
    expect(again).toBe(all);
    all.forEach((text, i) => {
      expect(text).toBe(contentOf(i));
    });
    let count = 0;
    const iterate = async () => {
      for await (const { index, data } of files) {
        if (data !== contentOf(index)) throw new Error(`wrong content at ${index}`);
        count++;
      }
    };
    await Promise.all([iterate(), iterate()]);
    expect(count).toBe(2 * kMany);
  });

  it('Buffers are whole and do not change when others are read', async () => {
    const first = await readFiles(many());
    await readFiles(many().reverse());
    first.forEach((data, i) => {
      expect((data as Buffer).toString()).toBe(contentOf(i));
    });
    // Writing into one leaves its neighbours alone.
    (first[10] as Buffer).fill(0);
    expect((first[9] as Buffer).toString()).toBe(contentOf(9));
    expect((first[11] as Buffer).toString()).toBe(contentOf(11));
  });

  it('pauses while nobody takes, with some 16 MiB in hand', async () => {
    const size = 1 << 20;
    fs.mkdirSync(at('large'));
    const large = Array.from({ length: 200 }, (_, i) => at('large', `f${i % 50}`));
    for (const path of new Set(large)) fs.writeFileSync(path, Buffer.alloc(size, path.at(-1)));
    const before = descriptors();
    const begin = process.memoryUsage().rss;
    const reader = readFiles(large)[Symbol.asyncIterator]();
    await reader.next();
    // When no thread works any more, they have read as much as they may read ahead.
    await until(() => counters().running === 0 && counters().queued === 0);
    expect(process.memoryUsage().rss - begin).toBeLessThan(64 * size);
    let bytes = size;
    for (let entry = await reader.next(); !entry.done; entry = await reader.next()) bytes += entry.value.data!.length;
    expect(bytes).toBe(200 * size);
    await until(() => descriptors() <= before);
  });

  it('a FIFO without a writer delays no other file, wherever it stands', async () => {
    const names = ['first', 'second', 'third'];
    const fifos = names.map((name) => at(name));
    execFileSync('mkfifo', fifos);
    for (const places of [[0], [7], [1, 2, 900], [5, kMany, kMany + 1]]) {
      const list = many();
      places.forEach((place, i) => {
        list.splice(place, 0, fifos[i]!);
      });
      const seen = new Set<number>();
      for await (const { index, data, path } of readFiles(list, 'latin1')) {
        seen.add(index);
        const isFifo = fifos.includes(path as string);
        expect(data).toBe(isFifo ? 'at last' : fs.readFileSync(path as string, 'latin1'));
        if (isFifo || seen.size < kMany) continue;
        // All others are there. Each FIFO has its reader, who is stuck in open(2) or comes to it.
        for (const place of places) fs.promises.writeFile(list[place]!, 'at last');
      }
      expect(seen.size).toBe(list.length);
    }
    for (const fifo of fifos) fs.rmSync(fifo);
  });

  it('is aborted anywhere, stuck or not, and leaves no descriptor', async () => {
    execFileSync('mkfifo', [at('stuck')]);
    const before = descriptors();
    for (let round = 0; round < 30; round++) {
      const controller = new AbortController();
      const list = round % 2 ? [at('stuck'), ...many()] : many();
      const pending = outcome(Promise.resolve(readFiles(list, { signal: controller.signal })));
      for (let i = 0; i < round * 300; i++) performance.now();
      if (round % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      controller.abort('enough');
      const end = (await pending) as { error?: { code: string } };
      if (round % 2) expect(end.error?.code).toBe('ABORT_ERR');
      else if (end.error !== undefined) expect(end.error.code).toBe('ABORT_ERR');
    }
    await expect(readFiles(many(), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(readFiles([at('stuck')], { timeout: 5 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'open',
    });
    // In the middle of an iteration, also when nobody waits just then.
    const controller = new AbortController();
    const iterator = readFiles([...many(), at('stuck')], { signal: controller.signal })[Symbol.asyncIterator]();
    await iterator.next();
    controller.abort();
    const rest = async () => {
      while (!(await iterator.next()).done);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(await iterator.next()).toEqual({ value: undefined, done: true });
    await until(() => counters().running === 0 && descriptors() <= before);
  });

  it('leaving the loop, or throwing in it, ends the reading', async () => {
    const before = descriptors();
    for (let i = 0; i < 20; i++) {
      for await (const entry of readFiles([at('stuck'), ...many()])) {
        if (entry.data) break;
      }
      await expect(
        (async () => {
          for await (const _ of readFiles(many())) throw new Error('mine');
        })(),
      ).rejects.toThrow('mine');
    }
    await until(() => counters().running === 0 && counters().queued === 0 && descriptors() <= before);
  });

  it('a source that throws, and a path that is none, reject the whole', async () => {
    function* broken(): Generator<string> {
      yield at('many/f0');
      throw new TypeError('broken');
    }
    await expect(readFiles(broken())).rejects.toThrow('broken');
    await expect(readFiles([at('many/f0'), 'a\0b'])).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(readFiles([at('many/f0'), 5 as never])).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await expect(readFiles([Buffer.from('a\0b')])).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    for (const [list, options] of [
      [5],
      [null],
      ['text'],
      [[], 'klingon'],
      [[], 5],
      [[], { encoding: 'x' }],
      [[], { flag: 'zz' }],
      [[], { signal: 5 }],
      [[], { timeout: 'x' }],
    ] as [never, never][]) {
      expect(() => readFiles(list, options)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_(INVALID_ARG|OUT_OF)/) }),
      );
    }
  });

  it('with more files than descriptors gives every file', async () => {
    const all = await readFiles([...many(), ...many()], 'latin1');
    expect(all.some((entry) => entry instanceof SyscallError)).toBe(false);
  });
});

describe('programs that read files', () => {
  it('gives every file as long as the process has one descriptor left', async () => {
    let answers = 0;
    for (let limit = 30; limit > 3; limit--) {
      const launcher = ['sh', '-c', 'ulimit -n "$0"; exec "$@"', `${limit}`];
      const { status, stdout } = await run('readAll', [kMany], { launcher, cwd: folder });
      if (status !== 0 || stdout === '"none left"') break; // Node itself needs them
      expect(JSON.parse(stdout), `${limit} descriptors`).toEqual({ failed: [0, 0, 0, 0], walked: kMany });
      answers++;
    }
    expect(answers).toBeGreaterThan(0);
  });

  it('keep a bounded working set over very many files', async () => {
    function* source(): Generator<string> {
      for (let round = 0; round < 200; round++) yield* many();
    }
    let count = 0;
    let peak = 0;
    const begin = process.memoryUsage().rss;
    for await (const batch of readFiles(source()).batches()) {
      count += batch.length;
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    expect(count).toBe(200 * kMany);
    expect(peak - begin).toBeLessThan(300 << 20); // 400,000 files of 1.9 KiB would be 760 MiB; sanitizers hold on to some
  });

  it('begins with batches(): a time-out, an iterable that throws; and refuses paths in their order', async () => {
    const throwing: Iterable<string> = {
      [Symbol.iterator]() {
        throw new RangeError('it');
      },
    };
    expect(() => readFiles(throwing).batches()).toThrow(RangeError);
    const late = readFiles([__filename], { timeout: 5 }).batches();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(late.next()).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    const mixed = ['a\0b', Buffer.from('f'), 5 as unknown as string];
    await expect(readFiles(mixed)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(readdir(Buffer.alloc(0))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
