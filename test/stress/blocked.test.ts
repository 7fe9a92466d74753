// Ten thousand calls blocked at once, each on a thread of its own.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programsOf, slow } from '../support/programs';

const { answerOf } = programsOf<typeof import('./programs/blocked.cjs')>(join(__dirname, 'programs', 'blocked.cjs'));
const kCount = slow > 1 ? 1000 : 10_000; // a sanitizer's thread costs a megabyte

describe(`${kCount} calls blocked at once`, () => {
  it('all block, take at most 16 KiB each, leave others alone, and end by one abort', async () => {
    const told = await answerOf('blockMany', [kCount], { execArgv: ['--expose-gc'], timeout: 60_000 * slow });
    expect(told).toMatchObject({ stats: 5000, settled: kCount, isOpen: true });
    if (slow === 1) expect(told.each).toBeLessThanOrEqual(16);
  });
});
