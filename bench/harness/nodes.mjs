/** The Node binaries to compare: this one, files, or major versions fetched from npm into the temporary directory. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * @param {string[]} wanted paths of binaries, or major versions such as "24"
 * @param {(text: string) => void} say
 * @returns {{ path: string, version: string }[]} this process's first
 */
export function findNodes(wanted, say) {
  const paths = [
    process.execPath,
    ...wanted.map((text) => (/^\d+$/.test(text) ? fetchNode(text, say) : resolve(text))),
  ];
  return [...new Set(paths)].map((path) => {
    const asked = spawnSync(path, ['--version'], { encoding: 'utf8' });
    if (asked.status !== 0) throw new Error(`--node ${path}: not a Node binary`);
    return { path, version: asked.stdout.trim() };
  });
}

/**
 * @param {string} major
 * @param {(text: string) => void} say
 */
function fetchNode(major, say) {
  const folder = join(tmpdir(), `acall-bench-node-${major}`);
  const name = `node-linux-${process.arch}`;
  const binary = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(binary)) {
    say(`fetching Node ${major} into ${folder}`);
    const args = [
      'install',
      '--silent',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--prefix',
      folder,
      `${name}@${major}`,
    ];
    const installed = spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    if (installed.status !== 0 || !existsSync(binary)) throw new Error(`npm has no ${name}@${major}`);
  }
  return binary;
}
