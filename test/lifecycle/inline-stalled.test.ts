// Inline calls beside threads that hold as many locks as they can on a disk that never answers: every quick call of the table, sends
// and receives, stats. A call that waits for one of these threads would wait for ever, and no signal would end it.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programsOf, slow } from '../support/programs';
import { skip } from '../support/skip';
import { compile } from './support/compile';
import { mountHungDisk } from './support/hung-disk';

type Programs = typeof import('./programs/inline-stalled.cjs');
const { run } = programsOf<Programs>(join(__dirname, 'programs', 'inline-stalled.cjs'));

const program = process.getuid?.() === 0 && fs.existsSync('/dev/fuse') ? compile('hung-fuse') : null;
const trial = program === null ? null : await mountHungDisk(program, 'held');
await trial?.abort();
const isSkipped = skip(trial === null, 'stalled disk: needs root, /dev/fuse, a C compiler and the right to mount');

/** Runs a program whose threads hang on a disk. The last line of its stderr names the call that it was about to make. */
async function beside(name: keyof Programs): Promise<{ stdout: string; last: string | undefined }> {
  const disk = (await mountHungDisk(program!, 'held'))!;
  // The kernel holds the program's threads, and with them the program, until the disk is freed.
  let freed: Promise<void> | undefined;
  const free = () => (freed ??= disk.abort());
  const rescue = setTimeout(free, 30_000 * slow);
  const end = await run(name, [], {
    env: { ACALL_TEST_DISK: disk.path },
    timeout: 25_000 * slow,
    whenSaid: free,
  });
  clearTimeout(rescue);
  await free();
  return { stdout: end.stdout.trim(), last: end.status === 0 ? undefined : end.stderr.trim().split('\n').at(-1) };
}

describe.skipIf(isSkipped)('on the event loop, beside threads that a stalled disk holds,', () => {
  it('every quick call of the table answers at once, whatever descriptor it names', async () => {
    const end = await beside('everyQuickCall');
    expect(end).toEqual({ stdout: 'done', last: undefined });
  });

  it('inline calls, and calls that do not run inline, never hold the loop: transfers, positions, pipes, stats', async () => {
    const end = await beside('transfersAndStats');
    expect(end).toEqual({ stdout: 'done', last: undefined });
  });
});
