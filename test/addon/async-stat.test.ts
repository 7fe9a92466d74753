import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { async_stat, asyncScope, counters, readdir, StatBuffer, wait_for_async } from 'acall';
import { describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { until } from '../support/quiet';

const { answerOf, run } = programsOf<typeof import('./programs/async-stat.cjs')>(
  join(__dirname, 'programs', 'async-stat.cjs'),
);

const kFields = [
  'dev',
  'mode',
  'nlink',
  'uid',
  'gid',
  'rdev',
  'blksize',
  'ino',
  'size',
  'blocks',
  'atimeMs',
  'mtimeMs',
  'ctimeMs',
  'birthtimeMs',
  'atime',
  'mtime',
  'ctime',
  'birthtime',
] as const; // prettier-ignore

describe('async_stat', () => {
  it('the readdir loop of 2007 works as written', async () => {
    const names = await readdir('/usr/bin');
    const entry = names.map(() => new StatBuffer());
    for (const [i, name] of names.entries()) expect(async_stat(`/usr/bin/${name}`, entry[i]!)).toBeUndefined();
    await wait_for_async();
    for (const [i, name] of names.entries()) {
      const path = `/usr/bin/${name}`;
      if (!fs.existsSync(path)) {
        expect(entry[i]!.error, path).toBe(-2);
        continue;
      }
      const stats = fs.statSync(path);
      expect(entry[i]!.error).toBe(0);
      for (const field of kFields.filter((field) => !field.startsWith('atime')))
        expect(entry[i]![field], path).toEqual(stats[field]);
      expect([entry[i]!.isFile(), entry[i]!.isDirectory(), entry[i]!.isSymbolicLink()]).toEqual([
        stats.isFile(),
        stats.isDirectory(),
        false,
      ]);
    }
  });

  it('puts failures into the buffer and rejects nothing; buffers may be used again', async () => {
    const entry = new StatBuffer();
    expect(entry.error).toBe(-115);
    async_stat('/nope', entry);
    expect(entry.error).toBe(-115);
    await wait_for_async();
    expect(entry.error).toBe(-2);
    async_stat('/etc/passwd/x', entry);
    await wait_for_async();
    expect(entry.error).toBe(-20);
    async_stat(Buffer.from('/etc'), entry);
    await wait_for_async();
    expect({ error: entry.error, ino: entry.ino }).toEqual({ error: 0, ino: fs.statSync('/etc').ino });
    async_stat(Buffer.from([0x2f, 0xff]), entry);
    await wait_for_async();
    expect(entry.error).toBe(-2);
    const folder = fs.mkdtempSync(join(tmpdir(), 'acall-async-stat-'));
    const bytes = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]);
    fs.writeFileSync(bytes, 'five!');
    async_stat(bytes, entry);
    await wait_for_async();
    expect({ error: entry.error, size: entry.size, isFile: entry.isFile() }).toEqual({
      error: 0,
      size: 5,
      isFile: true,
    });
    fs.rmSync(folder, { recursive: true });
  });

  it('scopes wait for their own only', async () => {
    const one = asyncScope();
    const other = asyncScope();
    const [a, b] = [new StatBuffer(), new StatBuffer()];
    one.async_stat('/etc', a);
    const waited = one.wait_for_async();
    other.async_stat('/usr', b);
    await waited;
    expect(a.error).toBe(0);
    await other.wait_for_async();
    expect(b.error).toBe(0);
    await Promise.all([one.wait_for_async(), other.wait_for_async(), wait_for_async()]);
  });

  it('a wait is for what came before it, and several may wait', async () => {
    const { async_stat, wait_for_async } = asyncScope();
    const buffers = Array.from({ length: 300 }, () => new StatBuffer());
    const waits = buffers.map((buffer, i) => {
      async_stat('/etc', buffer);
      return wait_for_async().then(() => buffers.slice(0, i + 1).every(({ error }) => error === 0));
    });
    expect(await Promise.all(waits)).toEqual(buffers.map(() => true));
  });

  it('ends a wait with AbortError or ETIMEDOUT, and the lookups go on', async () => {
    const { async_stat, wait_for_async } = asyncScope();
    const buffers = Array.from({ length: 100_000 }, () => new StatBuffer());
    for (const buffer of buffers) async_stat('/etc', buffer);
    const controller = new AbortController();
    const pending = wait_for_async({ signal: controller.signal });
    controller.abort(new Error('why'));
    await expect(pending).rejects.toMatchObject({ code: 'ABORT_ERR', cause: new Error('why') });
    await expect(wait_for_async({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(wait_for_async({ timeout: 0 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    await wait_for_async({ timeout: 60_000, signal: new AbortController().signal });
    expect(buffers.every(({ error }) => error === 0)).toBe(true);
    await until(() => counters().queued === 0 && counters().running === 0);
  });

  it('refuses what is no path, no buffer, no options', async () => {
    const entry = new StatBuffer();
    expect(() => async_stat('a\0b', entry)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    expect(() => async_stat(5 as never, entry)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => async_stat('/', {} as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    await expect(wait_for_async({ timeout: -1 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    await expect(wait_for_async(5 as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await wait_for_async();
  });

  it('keeps the process alive while somebody waits, and no longer', async () => {
    expect(await answerOf('waited', [])).toBe(0);
    for (const name of ['notWaited', 'waitedUnreferenced'] as const)
      expect(await run(name, [])).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});
