// Open files: whose a descriptor is while calls have it, after an abort, and when a Worker ends.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kAtOnce, programsOf, slow } from '../support/programs';
import { skip } from '../support/skip';
import { compile, preloaded } from './support/compile';

type Programs = typeof import('./programs/handles.cjs');
const file = join(__dirname, 'programs', 'handles.cjs');
const { answerOf } = programsOf<Programs>(file);
const { ways }: Programs = createRequire(__filename)(file);
const taker = compile('taken-signal', ['-shared', '-fPIC']);

describe('close() of a handle', () => {
  it('after an abort: no call that was aborted finds another file behind the number', async () => {
    const told = await answerOf('closeAfterAborts', [], { timeout: 100_000 * slow });
    expect(told.written).toBe(0);
    expect(told.slowest).toBeLessThan(2 * kAtOnce);
  });

  it('waits for calls that were not aborted, refuses new ones, and may be asked for twice', async () => {
    const told = await answerOf('closeWaits', []);
    expect(told).toEqual({ late: 'EBADF', stat: 'EBADF', early: false, wasOpen: true, bytesRead: 4, isOpen: false });
  });

  it('comes after calls that still wait for a thread; what is aborted in the queue never runs', async () => {
    const queued = await answerOf('closeBehindQueued', [], { env: { ACALL_POOL_MAX: '1' } });
    expect(queued).toEqual({ aborted: 'ABORT_ERR', content: 'content' });
  });

  it.skipIf(skip(taker === null, 'a call that nothing interrupts: needs a C compiler'))(
    'resolves although the kernel keeps an aborted call; its number and lock are taken until that is back',
    async () => {
      const env = { ...preloaded(taker!), ACALL_TEST_TAKEN_LATER: '61' };
      const { ms, ...told } = await answerOf('closeOfKept', [], { env });
      expect(told).toEqual({
        code: 'ABORT_ERR',
        busy: { isOpen: true, isFree: false, same: false, detach: 'EBADF' },
        free: true,
      });
      expect(ms).toBeGreaterThanOrEqual(40);
      expect(ms).toBeLessThan(kAtOnce);
    },
  );
});

describe('a Worker that ends', () => {
  it.each(Object.keys(ways))('%s: its descriptors and locks end with it', async (way) => {
    const locks = await answerOf('endThatHolds', [way], { timeout: 60_000 * slow });
    expect(locks).toEqual(Array.from({ length: 12 }, () => true));
  });

  it('terminated while it opens file after file leaves none of them', async () => {
    expect(await answerOf('terminateWhileOpening', [], { timeout: 100_000 * slow })).toBe(0);
  });

  it.each(['open', 'syscall'] as const)(
    'terminated with what %s has brought in a list of JavaScript leaves none of it',
    async (by) => {
      const left = await answerOf('terminateWithList', [by], { timeout: 100_000 * slow });
      expect(left).toEqual(Array.from({ length: 4 }, () => left[0]));
      expect(left[0]).toBeLessThan(500);
    },
  );

  it('closes no number that is somebody else’s by then, and none that was given away', async () => {
    expect(await answerOf('numbersOfOthers', [])).toEqual({ after: [-1, 'EBADF', null], open: true });
  });
});
