// Everything at the same time for a while: at the end the process has as many threads and descriptors, and as much memory, as at the
// beginning. ACALL_SOAK_SECONDS sets the time in seconds; `npm run soak` takes ten minutes.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { likeNode } from '../addon/support/like-node-child';
import { programsOf, slow } from '../support/programs';

const kSeconds = Number(process.env.ACALL_SOAK_SECONDS ?? 20);

const { answerOf } = programsOf<typeof import('./programs/soak.cjs')>(join(__dirname, 'programs', 'soak.cjs'));

describe('soak', () => {
  it(
    `${kSeconds} s of everything end with the threads, descriptors and memory of the beginning`,
    async () => {
      const told = await answerOf('soak', [kSeconds], {
        execArgv: ['--expose-gc'],
        timeout: (kSeconds * 3 + 60) * 1000 * slow,
      });
      expect(told.end.threads).toBeLessThanOrEqual(told.begin.threads);
      expect(told.end.descriptors).toBeLessThanOrEqual(told.begin.descriptors);
      // What malloc and V8 keep for later does not grow with time: an hour has the bound of half a minute.
      if (slow === 1) expect(told.end.resident).toBeLessThan(told.begin.resident + 48);
      expect(told).toMatchObject({ lost: 0, listeners: 0 });
      for (const [name, rounds] of Object.entries(told.done)) expect(rounds, name).toBeGreaterThan(2);
      console.log(`soak: ${JSON.stringify(told)}`);
    },
    (kSeconds * 3 + 90) * 1000 * slow,
  );

  const seed = Number(process.env.ACALL_LIKE_NODE_SEED ?? Date.now() % 2 ** 32);

  // New calls each time: what they find is news, and no verdict on the change that is tested.
  const timeout = (kSeconds * 3 + 90) * 1000 * slow;
  it.skipIf(process.env.ACALL_SOAK_SECONDS === undefined)(
    `${kSeconds} s of calls drawn at random do what node:fs does (seed ${seed})`,
    async () => {
      const told = await likeNode({ seed, calls: Number.MAX_SAFE_INTEGER, ms: kSeconds * 1000 }, timeout);
      expect(told).toMatch(/^[1-9]\d* calls, all alike$/);
      console.log(`soak: ${told}`);
    },
    timeout,
  );
});
