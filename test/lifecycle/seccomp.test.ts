// Under a seccomp filter, and after restrict(): helpers go on by an older call where there is one, or say which was refused.

import { SYS } from 'acall';
import { describe, expect, it } from 'vitest';
import { answerOf } from './support/child';
import { compile, skip } from './support/compile';

const program = compile('seccomp-run');
const isSkipped = skip(program === null, 'seccomp: needs a C compiler');

const kErrors = { EPERM: 1, ENOSYS: 38 };
const refused = (error: keyof typeof kErrors, ...names: (keyof typeof SYS)[]): string[] => [
  program!,
  String(kErrors[error]),
  names.map((name) => SYS[name]).join(','),
];

/** What the helpers find, beside what node:fs finds under the same filter. */
const compare = `
  const folder = fs.mkdtempSync(join(require('node:os').tmpdir(), 'acall-filtered-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'file');
  fs.writeFileSync(file, 'x'.repeat(5000));
  fs.symlinkSync('file', join(folder, 'link'));
  const plain = (stats) => Object.fromEntries(Object.entries(stats).map(([key, value]) =>
    [key, value instanceof Date ? value.getTime() : String(value)]));
  const differences = [];
  const same = (name, ours, theirs) => {
    if (JSON.stringify(ours) !== JSON.stringify(theirs)) differences.push([name, ours, theirs]);
  };
  for (const bigint of [false, true]) {
    same('stat', plain(await acall.stat(file, { bigint })), plain(fs.statSync(file, { bigint })));
    same('lstat', plain(await acall.lstat(join(folder, 'link'), { bigint })), plain(fs.lstatSync(join(folder, 'link'), { bigint })));
    same('fstat', plain(await acall.fstat(0, { bigint })), plain(fs.fstatSync(0, { bigint })));
  }
  const many = await acall.statMany([file, join(folder, 'nope')]);
  same('statMany', [many.size[0], many.error[1]], [5000, -2]);
  same('readdir', (await acall.readdir(folder)).sort(), fs.readdirSync(folder).sort());
  same('readdir with stats', (await acall.readdir(folder, { withStats: true })).length, 2);
  same('walk', (await acall.walk(folder, { stats: true }).collect()).map((entry) => entry.stats.size).sort(), [4, 5000]);
  same('du', (await acall.du(folder, { apparentSize: true })).files >= 1, true);
  same('readFile', (await acall.readFile(file)).length, 5000);
  same('readFiles', (await acall.readFiles([file])).map((data) => data.length), [5000]);
  await acall.writeFile(join(folder, 'new'), 'text');
  await acall.copyFile(join(folder, 'new'), join(folder, 'copy'));
  same('copyFile', fs.readFileSync(join(folder, 'copy'), 'utf8'), 'text');
  await acall.mkdirp(join(folder, 'a/b'));
  await acall.rmTree(join(folder, 'a'));
  same('rmTree', fs.existsSync(join(folder, 'a')), false);
  const handle = await acall.open(file);
  same('FileHandle.stat', (await handle.stat()).size, 5000);
  await handle.close();
  const buffer = new acall.StatBuffer();
  acall.async_stat(file, buffer);
  await acall.wait_for_async();
  same('async_stat', [buffer.error, buffer.size], [0, 5000]);`;

describe.skipIf(isSkipped)('under a seccomp filter', () => {
  it.each(['EPERM', 'ENOSYS'] as const)(
    'helpers do without statx, openat2, copy_file_range and renameat2: %s',
    async (error) => {
      const told = await answerOf<unknown[]>(`${compare} console.log(JSON.stringify(differences));`, {
        launcher: refused(error, 'statx', 'openat2', 'copy_file_range', 'renameat2', 'preadv2', 'pwritev2'),
      });
      expect(told).toEqual([]);
    },
  );

  it.each(['EPERM', 'ENOSYS'] as const)('what has no stand-in is told by its name: %s', async (error) => {
    const told = await answerOf<Record<string, unknown>>(
      `
      const tell = (promise) => promise.then(() => 'done', ({ code, syscall, refused }) => [code, syscall, refused ?? null]);
      console.log(JSON.stringify({
        syscall: await tell(acall.syscall('statx', [-100, '/', 0, 0xfff, Buffer.alloc(256)])),
        readdir: await tell(acall.readdir('/')),
        walk: await tell(acall.walk('/').collect()),
        flock: await tell(acall.open('/etc/passwd').then((file) => acall.flock(file, 'shared').finally(() => file.close()))),
        getppid: await tell(acall.syscall('getppid', [])),
      }));`,
      { launcher: refused(error, 'statx', 'getdents64', 'flock') },
    );
    expect(told).toEqual({
      syscall: [error, 'statx', null],
      readdir: [error, 'scandir', null],
      walk: [error, 'scandir', null],
      flock: [error, 'flock', null],
      getppid: 'done',
    });
  });

  it('a filter that refuses our signal leaves aborts as prompt as ever', async () => {
    const told = await answerOf<string[]>(
      `
      const controller = new AbortController();
      const all = stuck(10, { signal: controller.signal });
      await until(() => threadsIn('openat') === 10);
      controller.abort();
      console.log(JSON.stringify(await Promise.all(all.map(outcome))));
      process.exit(0);`,
      { launcher: refused('EPERM', 'tgkill', 'tkill') },
    );
    expect(told).toEqual(Array.from({ length: 10 }, () => 'ABORT_ERR'));
  });
});

describe('restrict()', () => {
  it('seals every environment, for ever, and what was queued is looked at again', async () => {
    const told = await answerOf<Record<string, unknown>>(
      `
      const tell = (promise) => promise.then(() => 'done', ({ code, syscall, refused }) => [code, refused ?? null]);
      const path = makeFifo();
      const there = worker(\`parentPort.on('message', async (name) => {
        parentPort.postMessage(await acall.syscall(name, []).then(() => 'done', ({ code, refused }) => [code, refused ?? null]));
      });\`);
      const ask = (name) => new Promise((resolve) => { there.once('message', resolve); there.postMessage(name); });
      const before = await ask('getuid');
      // Two threads, both stuck: what comes now stays in the queue.
      const controller = new AbortController();
      const blocked = stuck(2, { signal: controller.signal }, path);
      await until(() => threadsIn('openat') === 2);
      const queued = [tell(acall.syscall('mkdirat', [-100, path + '-queued', 0o777])), tell(acall.syscall('getpgid', [0]))];
      await null; await null;
      acall.restrict(['getppid', 'exit', 'getpgid']);
      acall.restrict(['getppid', 'getpgid', 'getuid']);
      controller.abort();
      const answer = {
        before,
        allowed: await tell(acall.syscall('getppid', [])),
        taken: await tell(acall.syscall('getuid', [])),
        byNumber: await tell(acall.syscall(acall.SYS.getuid, [])),
        byUnsafe: await tell(acall.unsafe.syscall('getuid', [])),
        never: await tell(acall.syscall('exit', [0])),
        worker: await ask('getuid'),
        workerAllowed: await ask('getppid'),
        queued: await Promise.all(queued),
        made: fs.existsSync(path + '-queued'),
        stat: await tell(acall.stat('/')),
        statMany: [...(await acall.statMany(['/'])).error],
        readdir: await tell(acall.readdir('/')),
        readFile: await tell(acall.readFile('/etc/passwd')),
        writeFile: await tell(acall.writeFile(path + '-new', 'text')),
        wrote: fs.existsSync(path + '-new'),
        du: await tell(acall.du('/')),
        open: await tell(acall.open('/etc/passwd')),
      };
      const arena = new acall.Arena();
      const submission = new acall.AcallSubmission(arena);
      submission.nr = acall.SYS.getuid;
      answer.raw = [0, 1, acall.ACALL_SUBMIT_UNSAFE, acall.ACALL_SUBMIT_INLINE | 1].map((flags) => {
        submission.flags = flags;
        return acall.acall_submit([submission]);
      });
      let wrong;
      try { acall.restrict(['no_such_call']); } catch (error) { wrong = error.code; }
      answer.wrong = wrong;
      await there.terminate();
      console.log(JSON.stringify(answer));`,
      { env: { ACALL_POOL_MAX: '2' } },
    );
    const no = ['EPERM', true];
    expect(told).toMatchObject({
      before: 'done',
      allowed: 'done',
      taken: no,
      byNumber: no,
      byUnsafe: no,
      never: no,
      worker: no,
      workerAllowed: 'done',
      made: false,
      wrote: false,
      statMany: [-1],
      raw: [-1, -1, -1, -1],
      wrong: 'ERR_INVALID_ARG_VALUE',
    });
    const [mkdirat, getpgid] = told.queued as [[string, unknown], string];
    expect([mkdirat[0], getpgid]).toEqual(['EPERM', 'done']);
    for (const helper of ['stat', 'readdir', 'readFile', 'writeFile', 'du', 'open']) {
      expect((told[helper] as string[])[0], helper).toBe('EPERM');
    }
  });

  it('closes what an aborted call was given although close was taken away', async () => {
    const told = await answerOf<{ before: number; after: number }>(`
      acall.restrict(['openat', 'getppid']);
      await acall.syscall('getppid', []);
      const before = descriptors();
      for (let round = 0; round < 300; round++) {
        const controller = new AbortController();
        const promise = acall.syscall('openat', [-100, '/dev/null', 0], { signal: controller.signal });
        await null; await null;
        for (let spins = (round * 37) % 2000; spins > 0; spins--);
        controller.abort();
        await promise.then((fd) => fs.closeSync(fd), () => {});
      }
      await until(() => acall.counters().running === 0 && acall.counters().queued === 0);
      await new Promise((resolve) => setImmediate(resolve));
      await until(() => acall.counters().running === 0 && acall.counters().queued === 0);
      console.log(JSON.stringify({ before, after: descriptors() }));`);
    expect(told.after).toBe(told.before);
  });

  it('goes to a thread where an inline try would need calls that are gone, and makes the call that is left', async () => {
    const told = await answerOf<Record<string, unknown>>(`
      const tell = (promise) => promise.then((value) => value, ({ code }) => code);
      const folder = fs.mkdtempSync(require('node:path').join(require('node:os').tmpdir(), 'acall-restrict-'));
      process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
      const path = folder + '/file';
      fs.writeFileSync(path, 'text');
      const fd = fs.openSync(path, 'r+');
      const statxBytes = Buffer.alloc(256), statBytes = Buffer.alloc(144);
      const first = await acall.stat(path); // the engine knows its mounts by now
      const handle = await acall.open(path);
      acall.restrict(['statx', 'newfstatat', 'pread64', 'pwrite64', 'ftruncate', 'getppid']);
      const before = acall.counters().inlineHits;
      const answer = {
        stat: await tell(acall.stat(path).then(({ size }) => size)),
        statx: await tell(acall.syscall('statx', [-100, path, 0, 0x7ff, statxBytes])),
        newfstatat: await tell(acall.syscall('newfstatat', [-100, path, statBytes, 0])),
        pread64: await tell(acall.syscall('pread64', [fd, Buffer.alloc(4), 4, 0])),
        pwrite64: await tell(acall.syscall('pwrite64', [fd, 'more', 4, 0])),
        hits: acall.counters().inlineHits - before,
        getppid: await tell(acall.syscall('getppid').then(() => 0)),
        quick: acall.counters().inlineHits - before,
        taken: await tell(acall.syscall('openat', [-100, path, 0])),
        takenClose: await tell(acall.syscall('close', [fd])),
      };
      const closing = descriptors();
      answer.close = await tell(handle.close());
      answer.closed = closing - descriptors();
      console.log(JSON.stringify(answer));`);
    expect(told).toEqual({
      stat: 4,
      statx: 0,
      newfstatat: 0,
      pread64: 4,
      pwrite64: 4,
      hits: 0,
      getppid: 0,
      quick: 1,
      taken: 'EPERM',
      takenClose: 'EPERM',
      closed: 1,
    });
  });

  it('cannot be got round by a program', async () => {
    const told = await answerOf<unknown>(`
      acall.restrict(['getppid', 'write']);
      const { async_exec, async_wait, SysletAtom } = require('acall/syslet');
      const arena = new acall.Arena();
      const ring = new acall.AcallCompletionRing(arena, 8);
      const result = new BigInt64Array(arena.buffer, arena.alloc(8, 8).byteOffset, 1);
      const atom = new SysletAtom(arena);
      atom.nr = acall.SYS.getuid;
      atom.ret_ptr = arena.address + BigInt(result.byteOffset);
      let how;
      try {
        async_exec(atom, ring);
        async_wait(ring, 0, 1, { sec: 5, nsec: 0 });
        how = Number(result[0]);
      } catch (error) {
        how = error.errno ?? error.code;
      }
      console.log(JSON.stringify(how));`);
    expect([-1, 'EPERM']).toContain(told);
  });
});
