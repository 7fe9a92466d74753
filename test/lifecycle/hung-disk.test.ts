// A network disk that hangs, as a FUSE file system whose daemon does not read requests, or reads and never answers them. The
// first is what NFS without its server looks like: only SIGKILL ends a call. The second not even that ends.
import * as fs from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { answerOf, kAtOnce, runChild, slow } from './support/child';
import { compile, skip } from './support/compile';
import { type HungDisk, type HungMode, mountHungDisk } from './support/hung-disk';

const program = process.getuid?.() === 0 && fs.existsSync('/dev/fuse') ? compile('hung-fuse') : null;
const trial = program === null ? null : await mountHungDisk(program, 'unread');
await trial?.abort();
const isSkipped = skip(trial === null, 'hung disk: needs root, /dev/fuse, a C compiler and the right to mount');

const disks: HungDisk[] = [];
afterAll(async () => {
  await Promise.all(disks.map((disk) => disk.abort()));
});

async function mounted(mode: HungMode): Promise<HungDisk> {
  const disk = await mountHungDisk(program!, mode);
  if (disk === null) throw new Error('the disk could be mounted a moment ago');
  disks.push(disk);
  return disk;
}

async function freed(disk: HungDisk): Promise<void> {
  disks.splice(disks.indexOf(disk), 1);
  await disk.abort();
}

/** Every helper, on a path of the disk, with options `o`. */
const helpers: Record<string, string> = {
  syscall: `acall.syscall('openat', [-100, disk + '/a', 0], o)`,
  'syscall on its own thread': `acall.syscall('openat', [-100, disk + '/b', 0], { ...o, thread: 'own' })`,
  stat: `acall.stat(disk + '/c', o)`,
  lstat: `acall.lstat(disk + '/d', o)`,
  statMany: `acall.statMany([disk + '/e', '/'], o)`,
  readdir: `acall.readdir(disk, o)`,
  'readdir with stats': `acall.readdir(disk, { ...o, withStats: true })`,
  walk: `acall.walk(disk, o).collect()`,
  du: `acall.du(disk, o)`,
  open: `acall.open(disk + '/f', 'r', 0o666, o)`,
  readFile: `acall.readFile(disk + '/g', o)`,
  readFiles: `acall.readFiles([disk + '/h', '/etc/passwd'], o).then((all) => all)`,
  writeFile: `acall.writeFile(disk + '/i', 'text', o)`,
  copyFile: `acall.copyFile('/etc/passwd', disk + '/j', o)`,
  mkdirp: `acall.mkdirp(disk + '/k/l', o)`,
  rmTree: `acall.rmTree(disk + '/m', o)`,
};
const calls = `const disk = process.env.ACALL_TEST_DISK;
  const calls = { ${Object.entries(helpers).map(([name, call]) => `${JSON.stringify(name)}: (o) => ${call}`)} };`;

describe.skipIf(isSkipped).each<HungMode>(['unread', 'unanswered'])('a disk whose requests stay %s', (mode) => {
  it('every helper rejects by time-out and by abort, the rest goes on, and all comes back when the disk does', async () => {
    const disk = await mounted(mode);
    const freeing = disk.requests(mode === 'unanswered' ? 1 : 0);
    const child = runChild(
      `${calls}
      await acall.stat('/');
      // Files and folders; Node and the engine have descriptors of their own that come and go.
      const files = () => fs.readdirSync('/proc/self/fd').map((fd) => {
        try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return '/proc'; }
      }).filter((path) => path.startsWith('/') && !path.startsWith('/proc') && !path.startsWith('/dev'));
      const before = files();
      const outcomes = {};
      await Promise.all(Object.entries(calls).map(async ([name, call]) => {
        outcomes[name] = [await outcome(call({ timeout: 50 }))];
      }));
      const controller = new AbortController();
      const aborted = Object.entries(calls).map(async ([name, call]) => {
        outcomes[name].push(await outcome(call({ signal: controller.signal })));
      });
      await new Promise((resolve) => setImmediate(resolve));
      await until(() => acall.counters().running > 0);
      const begun = performance.now();
      controller.abort();
      await Promise.all(aborted);
      const ms = performance.now() - begun;
      const quick = await Promise.all(Array.from({ length: 2000 }, () => acall.stat('/')));
      console.log(JSON.stringify({ outcomes, ms, quick: quick.length, stuck: acall.counters().running > 0 }));
      // Now the parent frees the disk.
      process.stdin.resume();
      await new Promise((resolve) => process.stdin.on('end', resolve));
      await until(() => acall.counters().running === 0 && acall.counters().queued === 0);
      process.stderr.write(files().filter((path) => !before.includes(path)).join());
      ending();`,
      {
        env: { ACALL_TEST_DISK: disk.path },
        timeout: 30_000 * slow,
        async whenSaid() {
          await freeing;
          await freed(disk);
        },
      },
    );
    const end = await child;
    expect({ status: end.status, stderr: end.stderr }).toEqual({ status: 0, stderr: '' });
    const told = JSON.parse(end.stdout);
    expect(told.outcomes).toEqual(
      Object.fromEntries(Object.keys(helpers).map((name) => [name, ['ETIMEDOUT', 'ABORT_ERR']])),
    );
    expect(told).toMatchObject({ quick: 2000, stuck: true });
    expect(told.ms).toBeLessThan(500 * slow);
  });
});

describe.skipIf(isSkipped)('the end of a process that a hung disk holds', () => {
  const stuckOnDisk = `${calls}
    for (const call of Object.values(calls)) call({}).catch(() => {});
    await until(() => acall.counters().running >= 4);`;

  /** A Worker with raw ops whose results the kernel will write into an arena that only it has. */
  const workerOnDisk = `
    const there = worker(\`
      const arena = new acall.Arena();
      const ring = new acall.AcallCompletionRing(arena, 8);
      const submissions = [0, 1].map((flags) => {
        const submission = new acall.AcallSubmission(arena);
        Object.assign(submission, { nr: acall.SYS.statx, flags, cookie: 1n, completion_ring_pointer: ring.address });
        submission.args[0] = -100n;
        submission.args[1] = acall.addressOf(arena.cstring(process.env.ACALL_TEST_DISK + '/x'));
        submission.args[3] = 0x7ffn;
        submission.args[4] = acall.addressOf(arena.alloc(256));
        return submission;
      });
      acall.acall_submit(submissions);
      until(() => threadsIn('statx') >= 1).then(() => parentPort.postMessage('stuck'));
    \`);
    await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));`;

  it.each([
    ['process.exit()', `${stuckOnDisk} ending(); process.exit(6);`, 6],
    ['an uncaught exception', `${stuckOnDisk} ending(); setImmediate(() => { throw new Error('uncaught'); });`, 1],
    ['process.exit() beside a Worker whose memory the kernel holds', `${workerOnDisk} ending(); process.exit(6);`, 6],
    ['its natural end beside such a Worker', `${workerOnDisk} there.unref(); ending();`, 0],
    [
      'aborts and its natural end',
      `${calls}
      await Promise.all(Object.values(calls).map((call) => outcome(call({ timeout: 20 })))); ending();`,
      0,
    ],
  ])('comes at once while requests are unread: %s', async (_, source, status) => {
    const disk = await mounted('unread');
    const end = await runChild(source, { env: { ACALL_TEST_DISK: disk.path } });
    expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status, signal: null });
    expect(end.ms).toBeLessThan(kAtOnce);
    await freed(disk);
  });

  it('waits for the kernel where a request was read, and keeps its exit code', async () => {
    const disk = await mounted('unanswered');
    const child = runChild(`${stuckOnDisk} console.log(process.pid); ending(); process.exit(6);`, {
      env: { ACALL_TEST_DISK: disk.path },
      async whenSaid(text) {
        await disk.requests(1);
        const pid = Number(text);
        // Everything but the thread in the kernel has ended: the process is a zombie that nobody can reap yet.
        while (!/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        await freed(disk);
      },
    });
    const end = await child;
    expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status: 6, signal: null });
  });

  it('terminate() of a Worker whose memory the kernel holds waits for the kernel; the main thread does not', async () => {
    const disk = await mounted('unread');
    const child = runChild(
      `${workerOnDisk}
      let over = false;
      const terminated = there.terminate().then(() => (over = true));
      for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 100 }, () => acall.stat('/')));
      console.log(over);
      await terminated;
      process.exit(0);`,
      { env: { ACALL_TEST_DISK: disk.path }, whenSaid: () => freed(disk) },
    );
    const end = await child;
    expect({ status: end.status, signal: end.signal, stdout: end.stdout.trim() }, end.stderr).toEqual({
      status: 0,
      signal: null,
      stdout: 'false',
    });
  });

  it('a Worker whose ops are all of the promise layer ends at once', async () => {
    const disk = await mounted('unanswered');
    const told = await answerOf<number>(
      `const there = worker(\`${calls.replaceAll('`', '')}
        for (const call of Object.values(calls)) call({}).catch(() => {});
        until(() => acall.counters().running >= 4).then(() => parentPort.postMessage('stuck'));\`);
      await new Promise((resolve, reject) => there.on('message', resolve).on('error', reject));
      const begun = performance.now();
      await there.terminate();
      console.log(performance.now() - begun);
      fs.writeSync(3, 'terminated');
      await until(() => acall.counters().running === 0);`,
      { env: { ACALL_TEST_DISK: disk.path }, whenSaid: () => freed(disk) },
    );
    expect(told).toBeLessThan(kAtOnce);
  });
});

// The disk never answers that a descriptor is closed, and not even SIGKILL ends that wait: all of the process but the
// closing thread has to end, which makes it a zombie that is reaped when the disk is freed.
describe.skipIf(isSkipped)('a close() that hangs, of what an abandoned open has brought', () => {
  const kOpen = 14; // FUSE's number, as is the next
  const kInterrupt = 36;
  const abandoned = `
    const controller = new AbortController();
    const opened = outcome(acall.open(process.env.ACALL_TEST_DISK + '/late', 'r', 0o666, controller));
    await until(() => threadsIn('openat') >= 1);
    controller.abort();`;
  const inClose = `await until(() => threadsIn('close') >= 1); console.log(process.pid);`;
  const inMain = `${abandoned} await opened; ${inClose}`;
  const inWorker = (then: string) => `
    const there = worker(\`(async () => { ${abandoned} await opened; parentPort.postMessage('aborted'); ${then} })()\`);
    await new Promise((resolve, reject) => there.once('message', resolve).on('error', reject));
    ${inClose}`;
  const lives = 'setInterval(() => {}, 1000);';

  it.each([
    ['the natural end of the process', inMain],
    ['process.exit()', `${inMain} process.exit(0);`],
    ['terminate()', `${inWorker(lives)} await there.terminate();`],
    [
      'the natural end of a Worker',
      `${inWorker(`parentPort.once('message', () => {});`)}
      await new Promise((resolve) => { there.on('exit', resolve); there.postMessage('end'); });`,
    ],
    [
      'the ends of other Workers',
      `${inWorker(lives)}
      await there.terminate();
      const second = worker('acall.stat("/").then(() => parentPort.postMessage("x")); setInterval(() => {}, 1000);');
      await new Promise((resolve, reject) => second.once('message', resolve).on('error', reject));
      await second.terminate();
      const third = worker('acall.stat("/")');
      await new Promise((resolve, reject) => third.on('exit', resolve).on('error', reject));`,
    ],
  ])('does not hold %s', async (_, source) => {
    const disk = await mounted('held');
    const opening = disk
      .requests(1, kOpen)
      .then(() => disk.requests(1, kInterrupt))
      .then(() => disk.answerOpen());
    const end = await runChild(source, {
      env: { ACALL_TEST_DISK: disk.path },
      async whenSaid(text) {
        await opening;
        while (!/\) Z /.test(fs.readFileSync(`/proc/${Number(text)}/stat`, 'latin1'))) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        await freed(disk);
      },
    });
    expect({ status: end.status, signal: end.signal }, end.stderr).toEqual({ status: 0, signal: null });
  });
});
