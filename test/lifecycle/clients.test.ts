// Several instances of the modules in one environment, and several copies of the package in one process.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { skip } from '../support/skip';
import { wireValues } from '../support/wire';
import { compile, preloaded } from './support/compile';

const root = join(__dirname, '..', '..');
const { answerOf } = programsOf<typeof import('./programs/clients.cjs')>(join(__dirname, 'programs', 'clients.cjs'));

describe('two instances of the modules in one environment', () => {
  it('each get their own results when both are used at the same time', async () => {
    const told = await answerOf('askBoth', [join(root, 'docs')]);
    expect(told).toEqual({ different: true, wrong: 0, each: [Array(7).fill(true), Array(7).fill(true)] });
  });

  it('each drain rings and cancel ops of their own arenas', async () => {
    const told = await answerOf('ringsOfTheirOwn', []);
    const each = { accepted: 1, stored: 1, drained: 1, difference: 0, refused: -22, errno: -22 };
    expect(told).toEqual([each, each]);
  });

  it('an abort in one, and its unreferenced calls, leave the other alone', async () => {
    const told = await answerOf('abortInOne', []);
    expect(told).toEqual({ aborted: ['ABORT_ERR'], going: 0 });
  });

  it('one whose continuation is all that is left of it is held until its result has come', async () => {
    const told = await answerOf('onlyContinuationLeft', [], { execArgv: ['--expose-gc'] });
    expect(told).toBe('hello');
  });

  it('leave nothing behind when they are collected', async () => {
    // A sanitizer that keeps freed memory keeps little of it.
    const asan = [process.env.ASAN_OPTIONS, 'quarantine_size_mb=16'].filter(Boolean).join(':');
    const { alive, grown, inFlight } = await answerOf('collectInstances', [], {
      env: { ASAN_OPTIONS: asan },
      execArgv: ['--expose-gc'],
      timeout: 60_000,
    });
    expect(alive).toBeLessThanOrEqual(2); // V8's caches of call sites hold one
    expect(inFlight).toBe(0);
    expect(grown).toBeLessThan(96); // a promise ring alone is 1 MiB, and there were 160
  });

  it('one whose turn throws is closed: its calls are cancelled, its results disposed of, and the others go on', async () => {
    const told = await answerOf('turnThatThrows', [Object.fromEntries(wireValues())]);
    expect(told).toEqual({ statuses: [0], warnings: ['the realm is gone'], left: 0, ok: true });
  });

  it('end together with their Worker, whatever is in flight in each', async () => {
    const told = await answerOf('endWithWorker', []);
    expect(told).toEqual({ code: 1, ok: true });
  });
});

describe('two copies of the package in one process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'acall-copies-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const copies = ['1.0.0', '2.0.0'].map((version) => {
    const place = join(folder, version, 'node_modules', 'acall');
    mkdirSync(join(place, 'build', 'Release'), { recursive: true });
    cpSync(join(root, 'dist'), join(place, 'dist'), { recursive: true });
    cpSync(join(root, 'build', 'Release', 'acall.node'), join(place, 'build', 'Release', 'acall.node'));
    writeFileSync(join(place, 'package.json'), JSON.stringify({ name: 'acall', version, main: './dist/index.js' }));
    return place;
  });

  const good = { codes: ['ABORT_ERR'], stats: 500 };

  it('each find a signal of their own and cancel with it, also beside each other and in Workers', async () => {
    const told = await answerOf('cancelInCopies', [copies]);
    expect(told).toEqual({ here: [good, good], there: [good, good], caught: [60, 61] });
  });

  it('restrict() of one leaves the other as it is', async () => {
    const told = await answerOf('restrictFirst', [copies]);
    expect(told).toEqual(['EPERM', process.getuid!()]);
  });
});

describe('a runtime that refuses external ArrayBuffers', () => {
  const loader = programsOf<typeof import('./programs/load.cjs')>(join(__dirname, 'programs', 'load.cjs'));
  const refuser = compile('no-external-buffers', ['-shared', '-fPIC']);
  const folder = mkdtempSync(join(tmpdir(), 'acall-cage-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.skipIf(skip(refuser === null, 'refused external buffers: needs a C compiler'))(
    'is told so when acall is loaded',
    async () => {
      mkdirSync(join(folder, 'build', 'Release'), { recursive: true });
      cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
      const addon = readFileSync(join(root, 'build', 'Release', 'acall.node'), 'latin1');
      const renamed = addon.replaceAll('napi_create_external_arraybuffer', 'nope_create_external_arraybuffer');
      expect(renamed).not.toBe(addon);
      writeFileSync(join(folder, 'build', 'Release', 'acall.node'), renamed, 'latin1');
      const told = await loader.answerOf('load', [join(folder, 'dist')], { env: preloaded(refuser!) });
      const message: unknown = expect.stringContaining('external ArrayBuffers');
      expect(told).toEqual({ code: 'ERR_ACALL_UNAVAILABLE', message });
    },
  );
});
