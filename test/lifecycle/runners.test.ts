// Test runners that load the modules many times in one process, in realms of their own, with faked timers: real ones.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { slow } from '../support/programs';

const require = createRequire(__filename);
const cases = join(__dirname, 'programs', 'under-runner.cjs');
const entry = join(__dirname, '..', '..', 'dist', 'index.js');
const kFiles = ['first', 'second', 'third'];
const kCases = 5;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'acall-runner-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(command: string, args: readonly string[]): Promise<{ status: number | null; text: string }> {
  const { VITEST, VITEST_MODE, VITEST_POOL_ID, VITEST_WORKER_ID, TEST, NODE_ENV, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], { cwd: folder, env, timeout: 60_000 * slow });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
    child.stderr.setEncoding('utf8').on('data', (part) => (text += part));
    child.on('error', reject).on('close', (status) => resolve({ status, text }));
  });
}

describe('jest', () => {
  it.each([
    ['in one process', ['-i'], {}],
    ['in one process, with faked timers from the beginning', ['-i'], { fakeTimers: { enableGlobally: true } }],
    ['in worker threads', ['--maxWorkers=2', '--workerThreads'], {}],
  ])('%s', async (_, options, config) => {
    writeFileSync(join(folder, 'package.json'), '{"name":"under-jest"}');
    for (const name of kFiles) {
      writeFileSync(
        join(folder, `${name}.test.js`),
        `require(${JSON.stringify(cases)})(() => require(${JSON.stringify(entry)}), test, expect, jest);\n`,
      );
    }
    const jest = require.resolve('jest/bin/jest');
    writeFileSync(join(folder, 'jest.config.json'), JSON.stringify(config));
    const { status, text } = await run(jest, [...options, '--rootDir', folder, '--no-cache']);
    expect(text).toMatch(new RegExp(`Tests: +${kCases * kFiles.length} passed, ${kCases * kFiles.length} total`));
    expect(status).toBe(0);
  });
});

describe('vitest', () => {
  const program = join(__dirname, 'programs', 'under-vitest.mjs');

  it.each(['vmThreads', 'vmForks', 'threads'])('with the pool %s', async (pool) => {
    writeFileSync(join(folder, 'package.json'), '{"name":"under-vitest","type":"module"}');
    for (const name of kFiles) {
      writeFileSync(
        join(folder, `${name}.test.js`),
        `import run from ${JSON.stringify(program)};\nrun(test, expect, vi);\n`,
      );
    }
    const vitest = join(require.resolve('vitest/package.json'), '..', 'vitest.mjs');
    const { status, text } = await run(vitest, [
      'run',
      '--root',
      folder,
      '--globals',
      '--maxWorkers=1',
      '--pool',
      pool,
    ]);
    expect(stripVTControlCharacters(text)).toMatch(new RegExp(`Tests +${kCases * kFiles.length} passed`));
    expect(status).toBe(0);
  });
});
