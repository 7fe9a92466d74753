// Everything at once, for a while: at the end there are the threads, the descriptors and the memory of the beginning.
// ACALL_SOAK_SECONDS says how long; `npm run soak` takes ten minutes.
import { describe, expect, it } from 'vitest';
import { likeNode } from '../addon/like-node-child';
import { answerOf, slow } from '../lifecycle/support/child';

const kSeconds = Number(process.env.ACALL_SOAK_SECONDS ?? 20);

const soak = `
  const tree = fs.mkdtempSync(join(require('node:os').tmpdir(), 'acall-soak-'));
  process.on('exit', () => fs.rmSync(tree, { recursive: true, force: true }));
  const files = [];
  for (let i = 0; i < 20; i++) {
    fs.mkdirSync(join(tree, String(i)));
    for (let k = 0; k < 50; k++) { files.push(join(tree, String(i), String(k))); fs.writeFileSync(files.at(-1), 'x'.repeat(i * k)); }
  }
  const done = {};
  const count = (name) => (done[name] = (done[name] ?? 0) + 1);
  const pause = () => new Promise((resolve) => setImmediate(resolve));
  const pick = (list) => list[Math.floor(Math.random() * list.length)];
  const shared = new AbortController(); // never aborted: whatever listens must let go by itself

  const work = {
    async stats() { await Promise.all(Array.from({ length: 200 }, () => acall.stat(pick(files), { signal: shared.signal }))); },
    async many() { await acall.statMany(files, { signal: shared.signal }); },
    async trees() { await acall.walk(tree, { stats: true, onError() {} }).collect(); await acall.du(tree); await acall.readdir(join(tree, '1')); },
    async left() { for await (const entry of acall.walk(tree, { signal: shared.signal, onError() {} })) if (Math.random() < 0.02) break; },
    async contents() { await acall.readFiles(files.slice(0, 300)); await acall.readFile(pick(files)); },
    async files() {
      const path = join(tree, 'new' + Math.random());
      await acall.writeFile(path, 'text'); await acall.copyFile(path, path + 'copy');
      await acall.mkdirp(path + 'folder/a/b'); await acall.rmTree(path + 'folder');
      await acall.rmTree(path); await acall.rmTree(path + 'copy');
      const file = await acall.open(pick(files), 'r'); await acall.flock(file, 'shared'); await file.read(Buffer.alloc(10)); await file.close();
    },
    async aborts() {
      const controller = new AbortController();
      const signal = AbortSignal.any([controller.signal, shared.signal]);
      const all = [...stuck(20, { signal }), ...stuck(5, { signal, thread: 'own' }), ...stuck(5, { timeout: 3 }),
        acall.du(tree, { signal }), acall.walk(tree, { signal }).collect(), acall.readFiles(files, { signal }).then(() => {}),
        acall.open(fifo, 'r', 0o666, { signal }), acall.readFile(fifo, { signal })].map(outcome);
      for (let i = Math.random() * 4; i > 0; i--) await pause();
      controller.abort();
      await Promise.all(all);
    },
    async descriptors() {
      const controller = new AbortController();
      const taken = [];
      const all = Array.from({ length: 20 }, () => acall.syscall('openat', [-100, '/dev/null', 0], { signal: controller.signal })
        .then((fd) => taken.push(fd), () => {}));
      if (Math.random() < 0.5) await pause();
      controller.abort();
      await Promise.all(all);
      await Promise.all(taken.map((fd) => acall.syscall('close', [fd])));
    },
    async raw() {
      const { ring, ids } = rawStuck(10, Math.random() < 0.5 ? 1 : 0);
      if (Math.random() < 0.5) await pause();
      for (const id of ids) acall.acall_cancel(id);
      let seen = 0;
      while (seen < 10) { await ring.wait({ timeout: 1000 }); seen += ring.drain(() => {}); }
    },
    async workers() {
      const there = worker(\`(async () => {
        stuck(3); rawStuck(3); acall.walk(\${JSON.stringify(tree)}).collect().catch(() => {});
        await acall.stat('/');
        // Fifty descriptors that this Worker never sees: it ends before its loop turns again.
        for (let i = 0; i < 50; i++) acall.syscall('openat', [-100, '/dev/null', 0]);
        await null; await null;
        parentPort.postMessage(1);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      })();\`);
      await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));
      await there.terminate();
    },
    async spawns() { await new Promise((resolve, reject) => require('node:child_process').spawn('true').on('exit', resolve).on('error', reject)); },
  };

  async function run(milliseconds) {
    const end = performance.now() + milliseconds;
    await Promise.all(Object.entries(work).map(async ([name, one]) => {
      do { await one(); count(name); await pause(); } while (performance.now() < end);
    }));
    await until(() => acall.counters().running === 0 && acall.counters().queued === 0);
    await until(() => ourThreads().length === 0);
    // Collected, and what its collection sets free too.
    for (let i = 0; i < 4; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
    return {
      threads: fs.readdirSync('/proc/self/task').length,
      descriptors: descriptors(),
      resident: Number(/VmRSS:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1]) / 1024,
      maps: fs.readFileSync('/proc/self/maps', 'latin1').split('\\n').length,
    };
  }
  await run(${Math.max(2, kSeconds / 5) * 1000}); // everything that is made once is made
  const begin = await run(1000);
  const end = await run(${kSeconds * 1000});
  const { submitted, completed } = acall.counters();
  console.log(JSON.stringify({ begin, end, done, lost: submitted - completed, aborted: require('node:events').getEventListeners(shared.signal, 'abort').length }));`;

describe('soak', () => {
  it(
    `${kSeconds} s of everything end with the threads, descriptors and memory of the beginning`,
    async () => {
      interface State {
        threads: number;
        descriptors: number;
        resident: number;
        maps: number;
      }
      const told = await answerOf<{
        begin: State;
        end: State;
        done: Record<string, number>;
        lost: number;
        aborted: number;
      }>(soak, { execArgv: ['--expose-gc'], timeout: (kSeconds * 3 + 60) * 1000 * slow });
      expect(told.end.threads).toBeLessThanOrEqual(told.begin.threads);
      expect(told.end.descriptors).toBeLessThanOrEqual(told.begin.descriptors);
      // What malloc and V8 keep for later does not grow with time: an hour has the bound of half a minute.
      if (slow === 1) expect(told.end.resident).toBeLessThan(told.begin.resident + 48);
      expect(told).toMatchObject({ lost: 0, aborted: 0 });
      for (const [name, rounds] of Object.entries(told.done)) expect(rounds, name).toBeGreaterThan(2);
      console.log(`soak: ${JSON.stringify(told)}`);
    },
    (kSeconds * 3 + 90) * 1000 * slow,
  );

  const seed = Number(process.env.ACALL_LIKE_NODE_SEED ?? Date.now() % 2 ** 32);

  // New calls each time: what they find is news, and no verdict on the change that is tested.
  it.skipIf(process.env.ACALL_SOAK_SECONDS === undefined)(
    `${kSeconds} s of calls drawn at random do what node:fs does (seed ${seed})`,
    async () => {
      const told = await likeNode({ seed, calls: Number.MAX_SAFE_INTEGER, ms: kSeconds * 1000 });
      expect(told).toMatch(/^[1-9]\d* calls, all alike\n$/);
      console.log(`soak: ${told}`);
    },
    (kSeconds * 3 + 90) * 1000 * slow,
  );
});
