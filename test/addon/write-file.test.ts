// writeFile against fs.promises.writeFile: results, errors, every kind of content, whole or in pieces.
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { counters, open, type WriteFileData, writeFile } from 'acall';
import { afterAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { descriptors, until } from '../support/quiet';
import { outcome } from './support/outcome';

const { run } = programsOf<typeof import('./programs/write-file.cjs')>(join(__dirname, 'programs', 'write-file.cjs'));

const folder = fs.mkdtempSync(join(tmpdir(), 'acall-write-'));
const at = (...names: string[]) => join(folder, ...names);
afterAll(() => fs.rmSync(folder, { recursive: true }));

type Writer = (file: never, data: never, options?: never) => Promise<void>;
const writers = [writeFile, fs.promises.writeFile] as unknown as Writer[];

/** Does the same with ours and with node's in folders of their own, and gives what came of each: outcome and tree. */
async function both(act: (write: Writer, at: (name: string) => string) => Promise<unknown>) {
  const found = [];
  for (const write of writers) {
    const home = fs.mkdtempSync(at('home-'));
    fs.writeFileSync(join(home, 'old'), 'old content');
    fs.chmodSync(join(home, 'old'), 0o640);
    fs.mkdirSync(join(home, 'folder'));
    fs.symlinkSync('old', join(home, 'link'));
    fs.symlinkSync('nowhere/at all', join(home, 'dangling'));
    fs.symlinkSync('circle', join(home, 'circle'));
    const end = await outcome(act(write, (name) => join(home, name)));
    const tree = fs.readdirSync(home).map((name) => {
      const path = join(home, name);
      const stats = fs.lstatSync(path);
      return [name, stats.mode, stats.isFile() ? fs.readFileSync(path, 'latin1') : ''];
    });
    found.push(JSON.parse(JSON.stringify({ end, tree }).replaceAll(home, '')));
    fs.rmSync(home, { recursive: true });
  }
  return found;
}

const contents: [string, () => WriteFileData][] = [
  ['text', () => 'grüße \u{1f600}'],
  ['nothing', () => ''],
  ['a Buffer', () => Buffer.from([0, 255, 128])],
  ['a typed array with an offset', () => new Uint16Array([1, 2, 3, 0x1234]).subarray(1)],
  ['a DataView', () => new DataView(new ArrayBuffer(9), 2, 5)],
  ['shared memory', () => new Uint8Array(new SharedArrayBuffer(6)).fill(7)],
  ['an array of texts', () => ['one', '', 'grüße']],
  ['a set of views', () => new Set([Buffer.from('a'), new Uint32Array([66]), new DataView(new ArrayBuffer(2))])],
  [
    'a generator',
    () =>
      (function* () {
        for (let i = 0; i < 50; i++) yield i % 2 ? `${i}\n` : Buffer.from(`${i};`);
      })(),
  ],
  [
    'an asynchronous generator',
    () =>
      (async function* () {
        for (let i = 0; i < 20; i++) {
          await new Promise((resolve) => setImmediate(resolve));
          yield `${i}.`;
        }
      })(),
  ],
  ['a stream', () => Readable.from([Buffer.alloc(100_000, 'x'), Buffer.alloc(3, 'y')])],
  ['promises', () => [Promise.resolve('late'), 'soon'] as never],
  ['nothing in pieces', () => []],
];

/* How many bytes a reader that does not wait gets. */
const taken = (fd: number): number => {
  try {
    return fs.readSync(fd, Buffer.alloc(10));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
};

describe('writeFile', () => {
  it.each(contents)('writes %s', async (_name, make) => {
    for (const flag of [undefined, 'a', 'r+', 'wx']) {
      for (const name of ['new', 'old', 'link']) {
        const [mine, nodes] = await both((write, path) =>
          write(path(name) as never, make() as never, { flag } as never),
        );
        expect(mine, `${flag} ${name}`).toEqual(nodes);
      }
    }
  });

  it.each(contents)('writes %s atomically', async (_name, make) => {
    for (const name of ['new', 'old', 'link']) {
      const [mine, nodes] = await both((write, path) =>
        write(path(name) as never, make() as never, { atomic: true, flush: true } as never),
      );
      expect(mine, name).toEqual(nodes);
    }
  });

  it('takes modes, encodings and flush', async () => {
    for (const options of [
      'latin1',
      'hex',
      'base64url',
      'utf16le',
      'UTF-8',
      { encoding: 'latin1', mode: 0o600 },
      { mode: '640', flush: true },
      { mode: 0o7777 },
    ]) {
      for (const data of ['abcd', ['ab', 'cd']]) {
        const [mine, nodes] = await both((write, path) => write(path('new') as never, data as never, options as never));
        expect(mine, JSON.stringify(options)).toEqual(nodes);
      }
    }
  });

  it('fails as node:fs fails', async () => {
    const cases: [string, unknown][] = [
      ['folder', undefined],
      ['old', { flag: 'wx' }],
      ['nope/x', undefined],
      ['old/x', undefined],
      ['nope', { flag: 'r+' }],
      ['old', { flag: 'r' }], // EBADF at the write
      ['dangling', undefined],
      ['circle', undefined],
      ['x'.repeat(256), undefined],
      ['a\0b', undefined],
    ];
    for (const data of ['data', ['da', 'ta']]) {
      for (const [name, options] of cases) {
        const [mine, nodes] = await both((write, path) =>
          write((name.includes('\0') ? name : path(name)) as never, data as never, options as never),
        );
        if (name.includes('\0')) {
          expect(mine.end.error.code).toBe(nodes.end.error.code);
        } else expect(mine, name).toEqual(nodes);
      }
    }
    await expect(writeFile(folder, 'x', { atomic: true })).rejects.toMatchObject({ code: 'EISDIR', path: folder });
    for (const data of [undefined, null, 5, {}, Symbol('s'), () => 1]) {
      const [mine, nodes] = await both((write, path) => write(path('old') as never, data as never));
      expect(mine.end.error.code, String(data)).toBe(nodes.end.error.code);
      expect(mine.tree).toEqual(nodes.tree);
    }
    for (const chunk of [5, null, {}]) {
      const [mine, nodes] = await both((write, path) => write(path('old') as never, ['first', chunk] as never));
      expect(mine.end.error.code, String(chunk)).toBe(nodes.end.error.code);
      expect(mine.tree).toEqual(nodes.tree);
    }
  });

  it('writes to a FIFO, and replaces none by a file', async () => {
    const path = at('fifo of its own');
    execFileSync('mkfifo', [path]);
    const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    await writeFile(path, 'text');
    expect(taken(reader)).toBe(4);
    await expect(writeFile(path, 'x', { atomic: true })).rejects.toMatchObject({ code: 'EINVAL', syscall: 'open' });
    expect(fs.lstatSync(path).isFIFO()).toBe(true);
    expect(taken(reader)).toBe(0);
    fs.closeSync(reader);
  });

  const mayMakeDevices = (): boolean => spawnSync('mknod', [at('full'), 'c', '1', '7']).status === 0;
  it.skipIf(!mayMakeDevices())('writes to a device of its own, and replaces none by a file', async () => {
    for (const data of ['data', ['da', 'ta']]) {
      expect(await outcome(writeFile(at('full'), data))).toEqual(
        await outcome(fs.promises.writeFile(at('full'), data)),
      );
    }
    await expect(writeFile(at('full'), 'x', { atomic: true })).rejects.toMatchObject({
      code: 'EINVAL',
      syscall: 'open',
    });
    expect(fs.lstatSync(at('full')).isCharacterDevice()).toBe(true);
  });

  it('writes where a FileHandle stands', async () => {
    const texts = [];
    for (const opener of [open, fs.promises.open] as (typeof open)[]) {
      const handle = await opener(at('handle'), 'w+');
      await handle.write('0123456789');
      const write = opener === open ? writeFile : fs.promises.writeFile;
      await write(handle as never, 'abc');
      await write(handle as never, ['d', 'ef']);
      expect(handle.fd).toBeGreaterThan(2); // it stays open
      await handle.close();
      texts.push(fs.readFileSync(at('handle'), 'utf8'));
    }
    expect(texts).toEqual(['0123456789abcdef', '0123456789abcdef']);
    const closed = await open(at('handle'));
    await closed.close();
    await expect(writeFile(closed, 'x')).rejects.toMatchObject({ code: 'EBADF', syscall: 'write' });
    await expect(writeFile(closed, ['x'])).rejects.toMatchObject({ code: 'EBADF', syscall: 'write' });
    await using handle = await open(at('handle'), 'w');
    await expect(writeFile(handle, 'x', { atomic: true })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('ends the source of pieces when it fails or is aborted', async () => {
    const before = descriptors();
    for (const atomic of [false, true]) {
      let ended = 0;
      const source = async function* (): AsyncGenerator<string> {
        try {
          yield 'first';
          yield 5 as never;
        } finally {
          ended++;
        }
      };
      await expect(writeFile(at('pieces'), source(), { atomic })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      });
      expect(ended).toBe(1);
      const broken = async function* (): AsyncGenerator<string> {
        yield 'first';
        throw new TypeError('broken');
      };
      await expect(writeFile(at('pieces'), broken(), { atomic })).rejects.toThrow('broken');
      // An abort does not wait for what may never come; the descriptor is closed.
      const controller = new AbortController();
      let asked = false;
      const stuck: AsyncIterable<string> = {
        [Symbol.asyncIterator]: () => ({
          next: () => {
            asked = true;
            return new Promise(() => {});
          },
          return: async () => {
            ended++;
            return { value: undefined, done: true };
          },
        }),
      };
      const pending = writeFile(at('pieces'), stuck, { atomic, signal: controller.signal });
      const rejected = expect(pending).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
      await until(() => asked);
      controller.abort('enough');
      await rejected;
      expect(ended).toBe(2);
      await expect(writeFile(at('pieces'), stuck, { atomic, timeout: 5 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    }
    await until(() => descriptors() <= before);
    expect(fs.readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('copies its data before it returns', async () => {
    const data = Buffer.alloc(100_000, 'a');
    const pending = writeFile(at('copied'), data);
    data.fill('b');
    await pending;
    expect(fs.readFileSync(at('copied')).equals(Buffer.alloc(100_000, 'a'))).toBe(true);
  });

  it('is aborted before it begins and while it is stuck, and leaves nothing open', async () => {
    execFileSync('mkfifo', [at('fifo')]);
    const before = descriptors();
    for (const data of ['x', Buffer.alloc(200_000), ['x', Buffer.alloc(200_000)]]) {
      await expect(writeFile(at('never'), data, { signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'ABORT_ERR',
      });
      expect(fs.existsSync(at('never'))).toBe(false);
      const controller = new AbortController();
      const opening = writeFile(at('fifo'), data, { signal: controller.signal });
      await until(() => counters().running === 1);
      controller.abort();
      await expect(opening).rejects.toMatchObject({ code: 'ABORT_ERR' });
      await expect(writeFile(at('fifo'), data, { timeout: 5 })).rejects.toMatchObject({
        code: 'ETIMEDOUT',
        syscall: 'open',
        path: at('fifo'),
      });
    }
    // A pipe that is full: the write itself is interrupted.
    const reader = fs.openSync(at('fifo'), fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    for (const data of [Buffer.alloc(200_000), [Buffer.alloc(200_000)]]) {
      const controller = new AbortController();
      const writing = writeFile(at('fifo'), data, { signal: controller.signal });
      await until(() => taken(reader) > 0);
      controller.abort();
      await expect(writing).rejects.toMatchObject({ code: 'ABORT_ERR' });
    }
    fs.closeSync(reader);
    await until(() => counters().running === 0 && descriptors() <= before);
  });

  it('an atomic write that is aborted anywhere leaves the old file or the new one, and nothing beside it', async () => {
    const home = at('atomic');
    fs.mkdirSync(home);
    const [old, fresh] = [Buffer.alloc(300_000, 'o'), Buffer.alloc(300_000, 'n')];
    const before = descriptors();
    let aborted = 0;
    for (let round = 0; round < 150; round++) {
      fs.writeFileSync(join(home, 'file'), old);
      const controller = new AbortController();
      const pending = outcome(
        writeFile(join(home, 'file'), fresh, { atomic: true, flush: round % 3 === 0, signal: controller.signal }),
      );
      const spins = round * 40;
      for (let i = 0; i < spins; i++) performance.now();
      controller.abort();
      aborted += 'error' in ((await pending) as object) ? 1 : 0;
      await until(() => counters().running === 0 && counters().queued === 0);
      const content = fs.readFileSync(join(home, 'file'));
      expect(content.equals(old) || content.equals(fresh)).toBe(true);
      expect(fs.readdirSync(home)).toEqual(['file']);
    }
    expect(aborted).toBeGreaterThan(0);
    await until(() => descriptors() <= before);
  });

  it.skipIf(process.getuid!() !== 0)('nobody else reads what replaces a private file (as root)', async () => {
    const home = at('private');
    fs.mkdirSync(home);
    fs.chmodSync(folder, 0o755);
    fs.chmodSync(home, 0o777);
    fs.writeFileSync(join(home, 'secret'), 'old', { mode: 0o600 });
    // Another user reads whatever is there, until the file `end` is.
    let told = '';
    const spied = run('spy', [home, 65_534], { onSaid: (text) => (told = text) });
    await until(() => told === 'ready\n');
    for (let i = 0; i < 300; i++) await writeFile(join(home, 'secret'), `new ${i}`, { atomic: true, flush: false });
    fs.writeFileSync(join(home, 'end'), '');
    const { looks, got } = JSON.parse((await spied).stdout.slice('ready'.length));
    expect(looks).toBeGreaterThan(1);
    expect(got).toBe(0);
    expect(fs.statSync(join(home, 'secret')).mode & 0o7777).toBe(0o600);
  });
});
