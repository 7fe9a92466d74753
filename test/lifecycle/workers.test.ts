// Workers that come, wait, share and go.
import { describe, expect, it } from 'vitest';
import { answerOf, kAtOnce, runChild, slow } from './support/child';

/** What a Worker has in flight when it ends, by what it runs; it posts a message when it is there. */
const stages: Record<string, string> = {
  'stuck promises and raw ops': `
    stuck(10); stuck(10, { thread: 'own' }); rawStuck(10); rawStuck(10, 1);
    await until(() => threadsIn('openat') >= 40); parentPort.postMessage('there');`,
  'ops it has not sent down yet': `parentPort.postMessage('there'); stuck(10); rawStuck(1);`,
  'quick ops flying': `
    (async function fly() { for (;;) await Promise.all(Array.from({ length: 100 }, () => acall.stat('/'))); })();
    await acall.stat('/'); parentPort.postMessage('there');`,
  'a walk, a du and a batch under way': `
    const walk = acall.walk('/usr', { stats: true })[Symbol.asyncIterator]();
    acall.du('/usr').catch(() => {});
    acall.statMany(Array.from({ length: 5000 }, () => '/')).catch(() => {});
    acall.readFiles(Array.from({ length: 5000 }, () => '/etc/hostname')).then(() => {}, () => {});
    await walk.next(); parentPort.postMessage('there');`,
  'a wait in acall_ring_pwait': `
    const { ring } = rawStuck(1); await until(() => threadsIn('openat') >= 1);
    parentPort.postMessage('there'); acall.acall_ring_pwait(ring, 0, 1);`,
  'a wait in acall_comp_pwait': `
    const { ids } = rawStuck(2); await until(() => threadsIn('openat') >= 2);
    parentPort.postMessage('there'); acall.acall_comp_pwait(ids, 2);`,
  'a promise that waits for a ring': `
    const { ring } = rawStuck(1); ring.wait(); await until(() => threadsIn('openat') >= 1);
    parentPort.postMessage('there');`,
};

describe.each(Object.entries(stages))('a Worker with %s', (_, source) => {
  it('can be terminated at once; main thread and another Worker go on', async () => {
    const { slowest, others, left } = await answerOf<{ slowest: number; others: number[]; left: string[] }>(`
      const other = worker(\`parentPort.on('message', async () => {
        for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 50 }, () => acall.stat('/')));
        parentPort.postMessage(20);
      });\`);
      let slowest = 0;
      const others = [];
      for (let round = 0; round < 3; round++) {
        const there = worker(${JSON.stringify(`(async () => { ${source} })();`)});
        await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));
        const answered = new Promise((resolve) => other.once('message', resolve));
        other.postMessage('go');
        const begun = performance.now();
        await there.terminate();
        slowest = Math.max(slowest, performance.now() - begun);
        others.push(await answered);
        await acall.stat('/');
      }
      await other.terminate();
      await until(() => acall.counters().ownThreads === 0 && acall.counters().running === 0);
      const left = ourThreads().filter((name) => name === 'acall-own');
      console.log(JSON.stringify({ slowest, others, left }));`);
    expect(others).toEqual([20, 20, 20]);
    expect(left).toEqual([]);
    expect(slowest).toBeLessThan(kAtOnce);
  });
});

// A blocked wait does not reach its end by itself.
describe.each(Object.entries(stages).filter(([stage]) => !stage.includes('pwait')))('a Worker with %s', (_, source) => {
  it.each([
    ['process.exit(5)', 'process.exit(5);', 5],
    ['an exception', `setImmediate(() => { throw new Error('uncaught'); });`, 1],
  ])('ends at once by %s', async (_, end, code) => {
    const told = await answerOf<{ code: number; ms: number }>(`
      const there = worker(${JSON.stringify(`(async () => { ${source} ${end} })();`)});
      let begun;
      there.on('message', () => (begun = performance.now()));
      there.on('error', () => {});
      const code = await new Promise((resolve) => there.on('exit', resolve));
      await acall.stat('/');
      console.log(JSON.stringify({ code, ms: performance.now() - begun }));`);
    expect(told.code).toBe(code);
    expect(told.ms).toBeLessThan(kAtOnce);
  });
});

describe('many Workers', () => {
  it('twenty come and go, three times, while ops fly', async () => {
    const codes = await answerOf<number[]>(
      `
      let flying = true;
      const flight = (async () => {
        while (flying) await Promise.all(Array.from({ length: 50 }, () => acall.stat('/')));
      })();
      const codes = [];
      for (let round = 0; round < 3; round++) {
        await Promise.all(Array.from({ length: 20 }, async (_, i) => {
          const there = worker(\`(async () => {
            stuck(3); rawStuck(3); rawStuck(3, 1);
            const controller = new AbortController();
            stuck(3, { signal: controller.signal });
            for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 50 }, () => acall.stat('/')));
            controller.abort();
            parentPort.postMessage('there');
            if (\${i % 4} === 0) process.exit(3);
            if (\${i % 4} === 1) setImmediate(() => process.exit(3));
          })();\`);
          const ended = new Promise((resolve) => there.on('exit', resolve)); // it may end together with its message
          await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));
          if (i % 4 > 1) await there.terminate();
          else codes.push(await ended);
        }));
      }
      flying = false;
      await flight;
      await until(() => acall.counters().running === 0);
      console.log(JSON.stringify(codes));
      ending();`,
      { timeout: 60_000 * slow },
    );
    expect(codes).toEqual(Array.from({ length: 30 }, () => 3));
  });

  it('the addon can be loaded by Workers alone, again and again, and leaves no descriptor', async () => {
    const told = await answerOf<{ first: number; last: number; rounds: number }>(`
      const there = (round) => new Promise((resolve, reject) => {
        new Worker(\`
          const acall = require('acall');
          acall.syscall('openat', [-100, process.env.ACALL_TEST_FIFO, 0]).catch(() => {});
          acall.stat('/').then(() => process.exit(0));
        \`, { eval: true }).on('error', reject).on('exit', resolve);
      });
      // The prelude has loaded the addon here; only what a process that has not looks like is of interest.
      let first;
      for (let round = 0; round < 12; round++) {
        if ((await there(round)) !== 0) throw new Error('a Worker failed');
        if (round === 1) first = descriptors();
      }
      console.log(JSON.stringify({ first, last: descriptors(), rounds: 12 }));`);
    expect(told.last).toBe(told.first);
  });

  it('a process whose main thread never loads the addon ends well', async () => {
    const end = await runChild(`
      // Not the prelude's acall: a process of its own.
      const { spawnSync } = require('node:child_process');
      const source = \`
        const { Worker } = require('node:worker_threads');
        const run = () => new Promise((resolve, reject) => {
          new Worker("const acall = require('acall'); acall.syscall('openat', [-100, process.env.ACALL_TEST_FIFO, 0]).catch(() => {});" +
            "acall.stat('/').then(() => process.exit(4));", { eval: true }).on('error', reject).on('exit', resolve);
        });
        (async () => {
          for (let i = 0; i < 5; i++) if ((await run()) !== 4) process.exit(99);
          process.exit(3);
        })();\`;
      const { status, stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8' });
      console.log(status, stderr);`);
    expect(end.stdout.trim()).toBe('3');
  });
});

describe('what Workers share', () => {
  it('a Worker waits on a ring of the main thread', async () => {
    const answer = await answerOf<{ waited: number; drained: string[] }>(`
      const arena = new acall.Arena();
      const ring = new acall.AcallCompletionRing(arena, 8);
      const there = worker(\`
        const arena = acall.Arena.from(workerData.buffer);
        const ring = acall.AcallCompletionRing.from(arena, workerData.address);
        parentPort.postMessage('waits');
        parentPort.postMessage(acall.acall_ring_pwait(ring, 0, 3));
      \`, { workerData: { buffer: arena.buffer, address: ring.address } });
      const messages = [];
      const all = new Promise((resolve) => there.on('message', (m) => { messages.push(m); if (messages.length === 2) resolve(); }));
      await until(() => threadsIn('ppoll') === 1);
      const submissions = [1n, 2n, 3n].map((cookie) => {
        const submission = new acall.AcallSubmission(arena);
        return Object.assign(submission, { nr: acall.SYS.getppid, flags: 1, cookie, completion_ring_pointer: ring.address });
      });
      acall.acall_submit(submissions);
      await all;
      const drained = [];
      ring.drain((cookie, code) => drained.push(String(cookie) + (code === BigInt(process.ppid) ? '' : '?')));
      console.log(JSON.stringify({ waited: messages[1], drained: drained.sort() }));`);
    expect(answer).toEqual({ waited: 3, drained: ['1', '2', '3'] });
  });

  it('two Workers drain one ring, and each completion goes to exactly one', async () => {
    const seen = await answerOf<{ total: number; distinct: number; both: boolean }>(`
      const arena = new acall.Arena(8 << 20);
      const ring = new acall.AcallCompletionRing(arena, 64);
      const source = \`
        const arena = acall.Arena.from(workerData.buffer);
        const ring = acall.AcallCompletionRing.from(arena, workerData.address);
        const mine = [];
        parentPort.on('message', (text) => {
          if (text !== 'go') return;
          (async () => {
            for (;;) {
              ring.drain((cookie) => mine.push(Number(cookie)), 7);
              if (Atomics.load(new Int32Array(workerData.left)) === 0) break;
              if (ring.head - mine.length === 0) await new Promise((resolve) => setImmediate(resolve));
              else await new Promise((resolve) => setImmediate(resolve));
            }
            ring.drain((cookie) => mine.push(Number(cookie)));
            parentPort.postMessage(mine);
            parentPort.close();
          })();
        });
        parentPort.postMessage('there');\`;
      const left = new SharedArrayBuffer(4);
      const workerData = { buffer: arena.buffer, address: ring.address, left };
      const workers = [worker(source, { workerData }), worker(source, { workerData })];
      await Promise.all(workers.map((there) => new Promise((resolve) => there.once('message', resolve))));
      Atomics.store(new Int32Array(left), 0, 1);
      const results = workers.map((there) => new Promise((resolve) => there.once('message', resolve)));
      for (const there of workers) there.postMessage('go');
      const count = 20000;
      const bytes = Buffer.alloc(88 * 100);
      for (let i = 0; i < count; i += 100) {
        for (let k = 0; k < 100; k++) {
          bytes.writeUInt32LE(acall.SYS.getppid, k * 88);
          bytes.writeUInt32LE(1, k * 88 + 4);
          bytes.writeBigUInt64LE(BigInt(i + k + 1), k * 88 + 8);
          bytes.writeBigUInt64LE(ring.address, k * 88 + 16);
        }
        if (acall.acall_submit(bytes, 100) !== 100) throw new Error('refused');
        if (i % 2000 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await until(() => ring.head === count);
      Atomics.store(new Int32Array(left), 0, 0);
      const [one, other] = await Promise.all(results);
      const all = [...one, ...other];
      console.log(JSON.stringify({ total: all.length, distinct: new Set(all).size, both: one.length > 0 && other.length > 0 }));`);
    expect(seen).toEqual({ total: 20_000, distinct: 20_000, both: true });
  });

  it("a dead Worker's ops complete into the sinks that another environment has registered", async () => {
    const codes = await answerOf<string[]>(`
      const arena = new acall.Arena();
      const ring = new acall.AcallCompletionRing(arena, 16);
      const there = worker(\`
        const arena = acall.Arena.from(workerData.buffer);
        // No struct views: the two environments share the buffer and not the allocator.
        const bytes = Buffer.alloc(88 * 8);
        for (let i = 0; i < 8; i++) {
          bytes.writeUInt32LE(acall.SYS.openat, i * 88);
          bytes.writeUInt32LE(i % 2, i * 88 + 4);
          bytes.writeBigUInt64LE(BigInt(i + 1), i * 88 + 8);
          bytes.writeBigUInt64LE(workerData.address, i * 88 + 16);
          bytes.writeBigInt64LE(-100n, i * 88 + 40);
          bytes.writeBigUInt64LE(workerData.path, i * 88 + 48);
        }
        parentPort.on('message', () => {});
        parentPort.postMessage(acall.acall_submit(bytes));
      \`, { workerData: { buffer: arena.buffer, address: ring.address, path: acall.addressOf(arena.cstring(fifo)) } });
      const accepted = await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));
      if (accepted !== 8) throw new Error('accepted ' + accepted);
      await until(() => threadsIn('openat') === 8);
      await there.terminate();
      await until(() => ring.head === 8);
      const codes = [];
      ring.drain((cookie, code) => codes.push(String(code)));
      console.log(JSON.stringify(codes.sort()));`);
    expect(codes).toEqual(Array.from({ length: 8 }, () => '-4'));
  });

  it('an op of a Worker can be cancelled by another environment through its id', async () => {
    const answer = await answerOf<{ cancelled: number; again: number; code: string; later: number }>(`
      const arena = new acall.Arena();
      const id = new acall.AcallId(arena);
      const there = worker(\`
        const { ring, ids } = rawStuck(1);
        new Uint8Array(workerData.buffer, workerData.offset, 16).set(ids[0].bytes);
        until(() => threadsIn('openat') === 1).then(() => parentPort.postMessage('there'));
        ring.wait().then(() => ring.drain((cookie, code) => parentPort.postMessage(String(code))));
      \`, { workerData: { buffer: arena.buffer, offset: id.bytes.byteOffset } });
      await new Promise((resolve, reject) => there.once('message', resolve).on('error', reject));
      const result = new Promise((resolve) => there.once('message', resolve));
      const cancelled = acall.acall_cancel(id);
      const again = acall.acall_cancel(id);
      const code = await result;
      console.log(JSON.stringify({ cancelled, again, code, later: acall.acall_cancel(id) }));`);
    expect(answer.cancelled).toBe(0);
    expect([0, -114, -2]).toContain(answer.again);
    expect(answer).toMatchObject({ code: '-4', later: -2 });
  });
});

describe('descriptors that nobody takes', () => {
  it.each([
    ['process.exit()', 'process.exit(0);'],
    ['an exception', `throw new Error('uncaught');`],
    ['terminate()', 'parentPort.postMessage(1); for (;;);'],
  ])('results that a Worker has not taken are closed when it ends by %s', async (_, end) => {
    const told = await answerOf<{ before: number; after: number }>(`
      await acall.stat('/');
      const run = async () => {
        const there = worker(\`
          const done = acall.counters().completed;
          for (let i = 0; i < 50; i++) {
            acall.syscall('openat', [-100, '/dev/null', 0]).catch(() => {});
            // Not in the pool: what cannot block would be done at once, and its result be taken.
            acall.syscall('pipe2', [Buffer.alloc(8), 0], { thread: 'own' }).catch(() => {});
            acall.syscall('socketpair', [1, 1, 0, Buffer.alloc(8)], { thread: 'own' }).catch(() => {});
          }
          queueMicrotask(() => queueMicrotask(() => {
            while (acall.counters().completed < done + 150);
            ${end}
          }));\`);
        there.on('error', () => {});
        there.on('message', () => there.terminate());
        await new Promise((resolve) => there.on('exit', resolve));
      };
      await run();
      await until(() => acall.counters().running === 0 && acall.counters().queued === 0);
      const before = descriptors();
      for (let i = 0; i < 3; i++) await run();
      await until(() => acall.counters().running === 0 && acall.counters().queued === 0);
      console.log(JSON.stringify({ before, after: descriptors() }));`);
    expect(told.after).toBe(told.before);
  });
});
