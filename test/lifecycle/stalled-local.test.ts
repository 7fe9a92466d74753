// A local file system whose disk stalls. Its inodes and pages that are in memory answer, everything else waits in state D; the
// loop must never be what waits.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runChild, slow } from './support/child';
import { compile, skip } from './support/compile';
import { mountStalledDisk, type StalledDisk } from './support/hung-disk';

const program = process.getuid?.() === 0 && fs.existsSync('/dev/fuse') ? compile('hung-fuse') : null;
const files = fs.mkdtempSync(join(tmpdir(), 'acall-stalled-files-'));
afterAll(() => fs.rmSync(files, { recursive: true, force: true }));
// Files with many holes: the inode has no room to tell where their data lies, other blocks do, which nobody has read.
function writeHoley(path: string): void {
  const file = fs.openSync(path, 'w');
  for (let at = 0; at < 1 << 20; at += 16384) fs.writeSync(file, Buffer.alloc(2048, 1), 0, 2048, at);
  fs.closeSync(file);
}
for (const folder of ['warm', 'cold', 'known']) {
  fs.mkdirSync(join(files, folder));
  for (let i = 0; i < 20; i++) writeHoley(join(files, folder, `file${i}`));
}
let disk: StalledDisk | null = program === null ? null : await mountStalledDisk(program, files);
const free = async () => {
  const mounted = disk;
  disk = null;
  await mounted?.free();
};
afterAll(free);
const isSkipped = skip(
  disk === null,
  'stalled local disk: needs root, /dev/fuse, loop devices, mkfs.ext4 and a C compiler',
);

describe.skipIf(isSkipped)('on the event loop, on a local file system whose disk stalls,', () => {
  it('cold reads and writes, stats that are not in memory and removed files leave the loop alone', async () => {
    const { path, stall } = disk!;
    const rescue = setTimeout(free, 40_000 * slow);
    const end = await runChild(
      `
      const { syscall, constants, SYS } = acall;
      const disk = process.env.ACALL_TEST_DISK;
      const names = Array.from({ length: 20 }, (_, i) => 'file' + i);
      const opened = (folder, i) => fs.openSync(disk + '/' + folder + '/file' + i, 'r+');
      for (const name of names) fs.readFileSync(disk + '/warm/' + name);
      for (const name of names) fs.statSync(disk + '/known/' + name);
      await until(async () => {
        const before = acall.counters().inlineHits;
        await acall.stat(disk + '/warm/file0');
        return acall.counters().inlineHits > before; // its mount is known
      });
      const half = opened('known', 0); // its first pages are there, with a mark for more
      fs.readSync(half, Buffer.alloc(4096), 0, 4096, 0);
      const kinds = { warm: opened('warm', 1), known: opened('known', 2), half };
      kinds.removed = opened('known', 3);
      fs.unlinkSync(disk + '/known/file3');
      kinds.folder = fs.openSync(disk + '/cold', 'r');
      let ticks = 0;
      setInterval(() => ticks++, 5);
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      console.log('stall');
      process.stdin.resume();
      await new Promise((resolve) => process.stdin.on('end', resolve));

      const arena = new acall.Arena(1 << 22);
      const memory = arena.alloc(65536);
      const slot = () => new acall.AcallCompletion(arena);
      const inline = (name, args) => {
        const submission = new acall.AcallSubmission(arena);
        submission.nr = SYS[name];
        submission.flags = acall.ACALL_SUBMIT_INLINE;
        submission.cookie = 1n;
        submission.completion_pointer = slot().address;
        args.forEach((value, i) => (submission.args[i] = BigInt(value)));
        acall.acall_submit([submission]);
      };
      const base = acall.addressOf(memory);
      const told = async (what) => { fs.writeSync(2, what + '\\n'); await turn(); };
      const buffer = Buffer.alloc(65536);
      for (const [kind, fd] of Object.entries(kinds)) {
        for (const [name, args] of [
          ['read', [base, 64]], ['pread64', [base, 65536, 0]], ['pread64', [base, 4096, 131072]],
          ['pwrite64', [base, 4096, 200704]], ['write', [base, 64]], ['fstat', [base]], ['lseek', [0, constants.SEEK_DATA]],
          ['getdents64', [base, 4096]], ['fsync', []], ['ftruncate', [5]],
        ]) {
          await told(name + ' inline of ' + kind);
          inline(name, [fd, ...args]);
          await told(name + ' of ' + kind);
          const mine = args.map((value) => (value === base ? buffer : value));
          syscall(name, [fd, ...mine]).catch(() => {});
        }
        await told('fstat of ' + kind);
        acall.fstat(fd).catch(() => {});
      }
      for (const folder of ['warm', 'known', 'cold']) {
        for (const name of [...names, 'missing']) {
          const path = disk + '/' + folder + '/' + name;
          await told('stat of ' + path);
          acall.stat(path).catch(() => {});
          inline('newfstatat', [-100, acall.addressOf(arena.cstring(path)), base, 0]);
          if (!name.endsWith('5')) continue;
          acall.open(path, 'r+').catch(() => {});
          acall.readFile(path).catch(() => {});
        }
      }
      await told('close');
      for (const fd of Object.values(kinds)) syscall('close', [fd]).catch(() => {});
      await told('the end');
      const seen = ticks;
      await until(() => ticks > seen + 3);
      await until(() => acall.counters().blocked + acall.counters().running > 0); // it does stall
      console.log('done');
      process.exit(0);`,
      {
        env: { ACALL_TEST_DISK: path },
        timeout: 30_000 * slow,
        whenSaid: () => stall(),
        onSaid: (text) => text.includes('done') && void free(),
      },
    );
    clearTimeout(rescue);
    await free();
    const last = end.status === 0 ? undefined : end.stderr.trim().split('\n').at(-1);
    expect({ stdout: end.stdout.trim(), last }).toEqual({ stdout: 'stall\ndone', last: undefined });
  });
});
