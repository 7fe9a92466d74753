// A network disk that hangs, as a FUSE file system whose daemon does not read requests, or reads and never answers them. The
// first is what NFS without its server looks like: only SIGKILL ends a call. The second not even that ends.
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { kAtOnce, programsOf, slow } from '../support/programs';
import { skip } from '../support/skip';
import { compile } from './support/compile';
import { type HungDisk, type HungMode, mountHungDisk } from './support/hung-disk';

type Programs = typeof import('./programs/hung-disk.cjs');
const file = join(__dirname, 'programs', 'hung-disk.cjs');
const { run } = programsOf<Programs>(file);
const { helpers, endsWithClose }: Programs = createRequire(__filename)(file);

const program = process.getuid?.() === 0 && fs.existsSync('/dev/fuse') ? compile('hung-fuse') : null;
const trial = program === null ? null : await mountHungDisk(program, 'unread');
await trial?.abort();
const isSkipped = skip(trial === null, 'hung disk: needs root, /dev/fuse, a C compiler and the right to mount');

const disks: HungDisk[] = [];
afterAll(async () => {
  await Promise.all(disks.map((disk) => disk.abort()));
});

async function mounted(mode: HungMode): Promise<HungDisk> {
  const disk = await mountHungDisk(program!, mode);
  if (disk === null) throw new Error('the disk could be mounted a moment ago');
  disks.push(disk);
  return disk;
}

async function freed(disk: HungDisk): Promise<void> {
  disks.splice(disks.indexOf(disk), 1);
  await disk.abort();
}

describe.skipIf(isSkipped).each<HungMode>(['unread', 'unanswered'])('a disk whose requests stay %s', (mode) => {
  it('every helper rejects by time-out and by abort, the rest goes on, and all comes back when the disk does', async () => {
    const disk = await mounted(mode);
    const freeing = disk.requests(mode === 'unanswered' ? 1 : 0);
    const end = await run('leaveAndReturn', [], {
      env: { ACALL_TEST_DISK: disk.path },
      timeout: 30_000 * slow,
      async whenSaid() {
        await freeing;
        await freed(disk);
      },
    });
    expect({ status: end.status, stderr: end.stderr }).toEqual({ status: 0, stderr: '' });
    const told = JSON.parse(end.stdout);
    expect(told.outcomes).toEqual(
      Object.fromEntries(Object.keys(helpers).map((name) => [name, ['ETIMEDOUT', 'ABORT_ERR']])),
    );
    expect(told).toMatchObject({ quick: 2000, stuck: true });
    expect(told.ms).toBeLessThan(500 * slow);
  });
});

describe.skipIf(isSkipped)('the end of a process that a hung disk holds', () => {
  it.each([
    ['process.exit()', 6],
    ['an uncaught exception', 1],
    ['process.exit() beside a Worker whose memory the kernel holds', 6],
    ['its natural end beside such a Worker', 0],
    ['aborts and its natural end', 0],
  ])('comes at once while requests are unread: %s', async (how, status) => {
    const disk = await mounted('unread');
    const end = await run('end', [how], { env: { ACALL_TEST_DISK: disk.path } });
    expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status, signal: null });
    expect(end.ms).toBeLessThan(kAtOnce);
    await freed(disk);
  });

  it('waits for the kernel where a request was read, and keeps its exit code', async () => {
    const disk = await mounted('unanswered');
    const end = await run('exitWhileRead', [], {
      env: { ACALL_TEST_DISK: disk.path },
      async whenSaid(text) {
        await disk.requests(1);
        const pid = Number(text);
        // Everything but the thread in the kernel has ended: the process is a zombie that nobody can reap yet.
        while (!/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        await freed(disk);
      },
    });
    expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status: 6, signal: null });
  });

  it('terminate() of a Worker whose memory the kernel holds waits for the kernel; the main thread does not', async () => {
    const disk = await mounted('unread');
    const end = await run('terminateWhileHeld', [], {
      env: { ACALL_TEST_DISK: disk.path },
      whenSaid: () => freed(disk),
    });
    expect({ status: end.status, signal: end.signal, stdout: end.stdout.trim() }, end.stderr).toEqual({
      status: 0,
      signal: null,
      stdout: 'false',
    });
  });

  it('a Worker whose ops are all of the promise layer ends at once', async () => {
    const disk = await mounted('unanswered');
    const { stdout } = await run('terminatePromises', [], {
      env: { ACALL_TEST_DISK: disk.path },
      whenSaid: () => freed(disk),
    });
    const told = Number.parseFloat(stdout);
    expect(told).toBeLessThan(kAtOnce);
  });
});

// The disk never answers that a descriptor is closed, and not even SIGKILL ends that wait: all of the process but the
// closing thread has to end, which makes it a zombie that is reaped when the disk is freed.
describe.skipIf(isSkipped)('a close() that hangs, of what an abandoned open has brought', () => {
  const kOpen = 14; // FUSE's number, as is the next
  const kInterrupt = 36;

  it.each(Object.keys(endsWithClose))('does not hold %s', async (how) => {
    const disk = await mounted('held');
    const opening = disk
      .requests(1, kOpen)
      .then(() => disk.requests(1, kInterrupt))
      .then(() => disk.answerOpen());
    const end = await run('endWithClose', [how], {
      env: { ACALL_TEST_DISK: disk.path },
      async whenSaid(text) {
        await opening;
        while (!/\) Z /.test(fs.readFileSync(`/proc/${Number(text)}/stat`, 'latin1'))) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        await freed(disk);
      },
    });
    expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status: 0, signal: null });
  });
});
