// Programs of tests: functions of a file in a folder programs/, each run in a process of its own by program.cjs.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll } from 'vitest';

const runner = join(__dirname, 'program.cjs');
const folder = mkdtempSync(join(tmpdir(), 'acall-programs-'));
/** A FIFO that nobody writes to. */
export const fifo = join(folder, 'fifo');
execFileSync('mkfifo', [fifo]);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A sanitized addon, a loaded machine: how much longer things may take. */
export const slow = /asan|tsan/.test(process.env.LD_PRELOAD ?? '') ? 8 : 1;

/** "Well under a second", in milliseconds. */
export const kAtOnce = 900 * slow;

export interface ProgramOptions {
  env?: Record<string, string>;
  /** Goes before node: a launcher and its arguments. */
  launcher?: readonly string[];
  execArgv?: readonly string[];
  /** The root of the package when none is given. */
  cwd?: string;
  /** Who runs it; see stranger.ts. */
  user?: { uid?: number; gid?: number };
  /** Milliseconds after which the process counts as hung and is killed. */
  timeout?: number;
  /** Called once, with what the process has written to stdout first; its stdin ends when the promise has settled. */
  whenSaid?: (text: string) => Promise<void>;
  /** Called with all that the process has written to stdout so far, each time that there is more. */
  onSaid?: (text: string) => void;
}

export interface ProgramEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Milliseconds from `ending()` to the end; from the start when it was not called. */
  ms: number;
}

/** The functions that a file of programs exports. */
type Programs<File> = {
  [Name in keyof File as File[Name] extends (...args: never[]) => unknown ? Name : never]: File[Name];
};
type Arguments<Program> = Program extends (...args: infer Args) => unknown ? Args : never;
type Answer<Program> = Program extends (...args: never[]) => infer Result ? Awaited<Result> : never;

/** The command line of a program: node and its arguments. */
export const commandOf = (file: string, name: string, args: readonly unknown[] = []): [string, string[]] => [
  process.execPath,
  [runner, file, name, JSON.stringify(args)],
];

/** The programs of a file: `programsOf<typeof import('./programs/name.cjs')>(join(__dirname, 'programs/name.cjs'))`. */
export function programsOf<File>(file: string) {
  /** Runs a program in a process of its own, until that ends. */
  function run<Name extends string & keyof Programs<File>>(
    name: Name,
    args: Arguments<File[Name]>,
    options: ProgramOptions = {},
  ): Promise<ProgramEnd> {
    const [node, rest] = commandOf(file, name, args as unknown[]);
    const [command, ...more] = [...(options.launcher ?? []), node, ...(options.execArgv ?? []), ...rest];
    return runCommand(command!, more, options);
  }

  /** What the program answers; throws its stderr when it fails. */
  async function answerOf<Name extends string & keyof Programs<File>>(
    name: Name,
    args: Arguments<File[Name]>,
    options: ProgramOptions = {},
  ): Promise<Answer<File[Name]>> {
    const end = await run(name, args, options);
    if (end.status !== 0) throw new Error(`exit ${end.status} ${end.signal}: ${end.stdout}${end.stderr}`);
    return JSON.parse(end.stdout);
  }

  /** Runs a program in a Worker of this process. */
  function startWorker<Name extends string & keyof Programs<File>>(name: Name, args: Arguments<File[Name]>): Worker {
    return new Worker(runner, { workerData: { file, name, args } });
  }

  return { run, answerOf, startWorker };
}

function runCommand(command: string, args: readonly string[], options: ProgramOptions): Promise<ProgramEnd> {
  return new Promise((resolve, reject) => {
    let begun = performance.now();
    const child = spawn(command, args, {
      cwd: options.cwd ?? join(__dirname, '../..'),
      ...options.user,
      env: { ...process.env, ACALL_TEST_FIFO: fifo, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    const killer = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? 20_000 * slow);
    let stdout = '';
    let stderr = '';
    let ms = 0;
    child.stdio[3]!.on('data', () => (begun = performance.now()));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      if (stdout === '' && options.whenSaid) options.whenSaid(text).then(() => child.stdin.end(), reject);
      stdout += text;
      options.onSaid?.(stdout);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('error', reject);
    child.on('exit', () => (ms = performance.now() - begun));
    child.on('close', (status, signal) => {
      clearTimeout(killer);
      resolve({ status, signal, stdout, stderr, ms });
    });
  });
}
