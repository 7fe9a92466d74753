// Every raw call and every helper against every state of the engine. What is right is the same in each: the result that an
// idle engine gives, unless the state says otherwise (restricted: EPERM; closing: anything but a crash).
import * as acall from 'acall';
import * as asys from 'acall/asys';
import * as syslet from 'acall/syslet';
import { describe, expect, it } from 'vitest';
import { answerOf, runChild, slow } from '../lifecycle/support/child';

/** name: [expression, JSON of the right answer]. `w` is a folder that is made for it, `f` a file of 3 bytes in it. */
const rows: Record<string, [source: string, right: unknown]> = {
  acall_submit: [`submitOne(acall.SYS.getppid, 1)`, ['accepted', 1, 'own parent']],
  'acall_submit, own thread': [`submitOne(acall.SYS.getppid, 0)`, ['accepted', 1, 'own parent']],
  'acall_submit, inline': [
    `submitOne(acall.SYS.getppid, 1 | acall.ACALL_SUBMIT_INLINE)`,
    ['accepted', 1, 'own parent'],
  ],
  'acall_submit, refused': [
    `acall.acall_submit([Object.assign(new acall.AcallSubmission(new acall.Arena(4096)), { nr: 0, flags: 4 })])`,
    -22,
  ],
  'acall_cancel of an unknown id': [`acall.acall_cancel(new Uint8Array(16))`, -2],
  'acall_comp_pwait of an id never issued': [`acall.acall_comp_pwait(new Uint8Array(16), 1, { sec: 0, nsec: 0 })`, -22],
  'acall_ring_pwait of min 0': [
    `acall.acall_ring_pwait(new acall.AcallCompletionRing(new acall.Arena(4096), 1), 0, 0)`,
    0,
  ],
  'acall_ring_pwait, timed out': [
    `acall.acall_ring_pwait(new acall.AcallCompletionRing(new acall.Arena(4096), 1), 0, 1, { sec: 0, nsec: 1000 })`,
    0,
  ],
  'AcallCompletionRing.drain of nothing': [
    `new acall.AcallCompletionRing(new acall.Arena(4096), 1).drain(() => {})`,
    0,
  ],
  'AcallCompletionRing.wait, timed out': [
    `new acall.AcallCompletionRing(new acall.Arena(4096), 1).wait({ timeout: 1 })`,
    0,
  ],
  Arena: [`new acall.Arena(4096).alloc(10).length`, 10],
  counters: [`typeof acall.counters().submitted`, 'number'],
  syscall: [`acall.syscall('getppid', []).then((pid) => pid === process.ppid)`, true],
  'syscall, own thread': [`acall.syscall('getppid', [], { thread: 'own' }).then((pid) => pid === process.ppid)`, true],
  'syscall with a path': [`acall.syscall('faccessat', [-100, f, 4])`, 0],
  'unsafe.syscall': [`acall.unsafe.syscall('getppid', []).then((pid) => pid === process.ppid)`, true],
  'a syscall that fails': [`acall.syscall('faccessat', [-100, f + 'nope', 4])`, 'ENOENT'],
  stat: [`acall.stat(f).then(({ size }) => size)`, 3],
  lstat: [`acall.lstat(f).then(({ size }) => size)`, 3],
  fstat: [
    `acall.open(f).then(async (file) => { const { size } = await acall.fstat(file.fd); await file.close(); return size; })`,
    3,
  ],
  statMany: [`acall.statMany([f, w + '/nope']).then(({ size, error }) => [size[0], error[1]])`, [3, -2]],
  async_stat: [
    `(async () => { const scope = acall.asyncScope(); const into = new acall.StatBuffer(); scope.async_stat(f, into); await scope.wait_for_async(); return [into.error, into.size]; })()`,
    [0, 3],
  ],
  readdir: [`acall.readdir(still).then((names) => names.includes('f'))`, true],
  'readdir with stats': [`acall.readdir(still, { withStats: true }).then((entries) => entries.length > 0)`, true],
  walk: [`acall.walk(still).collect().then((entries) => entries.some(({ name }) => name === 'f'))`, true],
  du: [`acall.du(still).then(({ directories, errors }) => [directories > 0, errors])`, [true, 0]],
  readFile: [`acall.readFile(f, 'utf8')`, 'abc'],
  readFiles: [
    `acall.readFiles([f, w + '/nope']).then(([data, error]) => [String(data), error.code])`,
    ['abc', 'ENOENT'],
  ],
  writeFile: [`acall.writeFile(w + '/written', 'text').then(() => fs.readFileSync(w + '/written', 'utf8'))`, 'text'],
  copyFile: [`acall.copyFile(f, w + '/copy').then(() => fs.readFileSync(w + '/copy', 'utf8'))`, 'abc'],
  mkdirp: [`acall.mkdirp(w + '/p/q').then(() => fs.existsSync(w + '/p/q'))`, true],
  rmTree: [
    `(fs.mkdirSync(w + '/r/s', { recursive: true }), acall.rmTree(w + '/r').then(() => fs.existsSync(w + '/r')))`,
    false,
  ],
  FileHandle: [
    `acall.open(f).then(async (file) => { const into = Buffer.alloc(3); await file.read(into); await file.close(); return String(into); })`,
    'abc',
  ],
  flock: [
    `acall.open(f).then(async (file) => { await acall.flock(file, 'shared'); await file.close(); return 'locked'; })`,
    'locked',
  ],
  'FileHandle, the rest': [
    `acall.open(w + '/h', 'w+').then(async (file) => {
      await file.lock(); await file.write('abcdef'); await file.truncate(4); await file.allocate(0, 4); await file.sync();
      await file.datasync(); await file.advise(0, 4, 'willneed'); await file.unlock();
      const { size } = await file.stat(); await file.close(); return size; })`,
    4,
  ],
  async_exec: [`execOne()`, 'own parent'],
  asys_submit: [
    `(async () => {
      const accepted = asys.asys_submit([{ syscall_nr: acall.SYS.getppid, cookie: 9n }]);
      if (accepted !== 1) return accepted;
      const { cookie, return_code } = asys.asys_await_completion();
      return cookie === 9n && Number(return_code) === process.ppid ? 'own parent' : Number(return_code); })()`,
    'own parent',
  ],
  'async_wait for nothing': [
    `syslet.async_wait(new acall.AcallCompletionRing(new acall.Arena(4096), 1), 0, 1, { sec: 5, nsec: 0 })`,
    0,
  ],
  Program: [
    `new syslet.Program({}, (p) => ({ id: p.call('getppid', []) })).run({}).then(({ values }) => values.id === process.ppid)`,
    true,
  ],
  'Program, many runs': [
    `new syslet.Program({ path: 'text' }, (p, { path }) => ({ fd: p.call('faccessat', [-100, path, 4]) }))
      .runMany([{ path: f }, { path: f + 'nope' }]).then(([one, other]) => [one.values.fd, other.code])`,
    [0, 'ENOENT'],
  ],
};

/** Exports that are no call: classes that rows use, errors, and what has tests of its own. */
const noCalls =
  /^(AbortError|SyscallError|ProgramError|StatBatch|ReadFiles|Walk|AcallCompletion|AcallId|SysletAtom|addressOf|acall_submit_error|restrict)$/;

const table = `
  const w = fs.mkdtempSync(join(require('node:os').tmpdir(), 'acall-matrix-'));
  const f = join(w, 'f');
  fs.writeFileSync(f, 'abc');
  const still = join(w, 'still'); // where no other row comes and goes
  fs.mkdirSync(still);
  fs.writeFileSync(join(still, 'f'), 'abc');
  const clean = () => fs.rmSync(w, { recursive: true, force: true });
  // While threads still make files there: what is left goes with the folder of all tests.
  const tidy = () => { try { clean(); } catch (error) { if (error.code !== 'ENOTEMPTY') throw error; } };
  const submitOne = async (nr, flags) => {
    const arena = new acall.Arena(4096);
    const ring = new acall.AcallCompletionRing(arena, 1);
    const submission = new acall.AcallSubmission(arena);
    Object.assign(submission, { nr, flags, cookie: 5n, completion_ring_pointer: ring.address });
    const accepted = acall.acall_submit([submission]);
    if (accepted !== 1) return accepted;
    await ring.wait();
    let found;
    ring.drain((cookie, code) => (found = cookie === 5n && Number(code) === process.ppid ? 'own parent' : String(code)));
    return ['accepted', accepted, found];
  };
  const syslet = require('acall/syslet');
  const asys = require('acall/asys');
  const execOne = async () => {
    const arena = new acall.Arena(4096);
    const ring = new acall.AcallCompletionRing(arena, 1);
    const result = arena.alloc(8, 8);
    const atom = Object.assign(new syslet.SysletAtom(arena), { nr: acall.SYS.getppid, flags: syslet.SYSLET_ASYNC });
    atom.ret_ptr = acall.addressOf(result);
    const last = syslet.async_exec(atom, ring);
    if (last !== null) return String(last);
    await ring.wait();
    const answer = Number(new DataView(result.buffer, result.byteOffset).getBigInt64(0, true));
    return answer === process.ppid ? 'own parent' : answer;
  };
  const rows = { ${Object.entries(rows).map(([name, [row]]) => `${JSON.stringify(name)}: () => ${row}`)} };
  const told = {};
  const run = (name) => outcome((async () => rows[name]())()).then((result) => (told[name] = result));`;

const right = Object.fromEntries(Object.entries(rows).map(([name, [, answer]]) => [name, answer]));

/** Rows that never enter the kernel for an op: restrict() and a full queue leave them as they are. */
const local = Object.entries(rows)
  .filter(
    ([, [row]]) =>
      !/submitOne|acall\.(unsafe|syscall|l?stat|fstat|statMany|asyncScope|read|walk|du|write|copy|mkdirp|rmTree|open|flock)|execOne|Program|asys_/.test(
        row,
      ),
  )
  .map(([name]) => name);

/** Before each row, what makes the state; after all, what ends it. */
const states: Record<string, { begin: string; end?: string; env?: Record<string, string>; together?: boolean }> = {
  idle: { begin: '' },
  'after the pool has gone to rest': { begin: `await acall.stat('/'); await until(() => ourThreads().length === 0);` },
  'the pool busy with stuck calls': {
    begin: `const controller = new AbortController(); const all = stuck(50, { signal: controller.signal });
      await until(() => threadsIn('openat') >= 50);`,
    end: `controller.abort(); await Promise.all(all.map(outcome));`,
  },
  'own threads at their limit': {
    begin: `const controller = new AbortController();
      const all = stuck(4, { signal: controller.signal, thread: 'own' }); await until(() => threadsIn('openat') >= 3);
      setTimeout(() => controller.abort(), 200);`,
    env: { ACALL_OWN_MAX: '3' },
    together: true,
  },
  'the queue full': {
    begin: `const controller = new AbortController(); const all = stuck(500, { signal: controller.signal });
      await until(() => threadsIn('openat') >= 2); setTimeout(() => controller.abort(), 200);`,
    env: { ACALL_POOL_MAX: '2' },
    together: true,
  },
  'more ops in flight than there are slots for': {
    begin: `const controller = new AbortController(); const all = stuck(70000, { signal: controller.signal });
      await until(() => threadsIn('openat') >= 2); setTimeout(() => controller.abort(), 200);`,
    env: { ACALL_POOL_MAX: '2' },
    together: true,
  },
  'a ring full that nobody drains': {
    begin: `const arena = new acall.Arena(); const ring = new acall.AcallCompletionRing(arena, 1);
      const some = Array.from({ length: 300 }, () => Object.assign(new acall.AcallSubmission(arena),
        { nr: acall.SYS.getppid, flags: 1, cookie: 1n, completion_ring_pointer: ring.address }));
      acall.acall_submit(some); await until(() => ring.overflows >= 299);`,
  },
  'hundreds being cancelled': {
    begin: `let cancelling = true;
      const cancels = (async () => { while (cancelling) {
        const controller = new AbortController();
        const all = stuck(100, { signal: controller.signal });
        await new Promise((resolve) => setImmediate(resolve));
        controller.abort();
        await Promise.all(all.map(outcome));
      } })();`,
    end: `cancelling = false; await cancels;`,
  },
  'Workers that come and go': {
    begin: `let going = true;
      const workers = (async () => { while (going) {
        const there = worker(\`stuck(5); rawStuck(5); parentPort.postMessage(1);\`);
        await new Promise((resolve) => there.on('message', resolve));
        await there.terminate();
      } })();`,
    end: `going = false; await workers;`,
  },
};

describe('every call and helper', () => {
  it('has a row', () => {
    const sources = Object.values(rows).map(([row]) => row);
    const calls = { ...acall, ...syslet, ...asys };
    for (const [name, what] of Object.entries(calls)) {
      if (typeof what !== 'function' || noCalls.test(name)) continue;
      const word = new RegExp(`\\b${name === 'FileHandle' ? 'file\\.write' : name}\\b`);
      expect(
        [...sources, table].some((source) => word.test(source)),
        name,
      ).toBe(true);
    }
  });

  it.each(Object.entries(states))('gives the same: %s', async (_, { begin, end = '', env = {}, together }) => {
    const told = await answerOf<Record<string, unknown>>(
      `${table} ${begin}
      const names = Object.keys(rows);
      ${together ? 'await Promise.all(names.map(run));' : 'for (const name of names) await run(name);'}
      ${end}
      clean();
      console.log(JSON.stringify(told));`,
      { env, timeout: 60_000 * slow },
    );
    expect(told).toEqual(right);
  });

  it('gives the same in another Worker', async () => {
    const told = await answerOf<Record<string, unknown>>(
      `const there = worker(${JSON.stringify(`(async () => { ${table}
        for (const name of Object.keys(rows)) await run(name);
        clean();
        parentPort.postMessage(told);
        process.exit(0);
      })();`)});
      console.log(JSON.stringify(await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject))));`,
    );
    expect(told).toEqual(right);
  });

  it('is refused when restrict() has taken everything away, but for what makes no call', async () => {
    const told = await answerOf<Record<string, unknown>>(
      `${table} await acall.stat('/'); acall.restrict([]);
      for (const name of Object.keys(rows)) await run(name);
      clean();
      console.log(JSON.stringify(told));`,
    );
    for (const [name, answer] of Object.entries(told)) {
      if (local.includes(name)) expect(answer, name).toEqual(right[name]);
      else if (name === 'statMany') expect(answer).toEqual([0, -1]);
      else if (name === 'async_stat') expect(answer).toEqual([-1, 0]);
      else if (name === 'Program, many runs') expect(JSON.stringify(answer)).toContain('EPERM');
      else if (name === 'readFiles') expect(JSON.stringify(answer)).toContain('EPERM');
      else expect([-1, 'EPERM'], name).toContainEqual(answer);
    }
  });

  it('neither crashes nor blocks while its environment closes', async () => {
    // In an exit listener the loop has stopped; promises stay pending, raw calls answer as ever.
    const inMain = await runChild(`${table} stuck(5); await acall.stat('/');
      process.on('exit', () => { for (const name of Object.keys(rows)) run(name); tidy(); });
      ending(); process.exit(12);`);
    expect({ status: inMain.status, signal: inMain.signal }, inMain.stderr).toEqual({ status: 12, signal: null });
    const codes = await answerOf<number[]>(`
      const codes = [];
      for (const end of ['process.exit(12);', 'setImmediate(() => process.exit(12));']) {
        const there = worker(\`(async () => { ${table.replaceAll('\\', '\\\\').replaceAll('`', '\\`')} stuck(5); rawStuck(5); await acall.stat('/');
          process.on('exit', () => { for (const name of Object.keys(rows)) run(name); tidy(); });
          \${end}
        })();\`);
        codes.push(await new Promise((resolve, reject) => there.on('exit', resolve).on('error', reject)));
      }
      console.log(JSON.stringify(codes));`);
    expect(codes).toEqual([12, 12]);
  });
});
