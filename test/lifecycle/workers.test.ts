// Workers that come, wait, share and go.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kAtOnce, programsOf, slow } from '../support/programs';

type Programs = typeof import('./programs/workers.cjs');
const file = join(__dirname, 'programs', 'workers.cjs');
const { answerOf } = programsOf<Programs>(file);
const { stages, abruptEndings }: Programs = createRequire(__filename)(file);

describe.each(Object.keys(stages))('a Worker with %s', (stage) => {
  it('can be terminated at once; main thread and another Worker go on', async () => {
    const { slowest, others, left } = await answerOf('terminate', [stage]);
    expect(others).toEqual([20, 20, 20]);
    expect(left).toEqual([]);
    expect(slowest).toBeLessThan(kAtOnce);
  });
});

// A blocked wait does not reach its end by itself.
describe.each(Object.keys(stages).filter((stage) => !stage.includes('pwait')))('a Worker with %s', (stage) => {
  it.each([
    ['process.exit(5)', 5],
    ['an exception', 1],
  ])('ends at once by %s', async (end, code) => {
    const told = await answerOf('endByItself', [stage, end]);
    expect(told.code).toBe(code);
    expect(told.ms).toBeLessThan(kAtOnce);
  });
});

describe('many Workers', () => {
  it('twenty come and go, three times, while ops fly', async () => {
    const codes = await answerOf('comeAndGo', [], { timeout: 60_000 * slow });
    expect(codes).toEqual(Array.from({ length: 30 }, () => 3));
  });

  it('the addon can be loaded by Workers alone, again and again, and leaves no descriptor', async () => {
    const told = await answerOf('loadAgainAndAgain', []);
    expect(told.last).toBe(told.first);
  });

  it('a process whose main thread never loads the addon ends well', async () => {
    const alone = programsOf<typeof import('./programs/workers-alone.cjs')>(
      join(__dirname, 'programs', 'workers-alone.cjs'),
    );
    const { status, stderr } = await alone.run('startFive', []);
    expect({ status, stderr }).toEqual({ status: 3, stderr: '' });
  });
});

describe('what Workers share', () => {
  it('a Worker waits on a ring of the main thread', async () => {
    expect(await answerOf('shareRing', [])).toEqual({ waited: 3, drained: ['1', '2', '3'] });
  });

  it('two Workers drain one ring, and each completion goes to exactly one', async () => {
    expect(await answerOf('drainByTwo', [])).toEqual({ total: 20_000, distinct: 20_000, both: true });
  });

  it("a dead Worker's ops complete into the sinks that another environment has registered", async () => {
    expect(await answerOf('outliveWorker', [])).toEqual(Array.from({ length: 8 }, () => '-4'));
  });

  it('an op of a Worker can be cancelled by another environment through its id', async () => {
    const answer = await answerOf('cancelOfWorker', []);
    expect(answer.cancelled).toBe(0);
    expect([0, -114, -2]).toContain(answer.again);
    expect(answer).toMatchObject({ code: '-4', later: -2 });
  });
});

describe('descriptors that nobody takes', () => {
  it.each(Object.keys(abruptEndings))(
    'results that a Worker has not taken are closed when it ends by %s',
    async (end) => {
      const told = await answerOf('closeDescriptors', [end]);
      expect(told.after).toBe(told.before);
    },
  );
});
