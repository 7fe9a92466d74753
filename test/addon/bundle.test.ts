// What an import loads: one file with all modules, and a cache of the code that V8 has compiled of them. The cache is never needed.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';

const { answerOf } = programsOf<typeof import('./programs/bundle.cjs')>(join(__dirname, 'programs', 'bundle.cjs'));

const root = resolve(__dirname, '../..');

/* dist/ may have been built by another Node than the one that tests it. */
const isOwn = (name: string) => name.endsWith(`.${process.arch}-${process.versions.v8}.cache`);
const builtHere = readdirSync(join(root, 'dist')).some(isOwn);

describe('the bundle', () => {
  let folder = '';
  const cache = (of = 'modules') =>
    readdirSync(join(folder, 'dist')).filter((name) => name.startsWith(`${of}-`) && name.endsWith('.cache'));
  const load = (...execArgv: string[]) => answerOf('load', [join(folder, 'dist'), folder], { execArgv, cwd: folder });
  const expected = (kept: boolean[]) => ({
    names: Object.keys(require(root)),
    kept,
    ino: expect.any(Number),
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'acall-bundle-'));
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
    symlinkSync(join(root, 'build'), join(folder, 'build'));
    cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.skipIf(!builtHere)('has one cache, and this V8 takes it', async () => {
    expect(cache()).toHaveLength(1);
    expect(await load()).toEqual(expected([false]));
  });

  it('loads without one', async () => {
    for (const name of cache()) rmSync(join(folder, 'dist', name));
    expect(await load()).toEqual(expected([]));
  });

  it.skipIf(!builtHere)('loads with one that is cut off, of another V8, or empty', async () => {
    const path = join(folder, 'dist', cache()[0]!);
    const whole = readFileSync(path);
    truncateSync(path, whole.length >> 1);
    expect(await load()).toEqual(expected([true]));
    writeFileSync(path, Buffer.concat([Buffer.alloc(64, 7), whole.subarray(64)]));
    expect(await load()).toEqual(expected([true]));
    truncateSync(path, 0);
    expect(await load()).toEqual(expected([true]));
  });

  it.skipIf(!builtHere)('loads where the flags of V8 are others', async () => {
    expect(await load('--no-opt')).toEqual(expected([true]));
  });

  it('is whole for the command with its cache, without, and with half of it', () => {
    const command = (...args: string[]) =>
      execFileSync(process.execPath, [join(folder, 'dist/cli/main.js'), ...args], { encoding: 'utf8' });
    const all = () => {
      expect(command('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
      expect(JSON.parse(command('stat', '--json', folder))).toMatchObject({ ino: statSync(folder).ino });
    };
    all();
    for (const name of cache('command')) truncateSync(join(folder, 'dist', name), 1000);
    all();
    for (const name of cache('command')) rmSync(join(folder, 'dist', name));
    all();
  });
});
