// copyFile and mkdirp against node:fs, on a nasty tree: results, errors, what is left.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { copyFile, counters, mkdirp } from 'acall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { descriptors, until } from '../support/quiet';
import { type NastyTree, nastyTree } from './support/nasty-tree';
import { outcome } from './support/outcome';

const { answerOf } = programsOf<typeof import('./programs/copy-file.cjs')>(
  join(__dirname, 'programs', 'copy-file.cjs'),
);

const { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = fs.constants;
const folder = fs.mkdtempSync(join(tmpdir(), 'acall-copy-'));
const at = (...names: string[]) => join(folder, ...names);
let tree: NastyTree;
beforeAll(async () => {
  tree = await nastyTree();
});
afterAll(() => {
  tree.remove();
  fs.rmSync(folder, { recursive: true });
});

type Copier = typeof fs.promises.copyFile;
const copiers = [copyFile as Copier, fs.promises.copyFile];

/** Does the same with acall and with node:fs, each in a folder of its own. */
async function both(act: (copy: Copier, home: string) => Promise<unknown>) {
  const found = [];
  for (const copy of copiers) {
    const home = fs.mkdtempSync(at('home-'));
    const end = await outcome(act(copy, home));
    const left = fs.readdirSync(home).map((name) => {
      const { mode, size } = fs.lstatSync(join(home, name));
      return [
        name,
        mode,
        size,
        fs.lstatSync(join(home, name)).isFile() ? fs.readFileSync(join(home, name), 'latin1') : '',
      ];
    });
    found.push(JSON.parse(JSON.stringify({ end, left }).replaceAll(home, '')));
    fs.rmSync(home, { recursive: true });
  }
  return found;
}

function isFolder(path: string): boolean {
  try {
    return fs.statSync(path).isDirectory();
  } catch {
    return false;
  }
}

describe('copyFile', () => {
  it('copies what node:fs copies, and fails as it fails', async () => {
    const sources = [
      ...fs
        .readdirSync(tree.root, { withFileTypes: true })
        .filter((entry) => !entry.isFIFO() && !['sparse', 'many', 'deeper'].includes(entry.name))
        .map((entry) => join(tree.root, entry.name)),
      ...fs.readdirSync(join(tree.root, 'folder/inner')).map((name) => join(tree.root, 'folder/inner', name)),
      join(tree.root, 'nope'),
      join(tree.root, 'file/x'),
      join(tree.root, 'x'.repeat(256)),
      '',
    ];
    for (const source of sources) {
      if (isFolder(source)) continue; // see below
      for (const mode of [0, COPYFILE_EXCL, COPYFILE_FICLONE]) {
        for (const target of ['new', 'there', 'nope/x']) {
          const [mine, nodes] = await both((copy, home) => {
            fs.writeFileSync(join(home, 'there'), 'a longer text than that of many a source', { mode: 0o600 });
            return copy(source, join(home, target), mode);
          });
          expect(mine, `${relative(tree.root, source)} ${mode} ${target}`).toEqual(nodes);
        }
      }
    }
  });

  it('takes paths that are no UTF-8, and Buffers and URLs', async () => {
    const inner = Buffer.from(join(tree.root, 'folder/inner/'));
    for (const name of fs.readdirSync(inner, { encoding: 'buffer' })) {
      const source = Buffer.concat([inner, name]);
      if (!fs.lstatSync(source).isFile()) continue;
      await copyFile(source, at('bytes'));
      expect(fs.readFileSync(at('bytes')).equals(fs.readFileSync(source))).toBe(true);
    }
    await copyFile(new URL(`file://${tree.root}/file`), Buffer.from(at('from url')));
    expect(fs.readFileSync(at('from url'), 'utf8')).toBe('content');
  });

  it('leaves the target alone when the source is a folder', async () => {
    fs.writeFileSync(at('kept'), 'kept');
    await expect(copyFile(tree.root, at('kept'))).rejects.toMatchObject({
      code: 'EISDIR',
      syscall: 'copyfile',
      path: tree.root,
      dest: at('kept'),
      message: `EISDIR: illegal operation on a directory, copyfile '${tree.root}' -> '${at('kept')}'`,
    });
    expect(fs.readFileSync(at('kept'), 'utf8')).toBe('kept');
  });

  it('names the target in errors as node:fs does', async () => {
    for (const [source, dest, mode] of [
      ['file', 'empty', COPYFILE_EXCL],
      ['file', 'folder', 0],
      ['file', 'nope/x', 0],
      ['file', 'nope/', 0],
      ['file', 'empty/', 0],
      ['file', 'folder/', COPYFILE_EXCL],
      ['file', `${'x'.repeat(256)}/`, 0], // no name is too long for what is no file anyway
      ['file', 'x', 2 ** 32],
      ['nope', 'empty', 0],
      ['circle one', 'x', 0],
    ] as const) {
      const errors = [];
      for (const copy of copiers) {
        const error = await copy(join(tree.root, source), join(tree.root, dest), mode).catch((error) => error);
        const { code, errno, syscall, path, dest: to, message } = error;
        errors.push({ code, errno, syscall, path, to, message });
      }
      expect(errors[0]).toEqual(errors[1]);
    }
  });

  it('copies a file onto itself without harm', async () => {
    for (const [from, to] of [
      ['file', 'file'],
      ['file', 'link'],
      ['folder/large', 'third name'],
    ] as const) {
      const size = fs.statSync(join(tree.root, from)).size;
      await copyFile(join(tree.root, from), join(tree.root, to));
      expect(fs.statSync(join(tree.root, from)).size).toBe(size);
    }
  });

  it('keeps holes', async () => {
    const file = at('holes');
    const fd = fs.openSync(file, 'w');
    for (const position of [0, 1 << 20, 5 << 20]) fs.writeSync(fd, Buffer.alloc(5000, 'x'), 0, 5000, position);
    fs.ftruncateSync(fd, 20 << 20);
    fs.closeSync(fd);
    for (const source of [file, join(tree.root, 'sparse')]) {
      await copyFile(source, at('holes copied'));
      const [a, b] = [fs.statSync(source), fs.statSync(at('holes copied'))];
      expect(b.size).toBe(a.size);
      expect(b.blocks).toBeLessThanOrEqual(a.blocks + 64);
      expect(fs.readFileSync(at('holes copied')).equals(fs.readFileSync(source))).toBe(true);
      fs.rmSync(at('holes copied'));
    }
  });

  it('copies files that say they are empty, from other file systems and to them', async () => {
    await copyFile('/proc/version', at('version'));
    expect(fs.readFileSync(at('version'), 'utf8')).toBe(fs.readFileSync('/proc/version', 'utf8'));
    const inMemory = fs.mkdtempSync(join('/dev/shm', 'acall-copy-'));
    const shared = join(inMemory, 'large');
    try {
      await copyFile(join(tree.root, 'folder/large'), shared);
      await copyFile(shared, at('back'), COPYFILE_FICLONE);
      expect(fs.readFileSync(at('back')).equals(fs.readFileSync(join(tree.root, 'folder/large')))).toBe(true);
    } finally {
      fs.rmSync(inMemory, { recursive: true });
    }
    const [mine, nodes] = await both((copy, home) => copy('/dev/null', join(home, 'x')));
    expect(mine).toEqual(nodes);
    const cloned = await both((copy, home) => copy(join(tree.root, 'file'), join(home, 'x'), COPYFILE_FICLONE_FORCE));
    expect(cloned[0].left.length).toBe(cloned[1].left.length);
    expect('error' in cloned[0].end).toBe('error' in cloned[1].end);
  });

  it('leaves a target alone when it cannot share blocks with the source, as it has to; shorter sources leave no tail', async () => {
    fs.writeFileSync(at('short'), 'new');
    for (const mode of [COPYFILE_FICLONE_FORCE, COPYFILE_FICLONE]) {
      fs.writeFileSync(at('precious'), 'precious, and longer', { mode: 0o600 });
      const end = await outcome(copyFile(at('short'), at('precious'), mode));
      const isCloned = !('error' in (end as object));
      if (mode === COPYFILE_FICLONE) expect(isCloned).toBe(true);
      expect(fs.readFileSync(at('precious'), 'utf8')).toBe(isCloned ? 'new' : 'precious, and longer');
      expect(fs.statSync(at('precious')).mode & 0o777).toBe(isCloned ? fs.statSync(at('short')).mode & 0o777 : 0o600);
    }
  });

  it('has the errors of node:fs for targets that take no copy', async () => {
    fs.writeFileSync(at('is-file'), '');
    for (const target of [`${at('is-file')}/`, `${at('is-file')}/x/`, `${at('not-there')}/`, '/proc/version']) {
      const codes = [copyFile, fs.promises.copyFile].map((copy) =>
        copy(join(tree.root, 'file'), target).catch((error: NodeJS.ErrnoException) => error.code),
      );
      const [mine, nodes] = await Promise.all(codes);
      expect([target, mine]).toEqual([target, nodes]);
    }
  });

  it('touches nothing when restrict() leaves only some of its calls, nor do writeFile and rmTree', async () => {
    fs.mkdirSync(at('restricted/tree'), { recursive: true });
    for (const name of ['source', 'there', 'tree/file']) fs.writeFileSync(at('restricted', name), name);
    const told = await answerOf('changeRestricted', [], { cwd: at('restricted') });
    expect(told).toEqual(Array(6).fill({ code: 'EPERM', refused: true }));
    expect(fs.readdirSync(at('restricted')).sort()).toEqual(['source', 'there', 'tree']);
    for (const name of ['source', 'there', 'tree/file'])
      expect(fs.readFileSync(at('restricted', name), 'utf8')).toBe(name);
  });

  it('leaves a target that was there where it is when it is aborted', async () => {
    const source = at('large');
    fs.writeFileSync(source, Buffer.alloc(8 << 20, 'abcdefg'));
    fs.writeFileSync(at('stays'), 'old');
    const { ino } = fs.statSync(at('stays'));
    let aborted = 0;
    for (let round = 0; round < 30; round++) {
      const controller = new AbortController();
      const pending = outcome(copyFile(source, at('stays'), { signal: controller.signal }));
      for (let i = 0; i < round * 600; i++) performance.now();
      controller.abort();
      aborted += 'error' in ((await pending) as object) ? 1 : 0;
      expect(fs.statSync(at('stays')).ino).toBe(ino);
      await until(() => counters().running === 0 && counters().queued === 0);
      expect(fs.statSync(at('stays')).ino).toBe(ino);
    }
    expect(aborted).toBeGreaterThan(0);
  });

  it('copies many large files at once with few descriptors', async () => {
    fs.mkdirSync(at('few'));
    for (let i = 0; i < 60; i++) fs.writeFileSync(at('few', `f${i}`), Buffer.alloc(1 << 20, String(i)));
    const launcher = ['sh', '-c', 'ulimit -n 24; exec "$@"', 'sh'];
    expect(await answerOf('copyMany', [60], { cwd: at('few'), launcher })).toBe(0);
    for (let i = 0; i < 60; i++)
      expect(fs.readFileSync(at('few', `g${i}`)).equals(fs.readFileSync(at('few', `f${i}`)))).toBe(true);
  });

  it('refuses bad arguments as node:fs does', async () => {
    for (const args of [
      [5, 'x'],
      ['x', 5],
      ['a\0', 'x'],
      ['x', 'a\0'],
      ['x', 'y', 8],
      ['x', 'y', -1],
    ] as never[][]) {
      const codes = [];
      for (const copy of copiers)
        codes.push((await (copy as never as (...a: never[]) => Promise<void>)(...args).catch((e) => e)).code);
      expect(codes[0], JSON.stringify(args)).toBe(codes[1]);
    }
  });

  it('is aborted anywhere, and leaves a whole target or none, and no descriptor', async () => {
    const source = at('big');
    fs.writeFileSync(source, Buffer.alloc(8 << 20, 'abcdefg'));
    const whole = fs.statSync(source).size;
    const before = descriptors();
    await expect(copyFile(source, at('t'), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    });
    let aborted = 0;
    for (let round = 0; round < 60; round++) {
      const controller = new AbortController();
      const pending = outcome(copyFile(source, at('t'), { signal: controller.signal }));
      for (let i = 0; i < round * 300; i++) performance.now();
      if (round % 2) await new Promise((resolve) => setImmediate(resolve));
      controller.abort();
      aborted += 'error' in ((await pending) as object) ? 1 : 0;
      await until(() => counters().running === 0 && counters().queued === 0);
      if (fs.existsSync(at('t'))) expect(fs.statSync(at('t')).size).toBe(whole);
      fs.rmSync(at('t'), { force: true });
    }
    expect(aborted).toBeGreaterThan(0);
    execFileSync('mkfifo', [at('fifo')]);
    await expect(copyFile(at('fifo'), at('t'), { timeout: 5 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'copyfile',
    });
    await until(() => counters().running === 0 && descriptors() <= before);
    expect(fs.existsSync(at('t'))).toBe(false);
  });
});

describe('mkdirp', () => {
  type Maker = (path: never, options?: never) => Promise<string | undefined>;
  const makers: Maker[] = [
    mkdirp as never,
    ((path: string, options?: number | { mode?: number }) =>
      fs.promises.mkdir(path, {
        recursive: true,
        ...(typeof options === 'object' ? options : { mode: options }),
      })) as never,
  ];
  async function made(act: (make: Maker, home: string) => Promise<unknown>) {
    const found = [];
    for (const make of makers) {
      const home = fs.mkdtempSync(at('mk-'));
      fs.mkdirSync(join(home, 'there/deep'), { recursive: true });
      fs.writeFileSync(join(home, 'file'), '');
      fs.symlinkSync('there', join(home, 'link'));
      fs.symlinkSync('nowhere', join(home, 'dangling'));
      fs.symlinkSync('circle', join(home, 'circle'));
      const end = await outcome(act(make, home));
      const left = fs
        .readdirSync(home, { recursive: true, encoding: 'utf8' })
        .sort()
        .map((name) => [name, fs.lstatSync(join(home, name)).mode]);
      found.push(JSON.parse(JSON.stringify({ end, left }).replaceAll(home, '')));
      fs.rmSync(home, { recursive: true });
    }
    return found;
  }

  it('makes what fs.promises.mkdir makes, errors included', async () => {
    for (const name of [
      '',
      'a',
      'a/b/c',
      'a//b/',
      'a/./b/../c',
      'there',
      'there/',
      'there/deep/er/and/er',
      'link/x/y',
      'dangling',
      'dangling/',
      'dangling/x',
      'circle/x',
      'file',
      'file/x',
      'file/x/y',
      'x'.repeat(256),
      `a/${'x'.repeat(256)}/b`,
      'grüße/\u{1f600}',
      `${'long/'.repeat(700)}end`,
      `${'long/'.repeat(900)}end`,
    ]) {
      const [mine, nodes] = await made((make, home) => make(`${home}/${name}` as never));
      expect(mine, name.slice(0, 80)).toEqual(nodes);
    }
    for (const path of ['', '/', '.', '/proc/version/x']) {
      const [mine, nodes] = await made((make) => make(path as never));
      expect(mine, path).toEqual(nodes);
    }
    // node:fs never settles here.
    await expect(mkdirp('/proc/nope')).rejects.toMatchObject({ code: 'ENOENT', syscall: 'mkdir', path: '/proc/nope' });
    for (const options of [0o700, { mode: 0o750 }, { mode: 0o1777 }]) {
      const [mine, nodes] = await made((make, home) => make(`${home}/m/n` as never, options as never));
      expect(mine).toEqual(nodes);
    }
  });

  it('many that make the same folders all succeed, and one has made each', async () => {
    const path = at('race/a/b/c/d/e');
    const firsts = await Promise.all(Array.from({ length: 200 }, () => mkdirp(path)));
    expect(fs.statSync(path).isDirectory()).toBe(true);
    expect(firsts.filter((first) => first === at('race')).length).toBe(1);
  });

  it('takes a signal', async () => {
    await expect(mkdirp(at('never'), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(fs.existsSync(at('never'))).toBe(false);
  });
});
