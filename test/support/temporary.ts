// Everything that a run of the tests leaves in the temporary directory lies in one folder, which goes with the run: also what a
// file leaves whose tests are all skipped, or whose process was killed.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup(): (() => void) | undefined {
  if (/\/acall-tests-\w+$/.test(tmpdir())) return undefined; // each project calls it, and one folder is enough
  const folder = mkdtempSync(join(tmpdir(), 'acall-tests-'));
  chmodSync(folder, 0o711); // tests of root let other users look
  process.env.TMPDIR = folder;
  // A file system that hangs may be mounted in it: it is not entered, and not waited for.
  return () => void spawnSync('rm', ['-rf', '--one-file-system', folder], { timeout: 20_000 });
}
