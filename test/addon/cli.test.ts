import { execFileSync, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const main = resolve(__dirname, '../../dist/cli/main.js');
const root = fs.mkdtempSync(join(tmpdir(), 'acall-cli-'));

function acall(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', ...env },
  });
  return { status, stdout, stderr };
}
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

beforeAll(() => {
  fs.mkdirSync(join(root, 'folder/deeper'), { recursive: true });
  fs.writeFileSync(join(root, 'file'), 'x'.repeat(5000));
  fs.writeFileSync(join(root, '.hidden'), '');
  fs.writeFileSync(join(root, 'folder/deeper/new\nline'), 'y');
  fs.symlinkSync('file', join(root, 'link'));
  fs.linkSync(join(root, 'file'), join(root, 'folder/again'));
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

describe('acall stat', () => {
  it('--json gives the numeric fields of Stats', () => {
    const { status, stdout } = acall(['stat', '--json', join(root, 'file')]);
    const expected = Object.fromEntries(
      Object.entries(fs.statSync(join(root, 'file'))).filter(([, value]) => typeof value === 'number'),
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual(expected);
  });

  it('follows links, unless --no-follow is given', () => {
    const size = (args: string[]) => JSON.parse(acall(['stat', '--json', ...args, join(root, 'link')]).stdout).size;
    expect(size([])).toBe(5000);
    expect(size(['--no-follow'])).toBe(4);
  });

  it('prints one line for each failure and goes on', () => {
    const { status, stdout, stderr } = acall(['stat', join(root, 'nope'), join(root, 'file')]);
    expect(status).toBe(1);
    expect(lines(stderr)).toEqual([`acall: ENOENT: no such file or directory, stat '${join(root, 'nope')}'`]);
    expect(stdout).toContain('5000');
  });
});

describe('acall ls', () => {
  it('lists names, hidden ones with --all', () => {
    expect(lines(acall(['ls', root]).stdout)).toEqual(['file', 'folder', 'link']);
    expect(lines(acall(['ls', '-a', root]).stdout)).toEqual(['.hidden', 'file', 'folder', 'link']);
  });

  it('--json gives one object per line, --long columns', () => {
    const entries = lines(acall(['ls', '--json', root]).stdout).map((line) => JSON.parse(line));
    expect(entries.map(({ name, type }) => [name, type])).toEqual([
      ['file', 'file'],
      ['folder', 'directory'],
      ['link', 'symlink'],
    ]);
    expect(entries[0].size).toBe(5000);
    expect(lines(acall(['ls', '-l', root]).stdout)[0]).toMatch(
      /^-rw.{7} +2 +\d+:\d+ +5000 +\d{4}-\d\d-\d\d \d\d:\d\d +file$/,
    );
  });

  it('fails for what is no folder', () => {
    const { status, stderr } = acall(['ls', join(root, 'file')]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `acall: ENOTDIR: not a directory, scandir '${join(root, 'file')}'\n`,
    });
  });
});

describe('acall walk', () => {
  it('prints every path once', () => {
    const found = acall(['walk', '-0', root]).stdout.split('\0').slice(0, -1).sort();
    const expected = execFileSync('find', [root, '-mindepth', '1', '-print0'], { encoding: 'utf8' })
      .split('\0')
      .slice(0, -1)
      .sort();
    expect(found).toEqual(expected);
  });

  it('--json, --stats and --max-depth', () => {
    const entries = lines(acall(['walk', '--json', '--stats', '--max-depth', '1', root]).stdout).map((line) =>
      JSON.parse(line),
    );
    expect(entries.map(({ name }) => name).sort()).toEqual(['.hidden', 'file', 'folder', 'link']);
    const file = entries.find(({ name }) => name === 'file');
    expect(file).toMatchObject({ path: join(root, 'file'), depth: 1, type: 'file', size: 5000, nlink: 2 });
  });

  it('ends quietly when its reader goes', async () => {
    const child = spawn(process.execPath, [main, 'walk', '/usr'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (data) => {
      complaint += data;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const status = await new Promise((done) => child.once('exit', done));
    expect({ status, complaint }).toEqual({ status: 0, complaint: '' });
  });
});

describe('acall du', () => {
  it('equals GNU du', () => {
    const gnu = (...args: string[]) =>
      Number.parseInt(execFileSync('du', ['-s', ...args, root], { encoding: 'utf8' }), 10);
    expect(acall(['du', root]).stdout).toBe(`${gnu('-B1')}\t${root}\n`);
    expect(acall(['du', '-b', root]).stdout).toBe(`${gnu('-b')}\t${root}\n`);
  });

  it('--json', () => {
    const { bytes, ...rest } = JSON.parse(acall(['du', '--json', root]).stdout);
    expect(bytes).toBeGreaterThan(5000);
    expect(rest).toEqual({ files: 4, directories: 3, errors: 0 });
  });
});

describe('acall sys', () => {
  it('prints a failure as strace does, and exits 1', () => {
    const { status, stdout, stderr } = acall(['sys', 'openat', 'AT_FDCWD', '/nope', 'O_RDONLY']);
    expect(stdout).toBe('openat(AT_FDCWD, "/nope", O_RDONLY) = -1 ENOENT (no such file or directory)\n');
    expect(lines(stderr)).toHaveLength(1);
    expect(status).toBe(1);
  });

  it('understands constants, numbers, text and buffers', () => {
    const path = join(root, 'made');
    expect(acall(['sys', 'mkdirat', '-100', path, '0700']).stdout).toBe(`mkdirat(-100, "${path}", 0700) = 0\n`);
    expect(fs.statSync(path).mode & 0o777).toBe(0o700);
    expect(acall(['sys', 'getrandom', '@4', '4', 'GRND_NONBLOCK|0']).stdout).toMatch(
      /^getrandom\(".*", 4, GRND_NONBLOCK\|0\) = 4\n$/,
    );
    expect(acall(['sys', 'readlinkat', 'AT_FDCWD', join(root, 'link'), '@100', '100']).stdout).toContain(
      '"file", 100) = 4\n',
    );
    expect(acall(['sys', 'lseek', '0', '-1', 'SEEK_SET']).stdout).toContain('lseek(0, -1, SEEK_SET) = -1 ');
  });

  it('prints that acall and not the kernel refuses', () => {
    expect(acall(['sys', 'exit_group', '3'])).toMatchObject({
      status: 1,
      stdout: 'exit_group(3) = -1 EPERM (operation not permitted), refused by acall\n',
    });
  });

  it('--json', () => {
    const { stdout } = acall(['sys', '--json', 'getppid']);
    expect(JSON.parse(stdout)).toEqual({ syscall: 'getppid', args: [], result: process.pid, buffers: [] });
  });

  it.each([
    ['an unknown call', ['sys', 'frobnicate']],
    ['an unknown constant', ['sys', 'openat', 'AT_FDCWD', '/', 'O_NOPE']],
    ['too many arguments', ['sys', 'getppid', '1']],
    ['text where the call writes', ['sys', 'read', '0', 'text', '4']],
  ])('exits 2 for %s', (_what, args) => {
    const { status, stderr, stdout } = acall(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(lines(stderr)).toHaveLength(1);
  });
});

describe('acall', () => {
  it('exits 2 for an unknown command, option or missing argument, and for nothing', () => {
    for (const args of [
      ['frob'],
      ['du', '--frob'],
      ['stat'],
      [],
      ['walk', '--max-depth', 'x'],
      ['walk', '-0', '--json'],
    ]) {
      const { status, stdout } = acall(args);
      expect({ args, status, stdout }).toEqual({ args, status: 2, stdout: '' });
    }
  });

  it('has --help everywhere', () => {
    for (const command of [[], ['stat'], ['ls'], ['walk'], ['du'], ['sys'], ['bench']]) {
      const { status, stdout } = acall([...command, '--help']);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^Usage: acall/);
    }
  });

  it('uses colours only where they are wanted', () => {
    const colour = '\u001b[';
    expect(acall(['stat', join(root, 'file')]).stdout).not.toContain(colour);
    expect(acall(['stat', join(root, 'file')], { NO_COLOR: '', FORCE_COLOR: '1' }).stdout).toContain(colour);
    expect(acall(['stat', join(root, 'file')], { NO_COLOR: '1', FORCE_COLOR: '1' }).stdout).not.toContain(colour);
  });

  it('is interrupted by Ctrl-C with 130', async () => {
    const child = spawn(process.execPath, [main, 'sys', 'pause'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const threads = `/proc/${child.pid}/task`;
    const isInside = () =>
      fs.readdirSync(threads).some((tid) => fs.readFileSync(`${threads}/${tid}/comm`, 'utf8') === 'acall-pool\n');
    while (!isInside()) await new Promise((done) => setImmediate(done));
    child.kill('SIGINT');
    expect(await new Promise((done) => child.once('exit', (code, signal) => done(code ?? signal)))).toBe(130);
  });
});

describe('acall bench', () => {
  it('leaves out what the user may not read, and prints that', () => {
    const preload = join(__dirname, 'programs', 'forbid.cjs');
    const { status, stdout, stderr } = acall(['bench', '--json', '--files', '20'], {
      NODE_OPTIONS: `--require=${JSON.stringify(preload)}`,
    });
    expect(stderr).toMatch(/^acall: unreadable below \/usr and left out: ([2-9]|\d{2,})$/m);
    expect(status).toBe(0);
    expect(lines(stdout).map((text) => JSON.parse(text).microseconds > 0)).not.toContain(false);
  });
});
