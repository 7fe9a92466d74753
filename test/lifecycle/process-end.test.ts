// Ways to end a process with ops in flight: it ends at once, with the right exit code and without a crash, whatever the ops wait for.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kAtOnce, type ProgramEnd, programsOf } from '../support/programs';

type Programs = typeof import('./programs/process-end.cjs');
const file = join(__dirname, 'programs', 'process-end.cjs');
const { run } = programsOf<Programs>(file);
const { stages, unreferenced }: Programs = createRequire(__filename)(file);

interface Ending {
  status: number | null;
  signal?: NodeJS.Signals;
}

const endings: Record<string, Ending> = {
  'process.exit(7)': { status: 7 },
  'a SIGTERM handler that exits': { status: 15 },
  'an uncaught exception': { status: 1 },
};

/** More ways to end, which differ from the ones above in Node and not in acall. */
const moreEndings: Record<string, Ending> = {
  'process.exitCode and process.exit()': { status: 9 },
  'SIGTERM without a handler': { status: null, signal: 'SIGTERM' },
  'an unhandled rejection': { status: 1 },
  'process.reallyExit(6)': { status: 6 },
  'an exit listener that submits': { status: 8 },
};

function expectEnd(end: ProgramEnd, status: number | null, signal: NodeJS.Signals | null): void {
  expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status, signal });
  expect(end.ms).toBeLessThan(kAtOnce);
}

const poolOf = (stage: string): Record<string, string> =>
  stage.includes('queued behind') ? { ACALL_POOL_MAX: '4' } : {};

describe.each(Object.keys(stages))('with %s', (stage) => {
  it.each(Object.entries(endings))('%s ends the process at once', async (ending, { status, signal }) => {
    expectEnd(await run('endWith', [stage, ending], { env: poolOf(stage) }), status, signal ?? null);
  });
});

describe.each(['ops stuck in the pool', 'raw ops stuck on own threads', 'a Worker with stuck ops'])(
  'with %s',
  (stage) => {
    it.each(Object.entries(moreEndings))('%s ends the process at once', async (ending, { status, signal }) => {
      expectEnd(await run('endWith', [stage, ending]), status, signal ?? null);
    });
  },
);

describe('a process that has nothing left to do', () => {
  it('ends by itself, with its threads', async () => {
    expectEnd(await run('endByItself', []), 0, null);
  });

  it('stays while an op is in flight, and ends after it', async () => {
    const end = await run('openedLater', []);
    expect(end.stdout).toBe('opened\n');
    expectEnd(end, 0, null);
  });

  it('stays for a raw op in a ring, and ends after it', async () => {
    const end = await run('storedLater', []);
    expect(end.stdout).toBe('stored 1\n');
    expectEnd(end, 0, null);
  });

  it.each(Object.keys(unreferenced))('does not stay for %s', async (stage) => {
    expectEnd(await run('endWithUnreferenced', [stage]), 0, null);
  });

  it('stays again after ref()', async () => {
    const end = await run('storedLaterAfterRef', []);
    expect(end.stdout).toBe('stored 1\n');
    expectEnd(end, 0, null);
  });
});

describe('child_process beside stuck ops', () => {
  it('spawns, and a child has the default action for our signal', async () => {
    const end = await run('spawnBesideStuckOps', []);
    const [signals, open] = end.stdout.trim().split('\n');
    expect(signals).toBe('0000000000000000 0000000000000000');
    expect(open, 'a descriptor of ours was inherited').toBe('true');
    expectEnd(end, 0, null);
  });
});
