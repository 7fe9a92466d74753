import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as acall from 'acall';
import { afterAll, describe, expect, it } from 'vitest';
import { descriptors, until } from '../support/quiet';
import { outcome } from './support/outcome';

const { constants, counters, open, readFile, syscall } = acall;
type FileHandle = acall.FileHandle;
const folder = fs.mkdtempSync(join(tmpdir(), 'acall-files-'));
const at = (name: string) => join(folder, name);
afterAll(() => fs.rmSync(folder, { recursive: true }));

describe('readFile', () => {
  fs.writeFileSync(at('empty'), '');
  fs.writeFileSync(at('text'), 'grüße \u{1f600}\n'.repeat(100));
  fs.writeFileSync(at('large'), Buffer.alloc(20_000_001, 'abc'));
  fs.symlinkSync('text', at('link'));
  fs.symlinkSync('nowhere', at('dangling'));
  const paths = ['empty', 'text', 'link', 'dangling', 'nope', '', 'text/x'].map(at);

  it('equals node:fs, errors included', async () => {
    for (const path of [
      ...paths,
      folder,
      '/proc/version',
      '/proc/self/cmdline',
      '/sys/kernel/mm/transparent_hugepage/enabled',
      '/dev/null',
    ]) {
      expect(await outcome(readFile(path)), path).toEqual(await outcome(fs.promises.readFile(path)));
      expect(await outcome(readFile(path, 'utf8')), path).toEqual(await outcome(fs.promises.readFile(path, 'utf8')));
    }
    expect((await readFile(at('large'))).equals(fs.readFileSync(at('large')))).toBe(true);
  });

  it('takes encodings and flags', async () => {
    for (const encoding of ['latin1', 'hex', 'base64', 'utf16le'] as const) {
      expect(await readFile(at('text'), { encoding })).toBe(fs.readFileSync(at('text'), { encoding }));
    }
    expect(await readFile(at('text'), null)).toEqual(fs.readFileSync(at('text')));
    expect(await readFile(at('new'), { flag: 'a+' })).toEqual(Buffer.alloc(0));
    expect(fs.existsSync(at('new'))).toBe(true);
    const bad = await outcome(readFile(at('text'), 'klingon' as never));
    expect(bad).toMatchObject({ error: { code: 'ERR_INVALID_ARG_VALUE' } });
  });

  it('reads from where a FileHandle stands', async () => {
    await using handle = await open(at('text'));
    await handle.read(Buffer.alloc(6));
    expect(await readFile(handle, 'utf8')).toBe(fs.readFileSync(at('text'), 'utf8').slice(4));
  });

  it('leaves no descriptor behind, whatever becomes of it', async () => {
    spawnSync('mkfifo', [at('fifo')]);
    const before = descriptors();
    const controller = new AbortController();
    const stuck = readFile(at('fifo'), { signal: controller.signal });
    await until(() => counters().running === 1);
    controller.abort();
    await expect(stuck).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(readFile(at('fifo'), { timeout: 10 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'open',
      path: at('fifo'),
    });
    await outcome(readFile(folder));
    await readFile(at('large'));
    await until(() => counters().running === 0 && descriptors() <= before);
  });
});

describe('open', () => {
  it('opens as node:fs does, errors included', async () => {
    for (const flags of ['r', 'r+', 'rs+', 'w', 'wx', 'w+', 'a', 'ax', 'a+', 'as', 'as+', 'xa+', fs.constants.O_RDWR]) {
      for (const name of ['there', 'not there']) {
        const results = [];
        for (const opener of [open, fs.promises.open] as (typeof open)[]) {
          fs.rmSync(at('not there'), { force: true });
          fs.writeFileSync(at('there'), 'content');
          const found = (await outcome(opener(at(name), flags, 0o640))) as { value?: FileHandle };
          if (found.value !== undefined) {
            const status = await syscall('fcntl', [found.value.fd, constants.F_GETFL]);
            const cloexec = await syscall('fcntl', [found.value.fd, constants.F_GETFD]);
            const { size, mode } = await found.value.stat();
            await found.value.close();
            results.push({ status, cloexec, size, mode });
          } else results.push(found);
        }
        expect(results[0], `${flags} ${name}`).toEqual(results[1]);
      }
    }
  });

  it('refuses what are no flags and modes, as node:fs does', async () => {
    for (const [flags, mode] of [
      ['z', 0],
      ['rx', 0],
      [1.5, 0],
      [{}, 0],
      ['r', -1],
      ['r', 'abc'],
      ['r', 1.5],
      ['r', {}],
    ] as [never, never][]) {
      const [mine, nodes] = [
        await outcome(open(at('there'), flags, mode)),
        await outcome(fs.promises.open(at('there'), flags, mode)),
      ];
      expect(mine).toMatchObject({ error: { code: (nodes as { error: { code: string } }).error.code } });
    }
  });

  it('closes what is opened although its caller has gone', async () => {
    const before = descriptors();
    for (let i = 0; i < 200; i++) {
      const controller = new AbortController();
      const pending = outcome(open(at('there'), 'r', 0, { signal: controller.signal }));
      if (i % 2) await new Promise((resolve) => setImmediate(resolve));
      controller.abort();
      const { value } = (await pending) as { value?: FileHandle };
      await value?.close();
    }
    await expect.poll(() => counters().running, { timeout: 10_000 }).toBe(0);
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  });
});

describe('FileHandle', () => {
  it('reads and writes as that of node:fs', async () => {
    const scripts = await Promise.all(
      ([open, fs.promises.open] as (typeof open)[]).map(async (opener, i) => {
        const handle = await opener(at(`script ${i}`), 'w+');
        const told: unknown[] = [];
        told.push(await handle.write('hello world'));
        told.push(await handle.write('HE', 0));
        told.push(await handle.write(Buffer.from('xxWORLDxx'), 2, 5, 6));
        told.push(await handle.write(new Uint16Array([0x2121]), { position: 11 }));
        told.push(await handle.write('6869', 20, 'hex'));
        told.push(await handle.write(''));
        const buffer = Buffer.alloc(8, '.');
        told.push((await handle.read(buffer, 1, 5, 0)).bytesRead, buffer.toString());
        told.push((await handle.read(buffer, { offset: 6, position: 6 })).bytesRead, buffer.toString());
        told.push((await handle.read({ buffer, position: 18, length: 4 })).bytesRead, buffer.toString('latin1'));
        told.push((await handle.read(buffer, 0, 0)).bytesRead);
        told.push(((await handle.read(new DataView(new ArrayBuffer(3)), 0, 3, 2)).buffer as DataView).getUint8(0));
        told.push((await handle.read()).bytesRead);
        told.push((await handle.read(buffer, 0, 8, 100)).bytesRead);
        await handle.truncate(5);
        await handle.sync();
        await handle.datasync();
        told.push((await handle.stat()).size, (await handle.stat({ bigint: true })).size);
        await handle.truncate();
        told.push((await handle.stat()).size);
        await handle.close();
        return told;
      }),
    );
    expect(scripts[0]).toEqual(scripts[1]);
    await using handle = await open(at('there'), 'w+');
    await handle.write('0123456789');
    const read = await handle.read(Buffer.alloc(4), 0, 4, 3n);
    expect({ ...read, buffer: read.buffer.toString() }).toEqual({ bytesRead: 4, buffer: '3456' });
    await expect(handle.read(Buffer.alloc(4), 0, 4, 2n ** 63n)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  });

  it('refuses what node:fs refuses', async () => {
    const handles = [await open(at('there')), await fs.promises.open(at('there'))] as FileHandle[];
    const buffer = Buffer.alloc(4);
    const calls: ((handle: FileHandle) => Promise<unknown>)[] = [
      (handle) => handle.read(buffer, 5),
      (handle) => handle.read(buffer, 0, 5),
      (handle) => handle.read(buffer, 0, -1),
      (handle) => handle.read(buffer, -1),
      (handle) => handle.read(buffer, 0.5),
      (handle) => handle.read('text' as never),
      (handle) => handle.write(5 as never),
      (handle) => handle.write(buffer, 5),
      (handle) => handle.write(buffer, 0, 9),
      (handle) => handle.write('x'), // opened for reading: EBADF
      (handle) => handle.write(''), // so too
      (handle) => handle.truncate(1.5),
    ];
    for (const [i, call] of calls.entries()) {
      const [mine, nodes] = (await Promise.all(handles.map((handle) => outcome(call(handle))))) as {
        error: { code: string };
      }[];
      expect(mine!.error.code, `call ${i}`).toBe(nodes!.error.code);
    }
    for (const handle of handles) await handle.close();
  });

  it('looks at the encoding, the signal and the rest in the order of node:fs', async () => {
    const nope = at('nope/x');
    const wrong = { signal: 5 } as never;
    for (const act of [
      (api) => api.readFile(at('there'), { encoding: 'klingon', signal: 5 } as never),
      (api) => api.readFile(5 as never, wrong),
      (api) => api.readFile(at('there'), { flag: 'rr', signal: 5 } as never),
      (api) => api.readFile(nope, { signal: AbortSignal.abort() }),
      (api) => api.writeFile(nope, '', { encoding: 'klingon', signal: 5 } as never),
      (api) => api.writeFile(nope, 5 as never, wrong),
      (api) => api.writeFile(nope, '', { flag: 'rr', signal: 5 } as never),
    ] as ((api: typeof fs.promises) => Promise<unknown>)[]) {
      const facts = (error: NodeJS.ErrnoException) => ({ code: error.code, message: error.message });
      const [mine, nodes] = await Promise.all(
        [acall as unknown as typeof fs.promises, fs.promises].map((api) => act(api).then(() => 'done', facts)),
      );
      expect(mine, String(act)).toEqual(nodes);
      expect(nodes).not.toBe('done');
    }
  });

  it('allocates and advises', async () => {
    await using handle = await open(at('room'), 'w+');
    await handle.allocate(0, 8192);
    expect((await handle.stat()).size).toBe(8192);
    await handle.allocate(8192, 4096, constants.FALLOC_FL_KEEP_SIZE);
    expect((await handle.stat()).size).toBe(8192);
    for (const advice of ['normal', 'sequential', 'random', 'willneed', 'dontneed', 'noreuse'] as const) {
      await handle.advise(0, 0, advice);
    }
    await expect(handle.advise(0, 0, 'often' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(handle.allocate(0, 0)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    await using pipe = await open(at('fifo'), 'r+');
    await expect(pipe.allocate(0, 1)).rejects.toMatchObject({ code: 'ESPIPE', syscall: 'fallocate' });
  });

  it('closes once its calls have settled, and only once', async () => {
    const before = descriptors();
    const handle = await open(at('fifo'), 'r+');
    const buffer = Buffer.alloc(5);
    const pending = handle.read(buffer);
    const closed = handle.close();
    expect(handle.fd).toBe(-1);
    expect(descriptors()).toBe(before + 1);
    await expect(handle.read(buffer)).rejects.toMatchObject({ code: 'EBADF', syscall: 'read' });
    const other = await open(at('fifo'), 'r+');
    await other.write('hello');
    expect(await pending).toEqual({ bytesRead: 5, buffer: Buffer.from('hello') });
    await Promise.all([closed, handle.close(), other.close()]);
    expect(descriptors()).toBe(before);
  });

  it('an aborted read rejects, leaves the buffer alone and does not hold up close', async () => {
    const handle = await open(at('fifo'), 'r+');
    const buffer = Buffer.alloc(4, 'x');
    const controller = new AbortController();
    const pending = handle.read(buffer, { signal: controller.signal });
    await until(() => counters().running === 1);
    controller.abort();
    await expect(pending).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(handle.read(buffer, 0, 4, null, { timeout: 5 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'read',
    });
    await handle.close();
    expect(buffer.toString()).toBe('xxxx');
  });

  it('is closed by await using, and by the collector with a warning', async () => {
    const before = descriptors();
    {
      await using handle = await open(at('there'));
      expect(handle.fd).toBeGreaterThan(2);
    }
    expect(descriptors()).toBe(before);
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    await open(at('there'));
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    let warning: Error | undefined;
    warned.then((error) => {
      warning = error;
    });
    for (const end = performance.now() + 20_000; warning === undefined && performance.now() < end; ) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    expect(warning?.message).toContain('garbage collection');
    await until(() => descriptors() === before);
  });
});
