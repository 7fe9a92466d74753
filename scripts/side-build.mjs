// Builds the addon a second time with other settings, beside build/: node-gyp knows one build folder per package, so the
// package is copied. Used for the sanitized addon, the watched one, and for other architectures.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(fileURLToPath(import.meta.url), '..', '..');

/**
 * Copies the package to build-core/<name> (what the build needs, and `extra` paths), builds the addon there and returns
 * that folder; null when the build failed. Objects of an earlier build of the same name are reused.
 */
export function buildAside(name, { env = {}, args = [], extra = [] } = {}) {
  const folder = join(root, 'build-core', name);
  mkdirSync(folder, { recursive: true });
  for (const path of ['package.json', 'binding.gyp', 'native', 'scripts', ...extra]) {
    if (!existsSync(join(root, path))) continue;
    rmSync(join(folder, path), { recursive: true, force: true });
    cpSync(join(root, path), join(folder, path), { recursive: true, preserveTimestamps: true });
  }
  rmSync(join(folder, 'node_modules'), { force: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

  // Headers: those that the build in build/ found, which npm's settings may have named.
  const nodedir = readFileSync(join(root, 'build', 'config.gypi'), 'utf8').match(/"nodedir": "([^"]+)"/)?.[1];
  const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  const options = ['--loglevel=error', '-j', 'max', ...(nodedir ? [`--nodedir=${nodedir}`] : []), ...args];
  const { status } = spawnSync(process.execPath, [nodeGyp, 'configure', 'build', ...options], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0 ? folder : null;
}

/**
 * Builds an addon with these compiler settings aside, with all that the tests need beside it. Ends the process when it
 * cannot be built.
 */
export function buildToTest(name, env) {
  const extra = ['dist', 'lib', 'test', 'examples', 'docs', 'README.md', 'vitest.config.mts', 'tsconfig.json'];
  return buildAside(name, { env, extra }) ?? process.exit(1);
}

/** An addon in C of test/core/must_fail, which commits a fault that must be seen; the path of it, compiled into `folder`. */
export function compileFaulty(folder, source, flags = []) {
  const faulty = join(folder, 'must_fail.node');
  rmSync(faulty, { force: true });
  execFileSync('gcc', ['-g', '-shared', '-fPIC', ...flags, '-o', faulty, join('test/core/must_fail', source)], {
    cwd: root,
  });
  return faulty;
}

/** Runs vitest in the folder of such a build; the exit status. */
export function runVitest(folder, args, env) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...args], {
    cwd: folder,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status ?? 1;
}

/** True when the command can be started. */
export const isInstalled = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
