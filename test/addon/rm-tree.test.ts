// rmTree against fs.promises.rm: what goes, what stays, errors, aborts.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { counters, rmTree, SyscallError } from 'acall';
import { afterAll, describe, expect, it } from 'vitest';
import { descriptors, until } from '../support/quiet';
import { nastyTree } from './support/nasty-tree';
import { outcome } from './support/outcome';

const folder = fs.mkdtempSync(join(tmpdir(), 'acall-rm-'));
const at = (...names: string[]) => join(folder, ...names);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

type Remover = (path: never, options?: { force?: boolean }) => Promise<void>;
const removers: Remover[] = [
  rmTree as never,
  ((path: string, options?: object) => fs.promises.rm(path, { recursive: true, ...options })) as never,
];

/** Does the same with acall and with node:fs, each in a folder of its own. Returns the outcomes and what is left. */
async function both(act: (remove: Remover, home: string) => Promise<unknown>) {
  const found = [];
  for (const remove of removers) {
    const home = fs.mkdtempSync(at('home-'));
    fs.mkdirSync(join(home, 'tree/a/b/c'), { recursive: true });
    fs.mkdirSync(join(home, 'kept/inner'), { recursive: true });
    fs.writeFileSync(join(home, 'kept/inner/file'), 'kept');
    fs.writeFileSync(join(home, 'file'), '');
    for (let i = 0; i < 20; i++) fs.writeFileSync(join(home, 'tree/a', `f${i}`), '');
    fs.symlinkSync('../../kept', join(home, 'tree/a/link'));
    fs.symlinkSync('../kept/inner', join(home, 'tree/link'));
    fs.symlinkSync('kept', join(home, 'link'));
    fs.symlinkSync('nowhere', join(home, 'dangling'));
    const end = await outcome(act(remove, home));
    const left = fs.readdirSync(home, { recursive: true, encoding: 'utf8' }).sort();
    found.push(JSON.parse(JSON.stringify({ end, left }).replaceAll(home, '')));
    fs.rmSync(home, { recursive: true });
  }
  return found;
}

describe('rmTree', () => {
  it('removes what fs.promises.rm removes, and fails as it fails', async () => {
    for (const name of ['tree', 'tree/', 'tree/a/b', 'file', 'link', 'dangling', 'nope', 'file/x', 'x'.repeat(256)]) {
      for (const force of [false, true]) {
        const [mine, nodes] = await both((remove, home) => remove(`${home}/${name}` as never, { force }));
        if (name === 'file/x' && force) {
          expect(mine.left).toEqual(nodes.left);
          continue;
        }
        expect(mine, `${name} ${force}`).toEqual(nodes);
      }
    }
    for (const path of ['', 5, 'a\0b', undefined] as never[]) {
      const codes = [];
      for (const remove of removers)
        codes.push(((await outcome(remove(path))) as { error: Error & { code: string } }).error.code);
      expect(codes[0], String(path)).toBe(codes[1]);
    }
  });

  it('takes a nasty tree away, and nothing that its links lead to', async () => {
    const tree = await nastyTree();
    fs.mkdirSync(at('outside'));
    fs.writeFileSync(at('outside/file'), 'kept');
    for (const name of ['out', 'folder/out', 'folder/inner/out', 'many/out']) {
      fs.symlinkSync(at('outside'), join(tree.root, name));
    }
    const before = descriptors();
    await rmTree(tree.root);
    expect(fs.existsSync(tree.root)).toBe(false);
    expect(fs.readFileSync(at('outside/file'), 'utf8')).toBe('kept');
    await until(() => descriptors() <= before);
    tree.remove();
  });

  it('is not led away by a link that takes the place of the folder above it', async () => {
    let met = 0; // while the tree was half gone
    let files = 2500; // twice as many when it was gone by then
    for (let round = 0; round < 20 && met < 3; round++) {
      const home = fs.mkdtempSync(at('swap-'));
      const [outer, other, aside] = [join(home, 'outer'), join(home, 'other'), join(home, 'aside')];
      for (const parent of [outer, other]) fs.mkdirSync(join(parent, 'tree'), { recursive: true });
      for (let i = 0; i < files; i++) fs.writeFileSync(join(outer, 'tree', `f${i}`), '');
      for (let i = 0; i < 20; i++) fs.writeFileSync(join(other, 'tree', `f${i}`), '');
      const removing = rmTree(join(outer, 'tree'));
      while (fs.existsSync(join(outer, 'tree', 'f0')) && fs.existsSync(join(outer, 'tree', 'f1'))); // no turn of the loop
      fs.renameSync(outer, aside);
      fs.symlinkSync(other, outer);
      if (fs.existsSync(join(aside, 'tree'))) met++;
      else files = Math.min(files * 2, 40_000);
      await removing;
      expect(fs.existsSync(join(aside, 'tree'))).toBe(false);
      expect(fs.readdirSync(join(other, 'tree')).length).toBe(20);
    }
    expect(met).toBeGreaterThan(0);
  });

  it('takes paths that are no UTF-8, and URLs', async () => {
    const name = Buffer.concat([Buffer.from(at('tree')), Buffer.from([0xff])]);
    fs.mkdirSync(name);
    fs.writeFileSync(Buffer.concat([name, Buffer.from('/x')]), '');
    await rmTree(name);
    expect(fs.existsSync(name)).toBe(false);
    fs.mkdirSync(at('url'));
    await rmTree(new URL(`file://${at('url')}`));
    expect(fs.existsSync(at('url'))).toBe(false);
  });

  it('refuses before anything goes what rmdir(2) refuses in the end', async () => {
    fs.mkdirSync(at('dot/inner'), { recursive: true });
    fs.symlinkSync('dot', at('dot link'));
    for (const path of [`${at('dot')}/.`, `${at('dot')}/inner/..`, `${at('dot link')}/`]) {
      await expect(rmTree(path)).rejects.toBeInstanceOf(SyscallError);
      expect(fs.existsSync(at('dot/inner'))).toBe(true);
    }
  });

  it('calls onError for each entry that stays, and rejects with the first', async () => {
    // Nobody can remove what lies in /proc, root included.
    const told: SyscallError[] = [];
    const error = await rmTree('/proc/self/attr', { onError: (error) => told.push(error) }).catch((error) => error);
    expect(error).toBeInstanceOf(SyscallError);
    expect(told.length).toBeGreaterThan(1);
    expect(error).toBe(told[0]);
    for (const { syscall, code, path } of told) {
      expect(['unlink', 'rmdir', 'scandir']).toContain(syscall);
      expect(['EPERM', 'EACCES', 'ENOTEMPTY']).toContain(code);
      expect(path).toMatch(/^\/proc\/self\/attr/);
    }
    await expect(
      rmTree('/proc/self/attr', {
        onError: () => {
          throw new Error('mine');
        },
      }),
    ).rejects.toThrow('mine');
  });

  it('refuses bad options', async () => {
    for (const options of [5, { force: 1 }, { onError: 1 }, { timeout: 'x' }] as never[]) {
      await expect(rmTree(at('nope'), options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    }
  });

  it('is aborted anywhere, and leaves no descriptor and nothing outside touched', async () => {
    const before = descriptors();
    fs.mkdirSync(at('safe'));
    fs.writeFileSync(at('safe/file'), '');
    let aborted = 0;
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 20; i++) {
        fs.mkdirSync(at('big', `d${i}`), { recursive: true });
        for (let j = 0; j < 20; j++) fs.writeFileSync(at('big', `d${i}`, `f${j}`), '');
        fs.symlinkSync(at('safe'), at('big', `d${i}`, 'safe'));
      }
      const controller = new AbortController();
      const pending = outcome(rmTree(at('big'), { signal: controller.signal }));
      for (let i = 0; i < round * 400; i++) performance.now();
      controller.abort();
      aborted += 'error' in ((await pending) as object) ? 1 : 0;
      await until(() => counters().running === 0 && counters().queued === 0);
      await rmTree(at('big'), { force: true });
      expect(fs.existsSync(at('big'))).toBe(false);
      expect(fs.existsSync(at('safe/file'))).toBe(true);
    }
    expect(aborted).toBeGreaterThan(0);
    await expect(rmTree(at('safe'), { signal: AbortSignal.abort('no') })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(fs.existsSync(at('safe/file'))).toBe(true);
    await until(() => descriptors() <= before);
  });

  it('two removals of one tree at once: it goes, whoever meets what the other has removed', async () => {
    for (let i = 0; i < 50; i++) fs.mkdirSync(at('twice', `d${i}`, 'x'), { recursive: true });
    const results = await Promise.allSettled([rmTree(at('twice')), rmTree(at('twice'))]);
    expect(fs.existsSync(at('twice'))).toBe(false);
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
  });
});
