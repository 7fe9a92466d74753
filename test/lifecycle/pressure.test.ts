// When something runs out: threads, processes, descriptors, memory, slots of a ring. Ops wait, or fail with the kernel's error. None is
// lost, and ops that need nothing scarce go on.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fifo, programsOf, slow } from '../support/programs';
import { skip } from '../support/skip';
import { mayRead } from '../support/stranger';
import { compile, preloaded } from './support/compile';

type Programs = typeof import('./programs/pressure.cjs');
const file = join(__dirname, 'programs', 'pressure.cjs');
const { run, answerOf } = programsOf<Programs>(file);

const taker = compile('taken-signal', ['-shared', '-fPIC']);
const isRoot = process.getuid?.() === 0;
const has = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function expectRecovered(told: Awaited<ReturnType<Programs['moreThanThreads']>>, mostThreads: number): void {
  expect(told).toMatchObject({ codes: ['ABORT_ERR'], stats: 500 });
  expect(told.results.every((code) => code === -4 || code === -125)).toBe(true);
  expect(told.threads).toBeLessThanOrEqual(mostThreads);
}

describe('no more threads', () => {
  const setpriv = isRoot && has('setpriv') && has('prlimit') && mayRead(require.resolve('acall'), file, tmpdir());

  it.skipIf(skip(!setpriv, 'RLIMIT_NPROC: needs root, setpriv, prlimit, and paths that another user may read'))(
    'RLIMIT_NPROC: ops wait in order and are all answered',
    async () => {
      fs.chmodSync(fifo, 0o666);
      fs.chmodSync(join(fifo, '..'), 0o755);
      // Node itself has a dozen threads; a user that nobody else is.
      const user = String(50_000 + (process.pid % 10_000));
      const told = await answerOf('moreThanThreads', [], {
        launcher: ['setpriv', '--reuid', user, '--regid', user, '--clear-groups', 'prlimit', '--nproc=40'],
        timeout: 30_000 * slow,
      });
      expectRecovered(told, 40);
    },
  );

  const pids = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find(
    (path) => isRoot && (fs.existsSync(join(path, 'cgroup.procs')) || fs.existsSync(join(path, 'pids.max'))),
  );
  let group: string | undefined;
  if (pids !== undefined) {
    try {
      group = mkdtempSync(join(pids, 'acall-test-'));
      writeFileSync(join(group, 'pids.max'), '60');
    } catch {
      if (group !== undefined) rmdirSync(group);
      group = undefined;
    }
  }
  afterAll(() => {
    if (group !== undefined) rmdirSync(group);
  });

  it.skipIf(skip(group === undefined, 'pids cgroup: needs root and a pids controller'))(
    'a pids cgroup: ops wait in order and are all answered',
    async () => {
      const told = await answerOf('moreThanThreads', [], {
        launcher: ['sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$@"`, 'sh'],
        timeout: 30_000 * slow,
      });
      expectRecovered(told, 60);
    },
  );

  it.skipIf(skip(!setpriv, 'RLIMIT_NPROC: needs root, setpriv and prlimit'))(
    'RLIMIT_NPROC that allows none at all: walk and readdir wait for a thread as the others do',
    async () => {
      const user = String(50_000 + (process.pid % 10_000));
      const told = await answerOf('treesWithoutThreads', [], {
        launcher: ['setpriv', '--reuid', user, '--regid', user, '--clear-groups'],
        timeout: 30_000 * slow,
      });
      expect(told).toEqual(['done', 'done']);
    },
  );

  it.each([
    ['ACALL_POOL_MAX', 'pool'],
    ['ACALL_OWN_MAX', 'own'],
  ] as const)('%s that keeps calls waiting is named by counters() and by one warning', async (limit, thread) => {
    const told = await answerOf('waitForLimit', [thread], { env: { [limit]: '2' } });
    expect(told).toMatchObject({ early: { limitedBy: null, queued: 3 }, late: { limitedBy: limit, queued: 3 } });
    expect(told.warnings).toEqual([expect.stringMatching(new RegExp(`^ACALL_THREAD_LIMIT acall: ${limit} has kept`))]);
  });

  it('counters().waiting is the number of calls that wait in JavaScript', async () => {
    const told = await answerOf('waitInJavaScript', []);
    expect(told).toEqual({ waiting: 70_000 - 65_536, after: 0 });
  });

  it.skipIf(skip(!setpriv, 'RLIMIT_NPROC: needs root, setpriv and prlimit'))(
    'RLIMIT_NPROC that allows none at all: very many wait, in order, and the event loop is free',
    async () => {
      const user = String(50_000 + (process.pid % 10_000));
      const told = await answerOf('manyWithoutThreads', [], {
        launcher: ['setpriv', '--reuid', user, '--regid', user, '--clear-groups'],
        timeout: 30_000 * slow,
      });
      expect(told).toEqual({ early: false, busyMs: expect.any(Number) as number, first: 0, codes: ['done'] });
      expect(told.busyMs).toBeLessThan(1_000 * slow);
    },
  );

  it('ACALL_POOL_MAX and ACALL_OWN_MAX: a handful of threads serves them all', async () => {
    const told = await answerOf('moreThanThreads', [], {
      env: { ACALL_POOL_MAX: '3', ACALL_OWN_MAX: '2' },
      timeout: 30_000 * slow,
    });
    expectRecovered(told, 6);
  });
});

describe('no more descriptors', () => {
  const fewDescriptors = { launcher: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] };

  it('calls fail with EMFILE, and everything works again when there are descriptors', async () => {
    const told = await answerOf('withoutDescriptors', [], fewDescriptors);
    expect(told).toEqual({
      full: 'EMFILE',
      open: 'EMFILE',
      syscall: 'EMFILE',
      pipe2: 'EMFILE',
      readFile: 'EMFILE',
      readdir: 'EMFILE',
      walk: 'EMFILE',
      stat: 'done',
      stats: 300,
      statMany: [0, -2],
      stuck: 'done',
      after: ['done', 'done'],
    });
  });

  it('a blocking wait without a descriptor for its eventfd returns -EAGAIN', async () => {
    const told = await answerOf('waitWithoutDescriptors', [], fewDescriptors);
    expect(told).toBe(-11);
  });
});

describe('no more memory', () => {
  it('an arena that cannot be allocated is a RangeError, and the next smaller one works', async () => {
    const told = await answerOf('arenasTooLarge', []);
    expect(told).toEqual(['RangeError ERR_OUT_OF_RANGE', 'RangeError ERR_OUT_OF_RANGE', 'done']);
  });

  it('a full arena throws, and allocates freed bytes again', async () => {
    const told = await answerOf('fullArena', []);
    expect(told).toEqual({ code: 'ERR_OUT_OF_RANGE', length: 4000 });
  });
});

describe('a ring', () => {
  it('that nobody drains keeps what comes, overwrites nothing, and lets the process end', async () => {
    const told = await answerOf('ringThatNobodyDrains', []);
    expect(told).toEqual({ head: 8, slots: Array.from({ length: 8 }, () => true), overflows: 9992, quick: 1000 });
  });

  it('with a slow consumer gives every completion once', async () => {
    const told = await answerOf('slowConsumer', []);
    expect(told).toEqual({ visits: 10_000, distinct: 10_000, left: 0 });
  });

  it('whose reader uses memory alone gets what waited in the backlog', async () => {
    const told = await answerOf('readerOfMemory', [], { timeout: 60_000 * slow });
    expect(told).toEqual({ distinct: 10_000 });
  });
});

describe('others', () => {
  it('two hundred stuck opens in the pool leave quick calls alone', async () => {
    const told = await answerOf('quickBesideStuck', []);
    expect(told).toEqual({ quick: 11_000, codes: ['ABORT_ERR'] });
  });

  it('a storm of unrelated signals disturbs nothing', async () => {
    const told = await answerOf('stormOfSignals', []);
    expect(told).toMatchObject({ stats: 10_000, read: 1000, heard: true, codes: ['ABORT_ERR'] });
    expect([0, -4]).toContain(told.waited);
  });

  it.skipIf(skip(taker === null, 'a signal that is taken: needs a C compiler'))(
    'the first signal without a handler is taken, from ACALL_SIGNAL downward and round; only when there is none, calls reject',
    async () => {
      const preload = preloaded(taker!);
      const works = ['done', 'done', 'ABORT_ERR'];
      const refused = ['ERR_ACALL_SIGNAL', 'ERR_ACALL_SIGNAL', 'ERR_ACALL_SIGNAL'];
      for (const [env, expected] of [
        [{}, { ends: works, signals: [61] }],
        [{ ACALL_TEST_TAKEN: '61' }, { ends: works, signals: [60] }],
        [{ ACALL_TEST_TAKEN: '59-61' }, { ends: works, signals: [58] }],
        [
          { ACALL_TEST_TAKEN: '40', ACALL_SIGNAL: '40' },
          { ends: works, signals: [39] },
        ],
        [
          { ACALL_TEST_TAKEN: '35-40', ACALL_SIGNAL: '40' },
          { ends: works, signals: [64] },
        ],
        [{ ACALL_TEST_IGNORED: '61' }, { ends: works, signals: [61] }],
        [{ ACALL_TEST_TAKEN: '35-64' }, { ends: refused, signals: [] }],
      ] as const) {
        const told = await answerOf('takeSignal', [], { env: { ...preload, ...env } });
        expect({ env, ...told }).toEqual({ env, ...expected });
      }
    },
  );

  it.skipIf(skip(taker === null, 'a signal that is taken: needs a C compiler'))(
    'one that takes our signal while calls run is reported once, and aborts are as prompt as ever',
    async () => {
      const env = { ...preloaded(taker!), ACALL_TEST_TAKEN_LATER: '61' };
      const told = await answerOf('loseSignal', [], { env });
      expect(told).toEqual({ codes: ['ABORT_ERR'], warnings: ['ERR_ACALL_SIGNAL'], stats: 500 });
    },
  );
});

describe('a limit on the address space', () => {
  it.skipIf(slow > 1)('leaves as many threads as fit, and the process alive', async () => {
    const size = "fs.readFileSync('/proc/self/status', 'utf8').match(/VmSize:\\s*(\\d+)/)[1]";
    const bare = Number(spawnSync(process.execPath, ['-p', size], { encoding: 'utf8' }).stdout);
    expect(bare).toBeGreaterThan(0);
    for (const more of [600_000, 900_000]) {
      const launcher = ['bash', '-c', 'ulimit -v "$0"; exec "$@"', `${bare + more}`];
      const { status, signal, stdout, stderr } = await run('thousandSleeps', [], { launcher, timeout: 60_000 });
      expect({ status, signal, stdout }, stderr).toEqual({ status: 0, signal: null, stdout: '1000' });
    }
  });
});
