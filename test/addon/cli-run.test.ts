// acall run: a time-out or Ctrl-C cancels a call that blocks, and the command prints that.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SYS } from 'acall';
import { afterAll, describe, expect, it } from 'vitest';

const main = resolve(__dirname, '../../dist/cli/main.js');
const root = fs.mkdtempSync(join(tmpdir(), 'acall-cli-run-'));
const fifo = join(root, 'fifo');
execFileSync('mkfifo', [fifo]);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

interface End {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command with an input that never has bytes; `act` is called once the command has started. */
async function acall(args: string[], act?: (child: ChildProcessWithoutNullStreams) => Promise<void>): Promise<End> {
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, NO_COLOR: '1' } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const closed = new Promise<number | null>((settle) => child.on('close', settle));
  await act?.(child);
  return { status: await closed, stdout, stderr };
}

/** Until a thread of the process fits: its name, and the number of the call that it is inside. */
async function untilThread(child: ChildProcessWithoutNullStreams, fits: (name: string, call: number) => boolean) {
  for (;;) {
    for (const task of fs.readdirSync(`/proc/${child.pid}/task`)) {
      try {
        const at = (what: string) => fs.readFileSync(`/proc/${child.pid}/task/${task}/${what}`, 'latin1');
        if (fits(at('comm').trim(), Number.parseInt(at('syscall'), 10))) return;
      } catch {
        // It has ended.
      }
    }
    await new Promise((settle) => setImmediate(settle));
  }
}

const inside = (child: ChildProcessWithoutNullStreams, call: 'openat' | 'read') =>
  untilThread(child, (name, number) => name.startsWith('acall-') && number === SYS[call]);

const open = ['openat', 'AT_FDCWD', fifo, 'O_RDONLY'];

describe('acall run', () => {
  it('cancels the call when it times out', async () => {
    const { status, stdout, stderr } = await acall(['run', '--timeout', '50ms', ...open]);
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: `openat(AT_FDCWD, "${fifo}", O_RDONLY) = ? (cancelled)\n`,
    });
    expect(stderr).toMatch(/^acall: openat was cancelled after 0\.\d s: it timed out\n$/);
  });

  it.each([
    ['in the pool', []],
    ['on a thread of its own', ['--own']],
  ])('is cancelled by Ctrl-C %s', async (_, options) => {
    const end = await acall(['run', ...options, 'read', '0', '@100', '100'], async (child) => {
      await inside(child, 'read');
      child.kill('SIGINT');
    });
    expect({ status: end.status, stdout: end.stdout }).toEqual({
      status: 130,
      stdout: 'read(0, @100, 100) = ? (cancelled)\n',
    });
    expect(end.stderr).toMatch(/^acall: read was cancelled after \d+\.\d s: interrupted\n$/);
  });

  it('so is acall sys', async () => {
    const end = await acall(['sys', ...open], async (child) => {
      await inside(child, 'openat');
      child.kill('SIGINT');
    });
    expect(end.status).toBe(130);
    expect(end.stderr).toMatch(/^acall: openat was cancelled after \d+\.\d s: interrupted\n$/);
  });

  it('gives the result of a call that ends in time, and leaves no timer behind', async () => {
    const begun = performance.now();
    const { status, stdout } = await acall(['run', '-t', '10m', 'read', '0', '@100', '100'], async (child) => {
      await inside(child, 'read');
      child.stdin.end('text');
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'read(0, "text", 100) = 4\n' });
    expect(performance.now() - begun).toBeLessThan(60_000);
  });

  it('--json prints that the call was cancelled', async () => {
    const { status, stdout } = await acall(['run', '--json', '--timeout', '0.05', ...open]);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toEqual({ syscall: 'openat', args: open.slice(1), cancelled: true });
  });

  it.each(['soon', '-1s', '1d', '600h', ''])("exits 2 for the time '%s'", async (time) => {
    const { status, stderr } = await acall(['run', `--timeout=${time}`, 'getppid']);
    expect(status).toBe(2);
    expect(stderr).toContain('It must be a time such as 2s');
  });
});

describe('Ctrl-C', () => {
  it('ends a command that is not a call at once, and prints that', async () => {
    const end = await acall(['du', '/'], async (child) => {
      await untilThread(child, (name) => name === 'acall-pool');
      child.kill('SIGINT');
    });
    expect({ status: end.status, stdout: end.stdout }).toEqual({ status: 130, stdout: '' });
    expect(end.stderr).toBe('acall: interrupted\n');
  });
});
