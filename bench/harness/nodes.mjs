/** The Node binaries to compare: this one, files, or major versions fetched from npm into the scratch folder. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fetchPackage } from './packages.mjs';

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
  const name = `node-linux-${process.arch}`;
  const binary = join(fetchPackage(`${name}@${major}`, `node-${major}`, say), 'bin', 'node');
  if (!existsSync(binary)) throw new Error(`${name}@${major} holds no binary`);
  return binary;
}
