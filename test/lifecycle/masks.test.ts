// Signal masks and sets of calls: libc reaches every thread by signals of its own, and a call that waits may not hold them.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programsOf, slow } from '../support/programs';

type Programs = typeof import('./programs/masks.cjs');
const file = join(__dirname, 'programs', 'masks.cjs');
const { run } = programsOf<Programs>(file);
const { waits }: Programs = createRequire(__filename)(file);

const kTooLong = 20_000 * slow;

describe.each(['pool', 'own'] as const)(
  'a call that waits with every signal blocked, on a thread of kind %s',
  (thread) => {
    it.each(Object.keys(waits) as (keyof typeof waits)[])(
      '%s does not keep process.setegid() waiting',
      { timeout: kTooLong + 5000 },
      async (name) => {
        const { status, stdout, stderr } = await run('changeGroupBesideWait', [name, thread], { timeout: kTooLong });
        expect([status, stdout, stderr]).toEqual([0, '"changed"', '']);
      },
    );
  },
);
