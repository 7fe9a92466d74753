// However a process ends, whatever its ops wait for: at once, with the right exit code, without a crash.
import { describe, expect, it } from 'vitest';
import { type ChildEnd, kAtOnce, runChild } from './support/child';

/** What is in flight when the end comes. Each ends in the state that its name says. */
const stages: Record<string, string> = {
  'nothing was ever submitted': '',
  'all is over': `await acall.stat('/');`,
  'ops of this tick, not yet sent down': `stuck(5); stuck(5, { thread: 'own' });`,
  'ops stuck in the pool': `stuck(20); await until(() => threadsIn('openat') === 20);`,
  'ops stuck on own threads': `stuck(20, { thread: 'own' }); await until(() => threadsIn('openat') === 20);`,
  'ops queued behind stuck ones': `stuck(300); await until(() => threadsIn('openat') === 4);`,
  'raw ops stuck in the pool': `rawStuck(20, acall.ACALL_SUBMIT_THREAD_POOL); await until(() => threadsIn('openat') === 20);`,
  'raw ops stuck on own threads': `rawStuck(20); await until(() => threadsIn('openat') === 20);`,
  'ops aborted and not yet back': `
    const controller = new AbortController();
    stuck(50, { signal: controller.signal });
    await until(() => threadsIn('openat') === 50);
    controller.abort();`,
  'results that nobody has taken': `
    for (let i = 0; i < 500; i++) acall.syscall('openat', [acall.constants.AT_FDCWD, '/dev/null', 0]);
    await null; await null;
    while (acall.counters().completed < 500);`,
  'a walk and a du under way': `
    const walk = acall.walk('/usr', { stats: true })[Symbol.asyncIterator]();
    acall.du('/usr').catch(() => {});
    await walk.next();`,
  'quick ops flying': `
    (async function fly() { for (;;) await Promise.all(Array.from({ length: 100 }, () => acall.stat('/'))); })();
    await acall.stat('/');`,
  'a Worker with stuck ops': `
    const there = worker(\`stuck(10); rawStuck(10); rawStuck(10, 1);
      until(() => threadsIn('openat') >= 30).then(() => parentPort.postMessage('stuck'));\`);
    await new Promise((resolve) => there.on('message', resolve));`,
  'a Worker blocked in acall_ring_pwait': `
    const there = worker(\`const { ring } = rawStuck(1);
      until(() => threadsIn('openat') >= 1).then(() => {
        parentPort.postMessage('waits');
        acall.acall_ring_pwait(ring, 0, 1);
      });\`);
    await new Promise((resolve) => there.on('message', resolve));
    await until(() => threadsIn('ppoll') >= 1);`,
  'a Worker blocked in acall_comp_pwait': `
    const there = worker(\`const { ids } = rawStuck(3);
      until(() => threadsIn('openat') >= 3).then(() => {
        parentPort.postMessage('waits');
        acall.acall_comp_pwait(ids, 3);
      });\`);
    await new Promise((resolve) => there.on('message', resolve));
    await until(() => threadsIn('ppoll') >= 1);`,
};

interface Ending {
  source: string;
  status: number | null;
  signal?: NodeJS.Signals;
}

const endings: Record<string, Ending> = {
  'process.exit(7)': { source: `ending(); process.exit(7);`, status: 7 },
  'a SIGTERM handler that exits': {
    source: `process.on('SIGTERM', () => process.exit(15)); setInterval(() => {}, 1000);
      ending(); process.kill(process.pid, 'SIGTERM');`,
    status: 15,
  },
  'an uncaught exception': { source: `ending(); setImmediate(() => { throw new Error('uncaught'); });`, status: 1 },
};

/** Those that differ from the ones above in Node and not in us. */
const moreEndings: Record<string, Ending> = {
  'process.exitCode and process.exit()': { source: `ending(); process.exitCode = 9; process.exit();`, status: 9 },
  'SIGTERM without a handler': {
    source: `ending(); process.kill(process.pid, 'SIGTERM');`,
    status: null,
    signal: 'SIGTERM',
  },
  'an unhandled rejection': { source: `ending(); Promise.reject(new Error('unhandled'));`, status: 1 },
  'process.reallyExit(6)': { source: `ending(); process.reallyExit(6);`, status: 6 },
  'an exit listener that submits': {
    source: `process.on('exit', () => { stuck(3); rawStuck(3); }); ending(); process.exit(8);`,
    status: 8,
  },
};

function expectEnd(end: ChildEnd, status: number | null, signal: NodeJS.Signals | null): void {
  expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status, signal });
  expect(end.ms).toBeLessThan(kAtOnce);
}

const poolOf = (stage: string): Record<string, string> =>
  stage.includes('queued behind') ? { ACALL_POOL_MAX: '4' } : {};

describe.each(Object.entries(stages))('with %s', (stage, begin) => {
  it.each(Object.entries(endings))('%s ends the process at once', async (_, { source, status, signal }) => {
    expectEnd(await runChild(`${begin} ${source}`, { env: poolOf(stage) }), status, signal ?? null);
  });
});

describe.each(['ops stuck in the pool', 'raw ops stuck on own threads', 'a Worker with stuck ops'])(
  'with %s',
  (stage) => {
    it.each(Object.entries(moreEndings))('%s ends the process at once', async (_, { source, status, signal }) => {
      expectEnd(await runChild(`${stages[stage]} ${source}`), status, signal ?? null);
    });
  },
);

describe('a process that has nothing left to do', () => {
  it('ends by itself, with its threads', async () => {
    expectEnd(await runChild(`await acall.stat('/'); await acall.syscall('getppid', []); ending();`), 0, null);
  });

  it('stays while an op is in flight, and ends after it', async () => {
    const end = await runChild(`
      const path = makeFifo();
      acall.syscall('openat', [acall.constants.AT_FDCWD, path, acall.constants.O_RDONLY]).then(() => {
        console.log('opened');
        ending();
      });
      await until(() => threadsIn('openat') === 1);
      new Worker('require("node:fs").openSync(process.env.WRITER, "w")', { eval: true, env: { WRITER: path } }).unref();`);
    expect(end.stdout).toBe('opened\n');
    expectEnd(end, 0, null);
  });

  it('stays for a raw op in a ring, and ends after it', async () => {
    const end = await runChild(`
      const path = makeFifo();
      const { ring } = rawStuck(1, 0, path);
      ring.wait().then((count) => {
        console.log('stored', count);
        ring.drain(() => {});
        ending();
      });
      await until(() => threadsIn('openat') === 1);
      new Worker('require("node:fs").openSync(process.env.WRITER, "w")', { eval: true, env: { WRITER: path } }).unref();`);
    expect(end.stdout).toBe('stored 1\n');
    expectEnd(end, 0, null);
  });

  it.each([
    ['an op with ref: false', `stuck(10, { ref: false }); await until(() => threadsIn('openat') === 10);`],
    [
      'own-thread ops with ref: false',
      `stuck(10, { ref: false, thread: 'own' }); await until(() => threadsIn('openat') === 10);`,
    ],
    [
      'raw ops of a ring that was unref()ed before',
      `
      const arena = new acall.Arena(); const ring = new acall.AcallCompletionRing(arena, 4).unref();
      const submission = new acall.AcallSubmission(arena);
      Object.assign(submission, { nr: acall.SYS.openat, cookie: 1n, completion_ring_pointer: ring.address });
      submission.args[0] = -100n; submission.args[1] = acall.addressOf(arena.cstring(fifo));
      acall.acall_submit([submission]); await until(() => threadsIn('openat') === 1);`,
    ],
    [
      'raw ops in flight of a ring that is unref()ed',
      `
      const { ring } = rawStuck(10); await until(() => threadsIn('openat') === 10); ring.unref();`,
    ],
    [
      'an aborted op that the kernel keeps',
      `
      const controller = new AbortController(); stuck(10, { signal: controller.signal });
      await until(() => threadsIn('openat') === 10); controller.abort();`,
    ],
  ])('does not stay for %s', async (_, begin) => {
    expectEnd(await runChild(`${begin} ending();`), 0, null);
  });

  it('stays again after ref()', async () => {
    const end = await runChild(`
      const path = makeFifo();
      const { ring } = rawStuck(1, 0, path);
      await until(() => threadsIn('openat') === 1);
      ring.unref().ref();
      new Worker('require("node:fs").openSync(process.env.WRITER, "w")', { eval: true, env: { WRITER: path } }).unref();
      process.on('exit', () => console.log('stored', ring.head));
      ring.wait().then(() => ending());`);
    expect(end.stdout).toBe('stored 1\n');
    expectEnd(end, 0, null);
  });
});

describe('child_process beside stuck ops', () => {
  it('spawns, and a child has the default action for our signal', async () => {
    const end = await runChild(`
      const { spawn, execFileSync } = require('node:child_process');
      const inherited = () => execFileSync('ls', ['/proc/self/fd'], { encoding: 'utf8' });
      const before = inherited();
      stuck(20); rawStuck(20);
      await until(() => threadsIn('openat') === 40);
      for (let i = 0; i < 20; i++) {
        const code = await new Promise((resolve, reject) => spawn('true').on('error', reject).on('exit', resolve));
        if (code !== 0) throw new Error('true ended with ' + code);
      }
      // Without a preloaded sanitizer, which has handlers of its own.
      const status = execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8', env: { PATH: process.env.PATH } });
      console.log(status.match(/SigCgt:\\s+(\\w+)/)[1], status.match(/SigBlk:\\s+(\\w+)/)[1]);
      console.log(inherited() === before);
      ending(); process.exit(0);`);
    const [signals, open] = end.stdout.trim().split('\n');
    expect(signals).toBe('0000000000000000 0000000000000000');
    expect(open, 'a descriptor of ours was inherited').toBe('true');
    expectEnd(end, 0, null);
  });
});
