// Programs of random calls against the same calls made one by one: results, errors, content read, the tree that is left.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, type SyscallArg, SyscallError, type SyscallName, syscall } from 'acall';
import { Program, type ProgramDescriptor, type ProgramValue } from 'acall/syslet';
import { afterAll, expect, it } from 'vitest';

const { AT_FDCWD, AT_REMOVEDIR, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDWR, O_TRUNC, SEEK_SET } =
  constants;
const folder = fs.mkdtempSync(join(tmpdir(), 'acall-calls-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** mulberry32 */
let state = 20_070_212;
const below = (n: number): number => {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % n;
};

const kFd = Symbol('the descriptor opened last');
const kBytes = Symbol('memory for what is read');
type Step = { name: SyscallName; args: (number | string | null | typeof kFd | typeof kBytes)[]; opens?: boolean };

function randomStep(): Step {
  const name = () => ['a', 'b', 'c', 'a/b', 'a/c', 'b/a', 'nope/x', 'link', 'link/x', 'loop'][below(10)]!;
  const flags = [O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_TRUNC, O_DIRECTORY, O_NOFOLLOW];
  switch (below(13)) {
    case 0:
      return { name: 'mkdirat', args: [AT_FDCWD, name(), 0o755] };
    case 1:
      return { name: 'unlinkat', args: [AT_FDCWD, name(), below(2) * AT_REMOVEDIR] };
    case 2:
      return { name: 'renameat2', args: [AT_FDCWD, name(), AT_FDCWD, name(), below(3)] };
    case 3:
      return { name: 'symlinkat', args: [name(), AT_FDCWD, name()] };
    case 4:
      return { name: 'linkat', args: [AT_FDCWD, name(), AT_FDCWD, name(), 0] };
    case 5:
    case 6:
      return { name: 'openat', args: [AT_FDCWD, name(), flags[below(6)]! | O_CLOEXEC, 0o644], opens: true };
    case 7:
      return { name: 'write', args: [kFd, 'some text that is written', 1 + below(25)] };
    case 8:
      return { name: 'pread64', args: [kFd, kBytes, below(33), below(8)] };
    case 9:
      return { name: 'lseek', args: [kFd, below(40) - 4, SEEK_SET] };
    case 10:
      return { name: 'ftruncate', args: [kFd, below(60) - 4] };
    case 11:
      return { name: 'readlinkat', args: [AT_FDCWD, name(), kBytes, 32] };
    default:
      return { name: 'faccessat', args: [AT_FDCWD, name(), 0] };
  }
}

/** What a run in a folder gives: each result (0 for a descriptor), all that was read, and what is left there. */
type Outcome = { results: number[]; bytes: string };

async function oneByOne(steps: Step[]): Promise<Outcome> {
  const opened: number[] = [];
  const bytes = Buffer.alloc(32, '.');
  const results: number[] = [];
  let fd = -1;
  for (const { name, args, opens } of steps) {
    const given = args.map((arg) => (arg === kFd ? fd : arg === kBytes ? bytes : arg)) as SyscallArg[];
    const result = await syscall(name, given as never).catch((error) => {
      if (!(error instanceof SyscallError)) throw error;
      return error.errno;
    });
    if (opens && result >= 0) opened.push(result);
    if (opens) fd = result < 0 ? -1 : result;
    results.push(opens && result >= 0 ? 0 : result);
  }
  for (const each of opened) fs.closeSync(each);
  return { results, bytes: bytes.toString('latin1') };
}

async function asProgram(steps: Step[]): Promise<Outcome> {
  const program = new Program({}, (p) => {
    const bytes = p.bytes(Buffer.alloc(32, '.'));
    const none = p.variable(-1);
    let fd: ProgramValue | ProgramDescriptor = none;
    const results: Record<string, ProgramValue> = {};
    steps.forEach(({ name, args, opens }, i) => {
      const given = args.map((arg) => (arg === kFd ? fd : arg === kBytes ? bytes : arg));
      const result = p.call(name, given as never, { stopOn: 'never' }) as ProgramValue;
      if (opens) fd = result;
      const told = p.variable(0);
      if (opens) p.if(result.isNegative(), () => p.set(told, result));
      else p.set(told, result);
      results[i] = told;
    });
    return { ...results, bytes };
  });
  const { values } = await program.run({});
  const { bytes, ...results } = values as unknown as Record<string, number> & { bytes: Buffer };
  return { results: steps.map((_, i) => results[i]!), bytes: bytes.toString('latin1') };
}

it('programs of random calls do what the same calls do one by one', async () => {
  const home = process.cwd();
  try {
    for (let round = 0; round < 150; round++) {
      const steps = Array.from({ length: 1 + below(30) }, randomStep);
      const found = [];
      for (const run of [oneByOne, asProgram]) {
        const place = fs.mkdtempSync(join(folder, 'r-'));
        process.chdir(place);
        fs.mkdirSync('a');
        fs.writeFileSync('b', 'content of b');
        fs.symlinkSync('a', 'link');
        fs.symlinkSync('loop', 'loop');
        const outcome = await run(steps);
        const left = fs
          .readdirSync('.', { recursive: true, encoding: 'utf8' })
          .sort()
          .map((name) => {
            const stats = fs.lstatSync(name);
            return [name, stats.mode, stats.isFile() ? fs.readFileSync(name, 'latin1') : ''];
          });
        found.push({ ...outcome, left });
        process.chdir(home);
        fs.rmSync(place, { recursive: true });
      }
      expect(
        found[1],
        JSON.stringify(steps, (_, value) => (typeof value === 'symbol' ? String(value) : value)),
      ).toEqual(found[0]);
    }
  } finally {
    process.chdir(home);
  }
  expect(
    fs
      .readdirSync('/proc/self/fd')
      .filter(
        (fd) => fs.existsSync(`/proc/self/fd/${fd}`) && fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder),
      ),
  ).toEqual([]);
});
