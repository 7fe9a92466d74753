// The small C programs of these tests, compiled once per file.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll } from 'vitest';

/** The path of the compiled program, or null when there is no compiler. */
export function compile(name: string, flags: readonly string[] = []): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'acall-compiled-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, name);
  const source = join(__dirname, `${name}.c`);
  // Without LD_PRELOAD: the compiler must not load the run-time library of a sanitizer that is preloaded into this process.
  const { LD_PRELOAD: _, ...env } = process.env;
  const { status } = spawnSync('cc', ['-O1', '-Wall', '-Wextra', ...flags, '-o', program, source], {
    stdio: 'inherit',
    env,
  });
  return status === 0 ? program : null;
}

/** The environment in which a child loads the library: it is named by its folder apart, since LD_PRELOAD ends a name at a space. */
export const preloaded = (library: string) => ({
  LD_PRELOAD: [process.env.LD_PRELOAD, basename(library)].filter(Boolean).join(':'),
  LD_LIBRARY_PATH: [dirname(library), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
});
