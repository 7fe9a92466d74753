// Ten thousand calls blocked at once, each on a thread of its own.
import { describe, expect, it } from 'vitest';
import { answerOf, slow } from '../lifecycle/support/child';

const kCount = slow > 1 ? 1000 : 10_000; // a sanitizer's thread costs a megabyte

describe(`${kCount} calls blocked at once`, () => {
  it('all block, take at most 16 KiB each, leave others alone, and end by one abort', async () => {
    const told = await answerOf<Record<string, number>>(
      `
      const pair = Buffer.alloc(8);
      await acall.syscall('pipe2', [pair, 0]);
      const from = pair.readInt32LE(0);
      // Without the rubbish in V8's heap, which is the test's own.
      const resident = () => {
        gc();
        const { rss, heapTotal, heapUsed } = process.memoryUsage();
        return (rss - heapTotal + heapUsed) / 1024;
      };
      await acall.syscall('getppid', [], { thread: 'own' });
      const threads = fs.readdirSync('/proc/self/task').length;
      const before = resident();
      const controller = new AbortController();
      let settled = 0;
      const buffer = Buffer.alloc(1);
      for (let i = 0; i < ${kCount}; i++) {
        acall.syscall('read', [from, buffer, 1], { thread: 'own', signal: controller.signal }).catch(() => settled++);
      }
      await until(() => acall.counters().ownThreads === ${kCount});
      await until(() => threadsIn('read') === ${kCount});
      const each = (resident() - before) / ${kCount};
      const stats = (await Promise.all(Array.from({ length: 5000 }, () => acall.stat('/')))).length;
      controller.abort();
      // In portions, one in each turn; the least is 256.
      let turns = 0;
      await until(() => turns++ > ${kCount / 256} || settled === ${kCount});
      const now = settled;
      await until(() => acall.counters().ownThreads === 0);
      await until(() => fs.readdirSync('/proc/self/task').length <= threads + 2);
      console.log(JSON.stringify({ each, stats, settled: now, read: fs.existsSync('/proc/self/fd/' + from) ? 0 : 1 }));`,
      { execArgv: ['--expose-gc'], timeout: 60_000 * slow },
    );
    expect(told).toMatchObject({ stats: 5000, settled: kCount, read: 0 });
    if (slow === 1) expect(told.each).toBeLessThanOrEqual(16);
  });
});
