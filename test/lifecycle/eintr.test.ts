// SIGSTOP and SIGCONT make the kernel end epoll_wait with -EINTR: a promise never sees it, a raw op does.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandOf } from '../support/programs';
import { nextTurn } from '../support/quiet';

describe('an -EINTR that nobody asked for', () => {
  /** Stops and continues the child a few times; the kernel makes epoll_wait return -EINTR each time. */
  async function stopAndContinue(name: keyof typeof import('./programs/eintr.cjs')): Promise<string[]> {
    const child = spawn(...commandOf(join(__dirname, 'programs', 'eintr.cjs'), name), {
      cwd: join(__dirname, '../..'),
      env: { ...process.env },
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    });
    const closed = new Promise((resolve) => child.on('close', resolve));
    const lines: string[] = [];
    let wake = () => {};
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      lines.push(...text.trim().split('\n'));
      wake();
    });
    while (!lines.includes('waits')) await new Promise<void>((resolve) => (wake = resolve));
    const state = () =>
      child.exitCode !== null ? 'X' : fs.readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1]![0];
    for (let i = 0; i < 5; i++) {
      child.kill('SIGSTOP');
      while (!'TXZ'.includes(state()!)) await nextTurn();
      child.kill('SIGCONT');
      while (state() === 'T') await nextTurn();
    }
    child.kill('SIGUSR2');
    await closed;
    return lines.filter((line) => line !== 'waits');
  }

  it('is not shown to a promise: the call is made again', async () => {
    const lines = await stopAndContinue('promise');
    expect(lines).toEqual(['1']);
  });

  it('is delivered to a raw op', async () => {
    const lines = await stopAndContinue('raw');
    expect(lines).toEqual(['-4']);
  });
});
