// What is done on the event loop beside threads that hold what they can on a disk that never answers: every quick call of the
// table, sends and receives, stats. A call that waits for one of them would wait for ever, deaf to signals.
import * as fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runChild, slow } from './support/child';
import { compile, skip } from './support/compile';
import { mountHungDisk } from './support/hung-disk';

const program = process.getuid?.() === 0 && fs.existsSync('/dev/fuse') ? compile('hung-fuse') : null;
const trial = program === null ? null : await mountHungDisk(program, 'held');
await trial?.abort();
const isSkipped = skip(trial === null, 'stalled disk: needs root, /dev/fuse, a C compiler and the right to mount');

/** Threads of their own that hold a pipe, positions of files, folders, and their descriptors. */
const holders = `
  const { syscall, constants, SYS } = acall;
  const disk = process.env.ACALL_TEST_DISK;
  const own = { thread: 'own' };
  const open = (path, flags) => syscall('openat', [-100, path, flags | constants.O_CLOEXEC]);
  const [positional, positioned, spliced] = await Promise.all([0, 0, 0].map(() => open(disk + '/file', constants.O_RDWR)));
  const folder = await open(disk, constants.O_RDONLY | constants.O_DIRECTORY);
  const ends = new Int32Array(2);
  await syscall('pipe2', [ends, 0]);
  const [reader, writer] = ends;
  const pair = new Int32Array(2);
  await syscall('socketpair', [1, 1, 0, pair]);
  const held = (name, args) => syscall(name, args, own).catch(() => {});
  held('pread64', [positional, Buffer.alloc(16), 16, 0]);
  held('read', [positioned, Buffer.alloc(16), 16]);
  held('splice', [spliced, null, writer, null, 4096, 0]);
  held('getdents64', [folder, Buffer.alloc(4096), 4096]);
  for (const name of ['pread64', 'read', 'splice', 'getdents64']) await until(() => threadsIn(name) >= 1);
  // Those wait for the ones before: the mutex of the pipe, and whatever the flags of a file need.
  held('fcntl', [writer, constants.F_SETPIPE_SZ, 8192]);
  await until(() => threadsIn('fcntl') >= 1);
  const descriptors = [positional, positioned, spliced, folder, reader, writer, pair[0]];
  let ticks = 0;
  setInterval(() => ticks++, 5);
  const turn = () => new Promise((resolve) => setImmediate(resolve));`;

/** All rules of the table that are quick, each with the values that select it: a new row is tried by itself. */
const quickCalls = `
  const { CallFlag, Place, ArgKind } = require('./dist/generated/syscalls.js');
  const { calls, variants, selectors } = JSON.parse(require('./dist/generated/syscalls-' + process.arch + '.js').signatures);
  const quick = [];
  const visit = (name, rule, chosen) => {
    const [place, flags, args, selector] = rule;
    if (flags & CallFlag.neverBlocks && place === Place.anywhere) quick.push({ name, args, chosen });
    if (!selector) return;
    const [arg, , cases] = selectors[selector];
    for (const [low, , variant] of cases) visit(name, variants[variant], { ...chosen, [arg]: low });
  };
  for (const [name, rule] of Object.entries(calls)) visit(name, rule, {});`;

/** Runs the source in a child whose threads hang on a disk; what it was about to try last is the last line of its stderr. */
async function beside(source: string): Promise<{ stdout: string; last: string | undefined }> {
  const disk = (await mountHungDisk(program!, 'held'))!;
  // The kernel holds the child's threads, and with them the child, until the disk is freed.
  let freed: Promise<void> | undefined;
  const free = () => (freed ??= disk.abort());
  const rescue = setTimeout(free, 30_000 * slow);
  const end = await runChild(`${holders}\n${source}\nconsole.log('done'); process.exit(0);`, {
    env: { ACALL_TEST_DISK: disk.path },
    timeout: 25_000 * slow,
    whenSaid: free,
  });
  clearTimeout(rescue);
  await free();
  return { stdout: end.stdout.trim(), last: end.status === 0 ? undefined : end.stderr.trim().split('\n').at(-1) };
}

describe.skipIf(isSkipped)('on the event loop, beside threads that a stalled disk holds,', () => {
  it('every quick call of the table answers at once, whatever descriptor it names', async () => {
    const end = await beside(`${quickCalls}
      if (quick.length < 80) throw new Error('only ' + quick.length + ' rows');
      const arena = new acall.Arena(1 << 20);
      const memory = arena.alloc(65536);
      const base = acall.addressOf(memory);
      const slot = new acall.AcallCompletion(arena);
      const submission = new acall.AcallSubmission(arena);
      for (const { name, args, chosen } of quick) {
        const counts = new Set(args.filter(([, kind]) => kind >= ArgKind.path).map(([, , , length = 0]) => length));
        for (const fd of args.some(([, kind]) => kind === ArgKind.fd) ? descriptors : [0]) {
          memory.fill(0);
          submission.nr = SYS[name];
          submission.flags = acall.ACALL_SUBMIT_INLINE | acall.ACALL_SUBMIT_THREAD_POOL;
          submission.cookie = 1n;
          submission.completion_pointer = slot.address;
          args.forEach(([argument, kind = 0], i) => {
            let value = 0n;
            if (i in chosen) value = BigInt(chosen[i]);
            else if (kind === ArgKind.fd) value = BigInt(fd);
            else if (kind >= ArgKind.path) value = base + BigInt(i * 8192);
            else if (counts.has(i)) value = 8n;
            else if (argument === 'resource') value = 4n; // the size of core files
            submission.args[i] = value;
          });
          fs.writeSync(2, name + ' ' + JSON.stringify(chosen) + ' ' + fd + '\\n');
          const before = acall.counters().inlineHits;
          if (acall.acall_submit([submission]) === 1 && acall.counters().inlineHits === before) {
            throw new Error(name + ' was not tried');
          }
        }
        await turn();
      }
      const seen = ticks;
      await until(() => ticks > seen + 3);`);
    expect(end).toEqual({ stdout: 'done', last: undefined });
  });

  it('what is tried, or was, leaves the loop alone: transfers, positions, pipes, stats', async () => {
    const end = await beside(`
      const buffer = Buffer.alloc(64);
      const tried = [];
      for (const fd of descriptors) {
        for (const [name, args] of [
          ['read', [fd, buffer, 64]], ['pread64', [fd, buffer, 64, 0]], ['write', [fd, buffer, 64]],
          ['pwrite64', [fd, buffer, 64, 0]], ['lseek', [fd, 0, constants.SEEK_CUR]],
          ['recvfrom', [fd, buffer, 64, 0, null, null]], ['sendto', [fd, buffer, 64, 0, null, 0]],
          ['fcntl', [fd, constants.F_GETPIPE_SZ]], ['fcntl', [fd, constants.F_SETPIPE_SZ, 4096]],
          ['fcntl', [fd, constants.F_GETFL]], ['fcntl', [fd, constants.F_SETFL, 0]],
        ]) {
          fs.writeSync(2, name + ' ' + fd + '\\n');
          tried.push(syscall(name, args).catch(() => {}));
          await turn();
        }
        tried.push(acall.fstat(fd).catch(() => {}));
        await turn();
      }
      for (const path of ['/', '/file', '/late', '/missing']) {
        fs.writeSync(2, 'stat ' + path + '\\n');
        tried.push(acall.stat(disk + path).catch(() => {}));
        await turn();
      }
      const seen = ticks;
      await until(() => ticks > seen + 3);`);
    expect(end).toEqual({ stdout: 'done', last: undefined });
  });
});
