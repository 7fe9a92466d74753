// Several instances of the modules in one environment, and several copies of the package in one process.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { answerOf, slow } from './support/child';
import { compile, preloaded, skip } from './support/compile';

const root = join(__dirname, '..', '..');
const instances = `const { fresh, collect, dist } = require(${JSON.stringify(join(__dirname, 'support', 'instances.cjs'))});`;
const kSize = '/etc/passwd';

describe('two instances of the modules in one environment', () => {
  it('get what is theirs, whatever is asked of both at once', async () => {
    const told = await answerOf<Record<string, unknown>>(`${instances}
      const one = fresh(), two = fresh();
      const size = fs.statSync('${kSize}').size;
      const sizes = await Promise.all(Array.from({ length: 3000 }, (_, i) => (i % 2 ? one : two).stat('${kSize}')));
      const each = await Promise.all([one, two].map(async (acall) => [
        (await acall.readFile('${kSize}')).length === size,
        (await acall.statMany(['${kSize}', '/nope'])).size[0] === size,
        (await acall.du('${kSize}', { apparentSize: true })).bytes === size,
        (await acall.syscall('getppid', [])) === process.ppid,
        (await acall.walk(${JSON.stringify(join(root, 'docs'))}).collect()).length === fs.readdirSync(${JSON.stringify(join(root, 'docs'))}, { recursive: true }).length,
        await acall.open('${kSize}').then(async (file) => [(await file.stat()).size === size, await file.close()][0]),
        (await acall.readFiles(['${kSize}', '${kSize}'])).every((data) => data.length === size),
      ]));
      console.log(JSON.stringify({ different: one.stat !== two.stat, wrong: sizes.filter((s) => s.size !== size).length, each }));`);
    expect(told).toEqual({ different: true, wrong: 0, each: [Array(7).fill(true), Array(7).fill(true)] });
  });

  it('each drain rings and cancel ops of their own arenas', async () => {
    const told = await answerOf<unknown>(`${instances}
      const results = [];
      for (const acall of [fresh(), fresh()]) {
        const arena = new acall.Arena(4096);
        const ring = new acall.AcallCompletionRing(arena, 8);
        const submission = new acall.AcallSubmission(arena);
        submission.nr = acall.SYS.getppid;
        submission.flags = acall.ACALL_SUBMIT_THREAD_POOL;
        submission.cookie = 7n;
        submission.completion_ring_pointer = ring.address;
        results.push(acall.acall_submit([submission]), await ring.wait(), ring.drain((cookie, code) => results.push(Number(code) - process.ppid)));
        submission.nr = 4096; submission.cookie = 0n;
        results.push(acall.acall_submit([submission]), acall.acall_submit_error().errno);
      }
      console.log(JSON.stringify(results));`);
    const each = [0, 1, 1, 1, -22, -22];
    expect(told).toEqual([...each, ...each]);
  });

  it('an abort in one, and its unreferenced calls, leave the other alone', async () => {
    const told = await answerOf<unknown>(`${instances}
      const one = fresh(), two = fresh();
      const controller = new AbortController();
      const aborted = Array.from({ length: 20 }, () => outcome(one.syscall('openat', [-100, fifo, 0], { signal: controller.signal })));
      const unreferenced = one.syscall('openat', [-100, fifo, 0], { ref: false });
      const going = two.syscall('nanosleep', [new BigInt64Array([0n, 100_000_000n]), null]);
      controller.abort();
      console.log(JSON.stringify([[...new Set(await Promise.all(aborted))], await going]));`);
    expect(told).toEqual([['ABORT_ERR'], 0]);
  });

  it('one whose continuation is all that is left of it is held until its result has come', async () => {
    const told = await answerOf<unknown>(
      `${instances}
      const path = makeFifo();
      let read;
      (() => {
        const acall = fresh();
        const buffer = Buffer.alloc(5);
        const fd = fs.openSync(path, 'r+');
        acall.syscall('read', [fd, buffer, 5]).then(() => { read = buffer.toString(); });
        global.writeLater = () => fs.writeSync(fd, 'hello');
      })();
      fresh();
      await until(() => threadsIn('read') === 1);
      for (let i = 0; i < 10; i++) { global.gc(); await new Promise((resolve) => setTimeout(resolve, 2)); }
      global.writeLater();
      await until(() => read !== undefined);
      console.log(JSON.stringify(read));
      process.exit(0);`,
      { execArgv: ['--expose-gc'] },
    );
    expect(told).toBe('hello');
  });

  it('leave nothing behind when they are collected', async () => {
    const { alive, grown, counters } = await answerOf<{ alive: number; grown: number; counters: number[] }>(
      `${instances}
      const references = [];
      const use = async () => {
        const acall = fresh();
        references.push(new WeakRef(acall.stat));
        await Promise.all(Array.from({ length: 200 }, () => acall.stat('/')));
        await acall.statMany(['/', '/etc']);
        await acall.syscall('getppid', []);
        new acall.AcallCompletionRing(new acall.Arena(1 << 16), 16);
      };
      const alive = () => references.filter((reference) => reference.deref() !== undefined).length;
      const rounds = async (count) => {
        for (let i = 0; i < count; i++) await use();
        fresh();
        await collect(() => alive() <= 2);
      };
      await rounds(40);
      const before = process.memoryUsage().rss;
      for (let i = 0; i < 4; i++) await rounds(40);
      const { submitted, completed } = fresh().counters();
      console.log(JSON.stringify({
        alive: alive(),
        grown: (process.memoryUsage().rss - before) / 2 ** 20,
        counters: [submitted - completed],
      }));`,
      { execArgv: ['--expose-gc'], timeout: 60_000 },
    );
    expect(alive).toBeLessThanOrEqual(2); // V8's caches of call sites hold one
    expect(counters).toEqual([0]);
    // A promise ring alone is 1 MiB, and there were 160; a sanitizer keeps freed memory for a while.
    expect(grown).toBeLessThan(slow > 1 ? 144 : 96);
  });

  it('one whose turn throws is closed: its calls are cancelled, its results disposed of, and the others go on', async () => {
    const told = await answerOf<Record<string, unknown>>(`${instances}
      const warnings = [];
      process.on('warning', (warning) => warnings.push(warning.message));
      process.on('uncaughtException', () => process.exit(3));
      const { stat } = acall;
      await stat('/');
      const addon = Object.entries(require.cache).find(([name]) => name.endsWith('acall.node'))[1].exports;
      const torn = addon.create();
      torn.open(() => { throw new Error('the realm is gone'); });
      torn.growSlots();
      const openInPool = (slot, path) => { // as lib/call/syscall.ts lays a call down
        const bytes = Buffer.from(path + '\\0');
        const words = new Uint32Array(32);
        words.set([acall.SYS.openat, 1, slot, 128, 0, bytes.length]);
        words.set([0, 0, 4294967196, 4294967295, 1, bytes.length], 8);
        torn.submitCall(new Uint8Array(words.buffer), bytes);
        return words[6];
      };
      const descriptorsBefore = descriptors();
      const statuses = [openInPool(0, fifo), openInPool(1, fifo)];
      await until(() => threadsIn('openat') === 2);
      for (let slot = 2; slot < 20; slot++) statuses.push(openInPool(slot, '/dev/null'));
      await until(() => warnings.length > 0);
      await until(() => threadsIn('openat') === 0);
      const other = fresh();
      let left = 0;
      for (let i = 0; i < 2000 && (left = descriptors() - descriptorsBefore) > 1; i++) await other.stat('/');
      console.log(JSON.stringify({ statuses: [...new Set(statuses)], warnings, left: left > 1 ? left : 0, ok: (await stat('/')).isDirectory() }));`);
    expect(told).toEqual({ statuses: [0], warnings: ['the realm is gone'], left: 0, ok: true });
  });

  it('end together with their Worker, whatever is in flight in each', async () => {
    const told = await answerOf<unknown>(`${instances}
      const thread = worker(${JSON.stringify(`${instances}
        const several = Array.from({ length: 8 }, () => fresh());
        for (const acall of several) for (let i = 0; i < 4; i++) acall.syscall('openat', [-100, fifo, 0]).catch(() => {});
        Promise.all(several.map((acall) => acall.stat('/'))).then(() => parentPort.postMessage('ready'));`)});
      await new Promise((resolve) => thread.once('message', resolve));
      await until(() => threadsIn('openat') === 32);
      const code = await thread.terminate();
      await until(() => threadsIn('openat') === 0);
      console.log(JSON.stringify([code, (await acall.stat('/')).isDirectory()]));`);
    expect(told).toEqual([1, true]);
  });
});

describe('two copies of the package in one process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'acall-copies-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const copies = ['1.0.0', '2.0.0'].map((version) => {
    const place = join(folder, version, 'node_modules', 'acall');
    mkdirSync(join(place, 'build', 'Release'), { recursive: true });
    cpSync(join(root, 'dist'), join(place, 'dist'), { recursive: true });
    cpSync(join(root, 'build', 'Release', 'acall.node'), join(place, 'build', 'Release', 'acall.node'));
    writeFileSync(join(place, 'package.json'), JSON.stringify({ name: 'acall', version, main: './dist/index.js' }));
    return place;
  });

  /* Blocks 20 reads in the copy, here, and cancels them; other calls go on. */
  const cancels = `async (path) => {
    const acall = require(path);
    const fds = Array.from({ length: 20 }, () => fs.openSync(fifo, 'r+'));
    const controller = new AbortController();
    const reads = fds.map((fd, i) => outcome(acall.syscall('read', [fd, Buffer.alloc(1), 1],
      { signal: controller.signal, thread: i % 2 ? 'own' : 'pool' })));
    await until(() => acall.counters().running >= 20);
    setTimeout(() => controller.abort(), 5);
    const codes = [...new Set(await Promise.all(reads))];
    const stats = await Promise.all(Array.from({ length: 500 }, () => acall.stat('/').then((s) => s.isDirectory())));
    await until(() => acall.counters().running === 0);
    for (const fd of fds) fs.closeSync(fd);
    return [codes, stats.filter(Boolean).length];
  }`;
  const good = [['ABORT_ERR'], 500];

  it('each find a signal of their own and cancel with it, also beside each other and in Workers', async () => {
    const told = await answerOf<{ caught: number[]; here: unknown[]; there: unknown[] }>(`
      const cancels = ${cancels};
      const paths = ${JSON.stringify(copies)};
      const threads = paths.map((workerData) => worker(${JSON.stringify(
        `const cancels = ${cancels}; cancels(workerData).then((told) => parentPort.postMessage(told));`,
      )}, { workerData }));
      const [here, there] = await Promise.all([
        Promise.all(paths.map(cancels)),
        Promise.all(threads.map((thread) => new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject)))),
      ]);
      const [, mask] = /^SigCgt:\\s*(\\w+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'));
      const caught = Array.from({ length: 30 }, (_, i) => i + 35).filter((n) => BigInt('0x' + mask) >> BigInt(n - 1) & 1n);
      console.log(JSON.stringify({ here, there, caught }));`);
    expect(told).toEqual({ here: [good, good], there: [good, good], caught: [60, 61] });
  });

  it('restrict() of one leaves the other as it is', async () => {
    const told = await answerOf<unknown>(`
      const [one, two] = ${JSON.stringify(copies)}.map((path) => require(path));
      one.restrict(['getppid']);
      console.log(JSON.stringify(await Promise.all([one, two].map((acall) => outcome(acall.syscall('getuid', []))))));`);
    expect(told).toEqual(['EPERM', process.getuid!()]);
  });
});

describe('a runtime that refuses external ArrayBuffers', () => {
  const refuser = compile('no-external-buffers', ['-shared', '-fPIC']);
  const folder = mkdtempSync(join(tmpdir(), 'acall-cage-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.skipIf(skip(refuser === null, 'refused external buffers: needs a C compiler'))(
    'is told so when acall is loaded',
    async () => {
      mkdirSync(join(folder, 'build', 'Release'), { recursive: true });
      cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
      const addon = readFileSync(join(root, 'build', 'Release', 'acall.node'), 'latin1');
      const renamed = addon.replaceAll('napi_create_external_arraybuffer', 'nope_create_external_arraybuffer');
      expect(renamed).not.toBe(addon);
      writeFileSync(join(folder, 'build', 'Release', 'acall.node'), renamed, 'latin1');
      const told = await answerOf<unknown>(
        `try { require(${JSON.stringify(join(folder, 'dist'))}); } catch ({ code, message }) { console.log(JSON.stringify([code, message])); }`,
        { env: preloaded(refuser!) },
      );
      expect(told).toEqual(['ERR_ACALL_UNAVAILABLE', expect.stringContaining('external ArrayBuffers')]);
    },
  );
});
