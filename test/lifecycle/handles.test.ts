// Open files: whose a descriptor is while calls have it, after an abort, and when a Worker ends.
import { describe, expect, it } from 'vitest';
import { answerOf, kAtOnce, slow } from './support/child';
import { compile, preloaded, skip } from './support/compile';

const taker = compile('taken-signal', ['-shared', '-fPIC']);

/** A folder of the child's own, and whether another process could have the lock of a file there. */
const own = `
  const folder = fs.mkdtempSync(join(require('node:os').tmpdir(), 'acall-handles-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'file');
  fs.writeFileSync(file, 'content');
  const { spawnSync } = require('node:child_process');
  const isFree = (path = file) => spawnSync('flock', ['-n', '-x', path, 'true']).status === 0;
  const settled = () => until(() => acall.counters().running === 0 && acall.counters().queued === 0);
  // The supervisor may have the number for a moment, to look at a thread's state.
  const isOpen = (fd) => { try { return !fs.readlinkSync('/proc/self/fd/' + fd).includes('/task/'); } catch { return false; } };`;

describe('close() of a handle', () => {
  it('after an abort: no call that was aborted finds another file behind the number', async () => {
    const told = await answerOf<{ written: number; slowest: number }>(
      `${own}
      const data = Buffer.alloc(24 << 20, 'x');
      let written = 0, slowest = 0;
      for (let round = 0; round < 100; round++) {
        const controller = new AbortController();
        const { signal } = controller;
        const handle = await acall.open(join(folder, 'target'), 'w');
        // So many calls of one signal that not all of their threads can be told in one turn.
        const before = stuck(100, { signal });
        await until(() => acall.counters().running >= 100);
        let isDone = false;
        const write = acall.writeFile(handle, data, { signal }).finally(() => { isDone = true; });
        const all = Promise.all([...before, write].map(outcome));
        if (round % 8) await until(() => acall.counters().running > 100 || isDone);
        for (const from = performance.now(); performance.now() - from < (round % 8) / 2; );
        controller.abort();
        const begun = performance.now();
        await handle.close();
        slowest = Math.max(slowest, performance.now() - begun);
        const victim = fs.openSync(join(folder, 'victim'), 'w');
        await all;
        await settled();
        written += fs.fstatSync(victim).size;
        fs.closeSync(victim);
      }
      console.log(JSON.stringify({ written, slowest }));`,
      { timeout: 100_000 * slow },
    );
    expect(told.written).toBe(0);
    expect(told.slowest).toBeLessThan(2 * kAtOnce);
  });

  it('waits for calls that were not aborted, refuses new ones, and may be asked for twice', async () => {
    const told = await answerOf<Record<string, unknown>>(`${own}
      const fifo = makeFifo();
      const handle = await acall.open(fifo, 'r+');
      const fd = handle.fd;
      const read = handle.read(Buffer.alloc(4));
      await until(() => threadsIn('read') >= 1);
      let isClosed = false;
      const closes = [handle.close(), handle.close()];
      closes[0].then(() => { isClosed = true; });
      const late = await outcome(handle.read(Buffer.alloc(4)));
      const stat = await outcome(handle.stat());
      await acall.stat('/');
      const early = isClosed;
      const wasOpen = isOpen(fd);
      fs.writeFileSync(fifo, 'text');
      const { bytesRead } = await read;
      await Promise.all(closes);
      console.log(JSON.stringify({ late, stat, early, wasOpen, bytesRead, isOpen: isOpen(fd) }));`);
    expect(told).toEqual({ late: 'EBADF', stat: 'EBADF', early: false, wasOpen: true, bytesRead: 4, isOpen: false });
  });

  it('comes after calls that still wait for a thread; what is aborted in the queue never runs', async () => {
    const queued = await answerOf<Record<string, unknown>>(
      `${own}
      const handle = await acall.open(file, 'r+');
      const blocker = new AbortController(), controller = new AbortController();
      stuck(1, { signal: blocker.signal });
      await until(() => threadsIn('openat') === 1);
      const sync = handle.sync();
      const cut = outcome(handle.truncate(0, { signal: controller.signal }));
      await until(() => acall.counters().queued === 2);
      const closed = handle.close();
      controller.abort();
      const aborted = await cut;
      blocker.abort();
      await Promise.all([sync, closed]);
      console.log(JSON.stringify({ aborted, content: fs.readFileSync(file, 'latin1') }));`,
      { env: { ACALL_POOL_MAX: '1' } },
    );
    expect(queued).toEqual({ aborted: 'ABORT_ERR', content: 'content' });
  });

  it.skipIf(skip(taker === null, 'a call that nothing interrupts: needs a C compiler'))(
    'resolves although the kernel keeps an aborted call; its number and lock are taken until that is back',
    async () => {
      const told = await answerOf<Record<string, unknown>>(
        `${own}
        const fifo = makeFifo();
        process.on('warning', () => {});
        const handle = await acall.open(fifo, 'r+');
        await handle.lock();
        const fd = handle.fd;
        const controller = new AbortController();
        const read = outcome(handle.read(Buffer.alloc(4), 0, 4, null, { signal: controller.signal }));
        await until(() => threadsIn('read') >= 1);
        process.kill(process.pid, 'SIGUSR2'); // from here on nothing interrupts it
        controller.abort();
        const code = await read;
        const begun = performance.now();
        await handle.close();
        const ms = performance.now() - begun;
        const other = fs.openSync(file, 'r');
        const busy = { isOpen: isOpen(fd), isFree: isFree(fifo), same: other === fd, detach: (() => {
          try { handle.detach(); } catch (error) { return error.code; } })() };
        const writer = fs.openSync(fifo, 'r+');
        fs.writeSync(writer, 'text');
        await until(() => !isOpen(fd));
        console.log(JSON.stringify({ code, waited: ms >= 40, atOnce: ms < ${kAtOnce}, busy, free: isFree(fifo) }));
        process.exit(0);`,
        {
          env: { ...preloaded(taker!), ACALL_TEST_TAKEN_LATER: '61' },
        },
      );
      expect(told).toEqual({
        code: 'ABORT_ERR',
        waited: true,
        atOnce: true,
        busy: { isOpen: true, isFree: false, same: false, detach: 'EBADF' },
        free: true,
      });
    },
  );
});

describe('a Worker that ends', () => {
  const holds = `
    const { file, fifo } = workerData;
    (async () => {
      const plain = await acall.open(file, 'r');
      const locked = await acall.open(file, 'r');
      const reading = await acall.open(fifo, 'r+');
      // Through a duplicate, which has the lock too.
      await locked.lock('exclusive', { timeout: 60_000 });
      const waiting = plain.lock('exclusive', { timeout: 60_000 });
      waiting.catch(() => {});
      reading.read(Buffer.alloc(4)).catch(() => {});
      await until(() => threadsIn('read') >= 1 && threadsIn('flock') >= 1);
      globalThis.kept = [plain, locked, reading];
      parentPort.postMessage('there');
      WAY
    })();`;
  it.each([
    ['by terminate()', '', 'await there.terminate();'],
    ['by process.exit()', 'process.exit(0);', 'await gone;'],
    [
      'by itself',
      `kept[2].close().catch(() => {}); fs.writeFileSync(fifo, 'text'); await locked.unlock();
       await waiting; await plain.lock('shared');`,
      'await gone;',
    ],
  ])('%s: its descriptors and locks end with it', async (_, way, end) => {
    const locks = await answerOf<boolean[]>(
      `${own}
      const fifo = makeFifo();
      await acall.stat('/');
      const locks = [];
      let before = Infinity;
      for (let round = 0; round < 12; round++) {
        const there = worker(${JSON.stringify(holds.replace('WAY', way))}, { workerData: { file, fifo } });
        const gone = new Promise((resolve) => there.on('exit', resolve));
        // What a Worker posts before its process.exit() may be lost with it.
        await Promise.race([gone, new Promise((resolve, reject) => there.on('message', resolve).on('error', reject))]);
        ${end}
        locks.push(isFree());
        await settled();
        if (round === 0) before = descriptors(); // Node has opened one for its first Worker
      }
      await until(() => descriptors() <= before);
      console.log(JSON.stringify(locks));`,
      { timeout: 60_000 * slow },
    );
    expect(locks).toEqual(Array.from({ length: 12 }, () => true));
  });

  it('terminated while it opens file after file leaves none of them', async () => {
    const left = await answerOf<number>(
      `${own}
      await acall.stat('/');
      let before = 0;
      for (let round = 0; round < 40; round++) {
        if (round === 1) before = descriptors(); // Node opens one with its first Worker

        const there = worker(\`
          (async () => {
            for (let i = 0; ; i++) {
              await Promise.all(Array.from({ length: 20 }, () => acall.open(workerData, 'r')));
              if (i === 1) parentPort.postMessage('there');
              if (i > 20) await new Promise(() => setTimeout(() => {}, 1e6));
            }
          })();\`, { workerData: file });
        await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));
        await there.terminate();
      }
      await settled();
      console.log(JSON.stringify(descriptors() - before));`,
      { timeout: 100_000 * slow },
    );
    expect(left).toBe(0);
  });

  it.each(['open', 'syscall'])(
    'terminated with what %s has brought in a list of JavaScript leaves none of it',
    async (by) => {
      const left = await answerOf<number[]>(
        `${own}
      await acall.stat('/');
      const counts = [];
      for (let round = 0; round < 4; round++) {
        const there = worker(\`
          (async () => {
            await acall.stat('/');
            const before = descriptors();
            for (let i = 0; i < 1000; i++) {
              if ('${by}' === 'open') acall.open(workerData, 'r');
              else acall.syscall('openat', [-100, workerData, 0]);
            }
            await null; // they go down
            while (descriptors() < before + 1000);
            while (acall.counters().running > 0);
            for (let i = 0; i < 5000; i++) acall.stat('/'); // a burst takes the results that are there
            parentPort.postMessage('there');
            for (;;);
          })();\`, { workerData: file });
        await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));
        await there.terminate();
        await settled();
        counts.push(descriptors());
      }
      console.log(JSON.stringify(counts));`,
        { timeout: 100_000 * slow },
      );
      expect(left).toEqual(Array.from(left, () => left[0]));
      expect(left[0]).toBeLessThan(500);
    },
  );

  it('closes no number that is somebody else’s by then, and none that was given away', async () => {
    const told = await answerOf<Record<string, unknown>>(`${own}
      const there = worker(\`(async () => {
        const handle = await acall.open(workerData, 'r'), given = await acall.open(workerData, 'r');
        globalThis.kept = handle;
        const numbers = [handle.fd, given.detach()];
        const after = [given.fd, await outcome(given.read()), await outcome(given.close())];
        parentPort.postMessage({ numbers, after });
        setInterval(() => {}, 1000);
      })();\`, { workerData: file });
      const { numbers, after } = await new Promise((resolve) => there.on('message', resolve));
      fs.closeSync(numbers[0]);
      const fds = [fs.openSync('/', 'r')];
      while (!fds.includes(numbers[0])) fds.push(fs.openSync('/', 'r'));
      await there.terminate();
      await settled();
      console.log(JSON.stringify({ after, open: [...fds, numbers[1]].every(isOpen) }));`);
    expect(told).toEqual({ after: [-1, 'EBADF', null], open: true });
  });
});
