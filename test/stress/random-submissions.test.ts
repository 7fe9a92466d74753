// Random submissions: calls that the table marks as harmless, with everything else at random. Each is refused or run. The process
// must live, and no byte outside of the registered memory may change. They run in an unprivileged, restricted child.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programsOf, slow } from '../support/programs';
import { skip } from '../support/skip';
import { mayRead } from '../support/stranger';

const kSubmissions = Number(process.env.ACALL_RANDOM_SUBMISSIONS ?? 1_000_000) / (slow > 1 ? 5 : 1);
const kWorkers = 20;
const seed = Number(process.env.ACALL_RANDOM_SEED ?? Date.now() % 1_000_000);

const file = join(__dirname, 'programs', 'random-submissions.cjs');
const { answerOf } = programsOf<typeof import('./programs/random-submissions.cjs')>(file);

describe('random submissions', () => {
  const isRoot = process.getuid?.() === 0;
  const canDrop =
    isRoot &&
    spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0 &&
    mayRead(require.resolve('acall'), file);

  it.skipIf(
    skip(
      isRoot && !canDrop,
      'random submissions: root needs setpriv to drop its rights, and a checkout that others may read',
    ),
  )(
    `${kSubmissions} of them, seed ${seed}: refused or run, never a crash, never a write outside registered memory`,
    async () => {
      const told = await answerOf('submitFromWorkers', [seed, kSubmissions, kWorkers], {
        launcher: isRoot ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] : [],
        env: { ACALL_POOL_MAX: '64', ACALL_OWN_MAX: '64' },
        timeout: 500_000,
      });
      expect(told.accepted + told.refused).toBeGreaterThanOrEqual(kSubmissions);
      expect(told.names).toBeGreaterThan(100);
      expect(told.lost).toBe(0);
      // All three kinds of refusal came up, and most ran.
      for (const errno of [-22, -14]) expect(told.errors[errno] ?? 0).toBeGreaterThan(1000);
      expect(told.accepted).toBeGreaterThan(kSubmissions / 10);
    },
  );
});
