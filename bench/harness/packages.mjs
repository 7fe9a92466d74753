/** Packages that only a comparison needs, got from npm into the scratch folder: Node binaries, rivals. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Skipped } from './cases.mjs';
import { scratch } from './scratch.mjs';

/** Rivals that are no dependency of this package. Name and version, as npm takes them. */
export const rivals = ['fast-glob@3'];

/** @param {string} name */
const folderOf = (name) => scratch(name);

/**
 * @param {string} wanted name and version
 * @param {string} folderName of the folder it is put into
 * @param {(text: string) => void} say
 * @returns {string} the package's folder
 */
export function fetchPackage(wanted, folderName, say) {
  const name = wanted.replace(/(?<=.)@.*/, '');
  const folder = folderOf(folderName);
  const place = join(folder, 'node_modules', name);
  if (!existsSync(place)) {
    say(`fetching ${wanted} into ${folder}`);
    const args = ['install', '--silent', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, wanted];
    const installed = spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    if (installed.status !== 0 || !existsSync(place)) throw new Error(`npm has no ${wanted}`);
  }
  return place;
}

/** @param {(text: string) => void} say */
export function fetchRivals(say) {
  for (const wanted of rivals) fetchPackage(wanted, wanted.replace(/@.*/, ''), say);
}

/**
 * For a driver's `setup`.
 * @param {string} name
 * @returns {any} what the package exports
 */
export function rival(name) {
  const folder = folderOf(name);
  if (!existsSync(join(folder, 'node_modules', name))) throw new Skipped(`${name} is not here: --rivals gets it`);
  return createRequire(join(folder, 'package.json'))(name);
}
