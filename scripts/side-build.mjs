// Builds the addon a second time with other settings, beside build/: node-gyp knows one build folder per package, so the
// package is copied. Used for the sanitized addon and for other architectures.
import { spawnSync } from 'node:child_process';
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

/** True when the command can be started. */
export const isInstalled = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
