// A local file system whose disk stalls. Inodes and pages in memory answer, everything else waits in state D. The event loop must
// never wait.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { programsOf, slow } from '../support/programs';
import { skip } from '../support/skip';
import { compile } from './support/compile';
import { mountStalledDisk, type StalledDisk } from './support/hung-disk';

const { run } = programsOf<typeof import('./programs/stalled-local.cjs')>(
  join(__dirname, 'programs', 'stalled-local.cjs'),
);
const program = process.getuid?.() === 0 && fs.existsSync('/dev/fuse') ? compile('hung-fuse') : null;
const files = fs.mkdtempSync(join(tmpdir(), 'acall-stalled-files-'));
afterAll(() => fs.rmSync(files, { recursive: true, force: true }));
// Files with many holes: the inode has no room to tell where their data lies, other blocks do, which nobody has read.
function writeHoley(path: string): void {
  const file = fs.openSync(path, 'w');
  for (let at = 0; at < 1 << 20; at += 16384) fs.writeSync(file, Buffer.alloc(2048, 1), 0, 2048, at);
  fs.closeSync(file);
}
for (const folder of ['warm', 'cold', 'known']) {
  fs.mkdirSync(join(files, folder));
  for (let i = 0; i < 20; i++) writeHoley(join(files, folder, `file${i}`));
}
let disk: StalledDisk | null = program === null ? null : await mountStalledDisk(program, files);
const free = async () => {
  const mounted = disk;
  disk = null;
  await mounted?.free();
};
afterAll(free);
const isSkipped = skip(
  disk === null,
  'stalled local disk: needs root, /dev/fuse, loop devices, mkfs.ext4 and a C compiler',
);

describe.skipIf(isSkipped)('on the event loop, on a local file system whose disk stalls,', () => {
  it('cold reads and writes, stats that are not in memory and removed files leave the loop alone', async () => {
    const { path, stall } = disk!;
    const rescue = setTimeout(free, 40_000 * slow);
    const end = await run('callWhileStalled', [], {
      env: { ACALL_TEST_DISK: path },
      timeout: 30_000 * slow,
      whenSaid: () => stall(),
      onSaid: (text) => text.includes('done') && void free(),
    });
    clearTimeout(rescue);
    await free();
    const last = end.status === 0 ? undefined : end.stderr.trim().split('\n').at(-1);
    expect({ stdout: end.stdout.trim(), last }).toEqual({ stdout: 'stall\ndone', last: undefined });
  });
});
