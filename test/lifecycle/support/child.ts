// Child processes: a script after the prelude, and how it ended. The time from its `ending()` to its end is measured by us.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const prelude = join(__dirname, 'prelude.cjs');
const folder = mkdtempSync(join(tmpdir(), 'acall-lifecycle-'));
/** A FIFO that nobody writes to. */
export const fifo = join(folder, 'fifo');
execFileSync('mkfifo', [fifo]);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A sanitized addon, a loaded machine: how much longer things may take. */
export const slow = /asan|tsan/.test(process.env.LD_PRELOAD ?? '') ? 8 : 1;

/** "Well under a second", in milliseconds. */
export const kAtOnce = 900 * slow;

export interface ChildOptions {
  env?: Record<string, string>;
  /** Goes before node: a launcher and its arguments. */
  launcher?: readonly string[];
  execArgv?: readonly string[];
  /** Milliseconds after which the child counts as hung and is killed. */
  timeout?: number;
  /** Called once, with what the child has written to stdout first; its stdin ends when the promise has settled. */
  whenSaid?: (text: string) => Promise<void>;
  /** Called with all that the child has written to stdout so far, each time that there is more. */
  onSaid?: (text: string) => void;
}

export interface ChildEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Milliseconds from `ending()` to the end; from the start when it was not called. */
  ms: number;
}

/** The script with the prelude's names in scope, as it is given to node -e. */
export const scriptOf = (source: string): string =>
  `const prelude = require(${JSON.stringify(prelude)}); with (prelude) { (async () => { ${source} })(); }`;

/** Runs a script in a process of its own. `with` makes the prelude's names known, so scripts are sloppy code. */
export function runChild(source: string, options: ChildOptions = {}): Promise<ChildEnd> {
  const [command, ...rest] = [
    ...(options.launcher ?? []),
    process.execPath,
    ...(options.execArgv ?? []),
    '-e',
    scriptOf(source),
  ];
  return new Promise((resolve, reject) => {
    let begun = performance.now();
    const child = spawn(command!, rest, {
      cwd: join(__dirname, '../../..'),
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

/** The JSON that the script printed; its stderr when there is none. */
export async function answerOf<T>(source: string, options: ChildOptions = {}): Promise<T> {
  const end = await runChild(source, options);
  if (end.status !== 0) throw new Error(`exit ${end.status} ${end.signal}: ${end.stdout}${end.stderr}`);
  return JSON.parse(end.stdout) as T;
}
