// Builds the addon a second time with other settings. node-gyp has one build folder for each package, so the package is copied. Used
// for the addon with sanitizers, the addon with the watchdog, and other architectures.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(fileURLToPath(import.meta.url), '..', '..');

/**
 * Copies the files that the build needs, and `extra` paths, to build-core/<name>, and builds the addon there. Returns that folder, or
 * null when the build failed. Objects of an earlier build of the same name are used again.
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

  // The headers of Node are those that the build in build/ has found; npm's settings may have named them.
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
 * Builds an addon with these compiler settings in a folder of its own, together with all that the tests need. Ends the process when
 * the build fails.
 */
export function buildToTest(name, env) {
  const extra = ['dist', 'lib', 'test', 'examples', 'docs', 'README.md', 'vitest.config.mts', 'tsconfig.json'];
  return buildAside(name, { env, extra }) ?? process.exit(1);
}

/** Compiles an addon of test/core/must_fail, whose fault must be reported, into `folder`. Returns its path. */
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
