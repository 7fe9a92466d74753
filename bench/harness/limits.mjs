/** Builds the C programs of ../limits, each from one file, into a folder of this run. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../limits/', import.meta.url));
const compiler = process.env.CC ?? 'cc';

/** @returns {Map<string, string>} the programs' paths by name; they are gone when this process ends */
export function buildLimits() {
  const output = mkdtempSync(join(tmpdir(), 'acall-bench-limit-'));
  process.once('exit', () => rmSync(output, { recursive: true, force: true }));
  const programs = new Map();
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.c')) continue;
    const name = basename(file, '.c');
    const program = join(output, name);
    const built = spawnSync(compiler, ['-std=gnu11', '-O2', '-Wall', '-pthread', '-o', program, join(folder, file)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (built.status !== 0) throw new Error(`${compiler} could not build bench/limits/${file}`);
    programs.set(name, program);
  }
  return programs;
}
