// Cancel against completion, from JavaScript: each op completes exactly once, a cancelled one did nothing, a completed one
// keeps its result. test/core has the same without Node, over more calls.
import { join } from 'node:path';
import { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL } from 'acall';
import { describe, expect, it } from 'vitest';
import { programsOf, slow } from '../support/programs';

const { answerOf } = programsOf<typeof import('./programs/cancel-race.cjs')>(
  join(__dirname, 'programs', 'cancel-race.cjs'),
);
const kRounds = 2500 / (slow > 1 ? 5 : 1); // of 16 ops each, three times: more than 100,000 races

describe('cancel against completion', () => {
  it.each([
    ['in the pool', ACALL_SUBMIT_THREAD_POOL],
    ['on own threads', 0],
    ['tried at once', ACALL_SUBMIT_THREAD_POOL | ACALL_SUBMIT_INLINE],
  ])('%s: completed or cancelled, never both, never neither', async (_, flags) => {
    const told = await answerOf('race', [flags, kRounds], { timeout: 300_000 });
    expect(told).toMatchObject({ ops: kRounds * 16, twice: 0, odd: 0, leaked: 0 });
    expect(told.bytesRead).toBe(told.bytesWritten);
    expect(told.cancelled + told.interrupted + told.natural).toBe(told.ops);
    expect(told.interrupted + told.cancelled).toBeGreaterThan(0);
    expect(told.natural).toBeGreaterThan(0);
  });
});
