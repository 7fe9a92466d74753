// When something runs out: threads, processes, descriptors, memory, room in a ring. Ops wait or fail with the kernel's word;
// none is lost, and what was not short goes on.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mayRead } from '../support/stranger';
import { answerOf, fifo, slow } from './support/child';
import { compile, preloaded, skip } from './support/compile';

const taker = compile('taken-signal', ['-shared', '-fPIC']);
const isRoot = process.getuid?.() === 0;
const has = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** More ops than there can be threads, on own threads and in the pool; then the way out. */
const moreThanThreads = `
  const controller = new AbortController();
  const { signal } = controller;
  const all = [...stuck(200, { signal, thread: 'own' }), ...stuck(200, { signal })].map(outcome);
  const raw = rawStuck(20);
  await until(() => acall.counters().threads > 2 && acall.counters().submitted === 420);
  const full = acall.counters();
  controller.abort();
  const codes = [...new Set(await Promise.all(all))];
  for (const id of raw.ids) acall.acall_cancel(id);
  await until(() => raw.ring.head === 20);
  const results = new Set();
  raw.ring.drain((_, code) => results.add(Number(code)));
  // Threads can be had again.
  const stats = await Promise.all(Array.from({ length: 500 }, () => acall.stat('/')));
  await acall.syscall('getppid', [], { thread: 'own' });
  console.log(JSON.stringify({ codes, results: [...results].sort(), stats: stats.length, threads: full.threads }));
  process.exit(0);`;

interface MoreThanThreads {
  codes: string[];
  results: number[];
  stats: number;
  threads: number;
}

function expectRecovered(told: MoreThanThreads, mostThreads: number): void {
  expect(told).toMatchObject({ codes: ['ABORT_ERR'], stats: 500 });
  expect(told.results.every((code) => code === -4 || code === -125)).toBe(true);
  expect(told.threads).toBeLessThanOrEqual(mostThreads);
}

describe('no more threads', () => {
  const setpriv = isRoot && has('setpriv') && has('prlimit') && mayRead(require.resolve('acall'), tmpdir());

  it.skipIf(skip(!setpriv, 'RLIMIT_NPROC: needs root, setpriv, prlimit, and paths that another user may read'))(
    'RLIMIT_NPROC: ops wait in order and are all answered',
    async () => {
      fs.chmodSync(fifo, 0o666);
      fs.chmodSync(join(fifo, '..'), 0o755);
      // Node itself has a dozen threads; a user that nobody else is.
      const user = String(50_000 + (process.pid % 10_000));
      const told = await answerOf<MoreThanThreads>(moreThanThreads, {
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
      const told = await answerOf<MoreThanThreads>(moreThanThreads, {
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
      const told = await answerOf<string[]>(
        `const { spawn, spawnSync } = require('node:child_process');
        const limit = ['--pid', String(process.pid)];
        const later = spawn('sh', ['-c', 'read line; sleep 0.2; prlimit "$@"', 'sh', ...limit, '--nproc=300:']);
        spawnSync('prlimit', [...limit, '--nproc=1:']);
        const all = [acall.walk('/usr', { maxDepth: 0 }).collect(), acall.readdir('/usr')];
        later.stdin.end('now');
        console.log(JSON.stringify((await Promise.allSettled(all)).map(({ status, reason }) => reason?.code ?? status)));`,
        { launcher: ['setpriv', '--reuid', user, '--regid', user, '--clear-groups'], timeout: 30_000 * slow },
      );
      expect(told).toEqual(['fulfilled', 'fulfilled']);
    },
  );

  it.each([
    ['ACALL_POOL_MAX', 'pool'],
    ['ACALL_OWN_MAX', 'own'],
  ])('%s that keeps calls waiting is named by counters() and by one warning', async (limit, thread) => {
    const told = await answerOf<{ warnings: string[] }>(
      `const warnings = [];
      process.on('warning', ({ code, message }) => warnings.push(code + ' ' + message));
      const limited = () => acall.counters().limitedBy !== null;
      const begin = () => {
        const controller = new AbortController();
        const all = stuck(5, { signal: controller.signal, thread: '${thread}' }).map(outcome);
        return async () => (controller.abort(), Promise.all(all));
      };
      let end = begin();
      await until(() => acall.counters().running === 2);
      const early = acall.counters();
      await until(() => warnings.length > 0);
      const late = acall.counters();
      await end();
      await until(() => !limited());
      end = begin();
      await until(limited);
      await end();
      const shown = ({ limitedBy, queued }) => ({ limitedBy, queued });
      console.log(JSON.stringify({ early: shown(early), late: shown(late), warnings }));
      process.exit(0);`,
      { env: { [limit]: '2' } },
    );
    expect(told).toMatchObject({ early: { limitedBy: null, queued: 3 }, late: { limitedBy: limit, queued: 3 } });
    expect(told.warnings).toEqual([expect.stringMatching(new RegExp(`^ACALL_THREAD_LIMIT acall: ${limit} has kept`))]);
  });

  it('counters() tells what waits in JavaScript for others to end', async () => {
    const told = await answerOf<{ waiting: number; after: number }>(
      `const controller = new AbortController();
      const all = stuck(70_000, { signal: controller.signal });
      await new Promise((resolve) => setImmediate(resolve));
      const { waiting } = acall.counters();
      controller.abort();
      await Promise.allSettled(all);
      console.log(JSON.stringify({ waiting, after: acall.counters().waiting }));
      process.exit(0);`,
    );
    expect(told).toEqual({ waiting: 70_000 - 65_536, after: 0 });
  });

  it.skipIf(skip(!setpriv, 'RLIMIT_NPROC: needs root, setpriv and prlimit'))(
    'RLIMIT_NPROC that allows none at all: very many wait, in order, and the event loop is free',
    async () => {
      const user = String(50_000 + (process.pid % 10_000));
      const told = await answerOf<{ early: boolean; busyMs: number; first: number; codes: string[] }>(
        `const { spawn, spawnSync } = require('node:child_process');
        const limit = ['--pid', String(process.pid)];
        const later = spawn('sh', ['-c', 'read line; prlimit "$@"', 'sh', ...limit, '--nproc=300:']);
        spawnSync('prlimit', [...limit, '--nproc=1:']);
        const order = [];
        const calls = Array.from({ length: 200 }, async (_, i) => {
          const fd = await acall.syscall('openat', [-100, '/etc/passwd', 0], { ref: i > 0 });
          order.push(i);
          fs.closeSync(fd);
        });
        const all = [...calls, ...Array.from({ length: 3000 }, () => acall.stat('/proc/self/status'))];
        let waited = 0;
        let early = false;
        void Promise.race(all).finally(() => (early = waited < 200));
        const before = process.cpuUsage();
        for (; waited < 200; waited++) await new Promise((resolve) => setTimeout(resolve, 5));
        const { user, system } = process.cpuUsage(before);
        later.stdin.end('now');
        const codes = [...new Set((await Promise.allSettled(all)).map(({ status, reason }) => reason?.code ?? status))];
        console.log(JSON.stringify({ early, busyMs: (user + system) / 1000, first: order[0], codes }));`,
        { launcher: ['setpriv', '--reuid', user, '--regid', user, '--clear-groups'], timeout: 30_000 * slow },
      );
      expect(told).toEqual({ early: false, busyMs: expect.any(Number) as number, first: 0, codes: ['fulfilled'] });
      expect(told.busyMs).toBeLessThan(1_000 * slow);
    },
  );

  it('ACALL_POOL_MAX and ACALL_OWN_MAX: a handful of threads serves them all', async () => {
    const told = await answerOf<MoreThanThreads>(moreThanThreads, {
      env: { ACALL_POOL_MAX: '3', ACALL_OWN_MAX: '2' },
      timeout: 30_000 * slow,
    });
    expectRecovered(told, 6);
  });
});

describe('no more descriptors', () => {
  it('EMFILE is told, and everything works again when there are some', async () => {
    const told = await answerOf<Record<string, unknown>>(
      `
      const tell = (promise) => promise.then(() => 'done', ({ code }) => code);
      const taken = [];
      const take = () => { try { for (;;) taken.push(fs.openSync('/dev/null')); } catch (error) { return error.code; } };
      await acall.stat('/');
      await acall.syscall('getppid', []); // the table of calls is read from its file at first use
      const full = take();
      const now = {
        full,
        open: await tell(acall.open('/dev/null')),
        syscall: await tell(acall.syscall('openat', [-100, '/dev/null', 0])),
        pipe2: await tell(acall.syscall('pipe2', [Buffer.alloc(8), 0])),
        readFile: await tell(acall.readFile('/etc/passwd')),
        readdir: await tell(acall.readdir('/')),
        walk: await tell(acall.walk('/').collect()),
        stat: await tell(acall.stat('/')),
        stats: (await Promise.all(Array.from({ length: 300 }, () => acall.stat('/')))).length,
        statMany: [...(await acall.statMany(['/', '/nope'])).error],
        stuck: await tell(acall.syscall('nanosleep', [Buffer.alloc(16), null])),
      };
      for (const fd of taken) fs.closeSync(fd);
      now.after = [await tell(acall.readFile('/etc/passwd')), await tell(acall.readdir('/'))];
      console.log(JSON.stringify(now));`,
      { launcher: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] },
    );
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

  it('a blocking wait without a descriptor for its eventfd says -EAGAIN', async () => {
    const told = await answerOf<number>(
      `
      const { ring } = rawStuck(1);
      await until(() => threadsIn('openat') === 1);
      // A look at the stuck thread may hold one for a moment, and give it back when the others are taken.
      for (let i = 0; i < 5; i++) {
        try { for (;;) fs.openSync('/dev/null'); } catch {}
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const answer = acall.acall_ring_pwait(ring, 0, 1, { sec: 5, nsec: 0 });
      fs.writeSync(1, JSON.stringify(answer));
      process.exit(0);`,
      { launcher: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] },
    );
    expect(told).toBe(-11);
  });
});

describe('no more memory', () => {
  it('an arena that cannot be had is a RangeError, and the next smaller one works', async () => {
    const told = await answerOf<string[]>(`
      const make = (bytes) => { try { new acall.Arena(bytes); return 'done'; } catch (error) { return error.name + ' ' + error.code; } };
      console.log(JSON.stringify([make(2 ** 52), make(2 ** 40), make(1 << 20)]));`);
    expect(told).toEqual(['RangeError ERR_OUT_OF_RANGE', 'RangeError ERR_OUT_OF_RANGE', 'done']);
  });

  it('an arena that is full says so, and gives what is freed', async () => {
    const told = await answerOf<unknown[]>(`
      const arena = new acall.Arena(4096);
      const parts = [];
      let code;
      try { for (;;) parts.push(arena.alloc(64)); } catch (error) { code = error.code; }
      for (const part of parts) arena.free(part);
      console.log(JSON.stringify([code, arena.alloc(4000).length]));`);
    expect(told).toEqual(['ERR_OUT_OF_RANGE', 4000]);
  });
});

describe('a ring', () => {
  const submitMany = `
    const count = 10000;
    const arena = new acall.Arena(1 << 20);
    const ring = new acall.AcallCompletionRing(arena, 8);
    const bytes = Buffer.alloc(88 * 100);
    for (let i = 0; i < count; i += 100) {
      for (let k = 0; k < 100; k++) {
        bytes.writeUInt32LE(acall.SYS.getppid, k * 88);
        bytes.writeUInt32LE(1, k * 88 + 4);
        bytes.writeBigUInt64LE(BigInt(i + k + 1), k * 88 + 8);
        bytes.writeBigUInt64LE(ring.address, k * 88 + 16);
      }
      if (acall.acall_submit(bytes) !== 100) throw new Error('refused');
    }`;

  it('that nobody drains keeps what comes, overwrites nothing, and lets the process end', async () => {
    const told = await answerOf<Record<string, unknown>>(`${submitMany}
      await until(() => acall.counters().completed === count);
      const slots = Array.from({ length: 8 }, (_, i) => String(ring.comps(i).cookie !== 0n));
      const head = ring.head;
      const quick = (await Promise.all(Array.from({ length: 1000 }, () => acall.stat('/')))).length;
      console.log(JSON.stringify({ head, slots, overflows: ring.overflows, quick }));`);
    expect(told).toEqual({ head: 8, slots: Array.from({ length: 8 }, () => 'true'), overflows: 9992, quick: 1000 });
  });

  it('with a slow consumer gives every completion once', async () => {
    const told = await answerOf<Record<string, unknown>>(`${submitMany}
      const seen = new Set();
      let visits = 0;
      while (seen.size < count) {
        ring.drain((cookie) => { seen.add(cookie); visits++; }, 3);
        if (visits % 30 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      console.log(JSON.stringify({ visits, distinct: seen.size, left: ring.drain(() => {}) }));`);
    expect(told).toEqual({ visits: 10_000, distinct: 10_000, left: 0 });
  });

  it('whose reader uses memory alone gets what waited in the backlog', async () => {
    const told = await answerOf<Record<string, unknown>>(
      `${submitMany}
      const slots = new BigInt64Array(arena.buffer, Number(ring.address - arena.address) + 8, 16);
      const seen = new Set();
      for (let at = 0; seen.size < count; ) {
        const cookie = Atomics.load(slots, (at % 8) * 2 + 1);
        if (cookie === 0n) { await new Promise((resolve) => setImmediate(resolve)); continue; }
        seen.add(cookie);
        Atomics.store(slots, (at++ % 8) * 2 + 1, 0n);
      }
      console.log(JSON.stringify({ distinct: seen.size }));
      process.exit(0);`,
      { timeout: 60_000 * slow },
    );
    expect(told).toEqual({ distinct: 10_000 });
  });
});

describe('others', () => {
  it('two hundred stuck opens in the pool leave quick calls alone', async () => {
    const told = await answerOf<{ quick: number; codes: string[] }>(`
      const controller = new AbortController();
      const all = stuck(200, { signal: controller.signal }).map(outcome);
      let quick = 0;
      for (let round = 0; round < 10; round++) {
        quick += (await Promise.all(Array.from({ length: 1000 }, () => acall.stat('/')))).length;
        quick += (await Promise.all(Array.from({ length: 100 }, () => acall.readFile('/etc/passwd')))).length;
      }
      await until(() => threadsIn('openat') === 200);
      controller.abort();
      console.log(JSON.stringify({ quick, codes: [...new Set(await Promise.all(all))] }));`);
    expect(told).toEqual({ quick: 11_000, codes: ['ABORT_ERR'] });
  });

  it('a storm of unrelated signals disturbs nothing', async () => {
    const told = await answerOf<{ stats: number; read: number; heard: boolean; codes: string[]; waited: number }>(`
      let heard = 0;
      for (const signal of ['SIGUSR2', 'SIGWINCH', 'SIGHUP']) process.on(signal, () => heard++);
      const { spawn } = require('node:child_process');
      const storm = spawn(process.execPath, ['-e', \`
        for (let i = 0; ; i++) for (const signal of ['SIGUSR2', 'SIGWINCH', 'SIGHUP']) {
          try { process.kill(\${process.pid}, signal); } catch { process.exit(0); }
          if (i % 50 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        }\`], { stdio: 'ignore' });
      const controller = new AbortController();
      const all = stuck(50, { signal: controller.signal });
      let stats = 0, read = 0;
      await until(() => heard > 0);
      for (let round = 0; round < 20; round++) {
        stats += (await Promise.all(Array.from({ length: 500 }, () => acall.stat('/')))).length;
        read += (await Promise.all(Array.from({ length: 50 }, () => acall.readFile('/etc/passwd')))).length;
      }
      await until(() => threadsIn('openat') === 50);
      // A wait that signals interrupt says so or times out; it never hangs and never lies.
      const { ring, ids } = rawStuck(1);
      const waited = acall.acall_ring_pwait(ring, 0, 1, { sec: 0, nsec: 50_000_000 });
      acall.acall_cancel(ids[0]);
      controller.abort();
      const codes = [...new Set(await Promise.all(all.map(outcome)))];
      storm.kill('SIGKILL');
      console.log(JSON.stringify({ stats, read, heard: heard > 0, codes, waited }));
      process.exit(0);`);
    expect(told).toMatchObject({ stats: 10_000, read: 1000, heard: true, codes: ['ABORT_ERR'] });
    expect([0, -4]).toContain(told.waited);
  });

  it.skipIf(skip(taker === null, 'a signal that is taken: needs a C compiler'))(
    'the first signal without a handler is taken, from ACALL_SIGNAL downward and round; only when there is none, calls reject',
    async () => {
      const source = `
        const caught = () => {
          const [, mask] = /^SigCgt:\\s*(\\w+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'));
          return Array.from({ length: 30 }, (_, i) => i + 35).filter((n) => BigInt('0x' + mask) >> BigInt(n - 1) & 1n);
        };
        const before = caught();
        const again = async () => {
          try { return await acall.stat('/').then(() => 'done', ({ code }) => code); } catch (error) { return 'thrown'; }
        };
        const told = [await again(), await again()];
        const controller = new AbortController();
        const [open] = stuck(1, { signal: controller.signal });
        if (told[0] === 'done') await until(() => threadsIn('openat') === 1);
        setTimeout(() => controller.abort(), 1);
        told.push(await open.then(() => 'done', ({ code }) => code));
        if (told[0] === 'done') await until(() => threadsIn('openat') === 0);
        console.log(JSON.stringify([told, caught().filter((n) => !before.includes(n))]));
        process.exit(0);`;
      const preload = preloaded(taker!);
      const works = ['done', 'done', 'ABORT_ERR'];
      const refused = ['ERR_ACALL_SIGNAL', 'ERR_ACALL_SIGNAL', 'ERR_ACALL_SIGNAL'];
      for (const [env, expected] of [
        [{}, [works, [61]]],
        [{ ACALL_TEST_TAKEN: '61' }, [works, [60]]],
        [{ ACALL_TEST_TAKEN: '59-61' }, [works, [58]]],
        [{ ACALL_TEST_TAKEN: '40', ACALL_SIGNAL: '40' }, [works, [39]]],
        [{ ACALL_TEST_TAKEN: '35-40', ACALL_SIGNAL: '40' }, [works, [64]]],
        [{ ACALL_TEST_IGNORED: '61' }, [works, [61]]],
        [{ ACALL_TEST_TAKEN: '35-64' }, [refused, []]],
      ] as const) {
        expect({ env, told: await answerOf(source, { env: { ...preload, ...env } }) }).toEqual({ env, told: expected });
      }
    },
  );

  it.skipIf(skip(taker === null, 'a signal that is taken: needs a C compiler'))(
    'one that takes our signal while calls run is reported once, and aborts are as prompt as ever',
    async () => {
      const told = await answerOf<Record<string, unknown>>(
        `
        const warnings = [];
        process.on('warning', ({ code }) => warnings.push(code));
        const round = async (count) => {
          const controller = new AbortController();
          const all = stuck(3, { signal: controller.signal }).map(outcome);
          await until(() => threadsIn('openat') === count);
          process.kill(process.pid, 'SIGUSR2'); // handled before it returns
          controller.abort();
          return Promise.all(all);
        };
        const codes = await round(3);
        await until(() => warnings.length > 0);
        codes.push(...(await round(6)));
        const stats = (await Promise.all(Array.from({ length: 500 }, () => acall.stat('/')))).length;
        await until(() => threadsIn('openat') === 6); // signals that repeat make a thread seem elsewhere for a moment
        fs.writeSync(1, JSON.stringify({ codes: [...new Set(codes)], warnings, stats }));
        process.exit(0);`,
        {
          env: { ...preloaded(taker!), ACALL_TEST_TAKEN_LATER: '61' },
        },
      );
      expect(told).toEqual({ codes: ['ABORT_ERR'], warnings: ['ERR_ACALL_SIGNAL'], stats: 500 });
    },
  );
});

describe('a limit on the address space', () => {
  it.skipIf(slow > 1)('leaves as many threads as fit, and the process alive', () => {
    const child = `const { syscall } = require(${JSON.stringify(process.cwd())});
      const time = Buffer.from(new BigInt64Array([0n, 50_000_000n]).buffer);
      Promise.all(Array.from({ length: 1000 }, () => syscall('ppoll', [null, 0, time, null, 8]))).then((all) => console.log(all.length));`;
    const size = "require('fs').readFileSync('/proc/self/status', 'utf8').match(/VmSize:\\\\s*(\\\\d+)/)[1]";
    const bare = Number(
      spawnSync(process.execPath, ['-p', size.replaceAll('\\\\', '\\')], { encoding: 'utf8' }).stdout,
    );
    expect(bare).toBeGreaterThan(0);
    for (const more of [600_000, 900_000]) {
      const { status, signal, stdout, stderr } = spawnSync(
        'bash',
        ['-c', 'ulimit -v "$0"; exec "$1" -e "$2"', `${bare + more}`, process.execPath, child],
        { encoding: 'utf8', timeout: 60_000 },
      );
      expect({ status, signal, stdout }, stderr).toEqual({ status: 0, signal: null, stdout: '1000\n' });
    }
  });
});
