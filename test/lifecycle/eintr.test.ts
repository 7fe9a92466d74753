// SIGSTOP and SIGCONT make the kernel end epoll_wait with -EINTR: a promise never sees it, a raw op does.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scriptOf } from './support/child';
import { nextTurn } from './support/quiet';

describe('an -EINTR that nobody asked for', () => {
  /** Stops and continues the child a few times; the kernel makes epoll_wait return -EINTR each time. */
  async function stopAndContinue(source: string): Promise<string[]> {
    const child = spawn(process.execPath, ['-e', scriptOf(source)], {
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

  const begin = `
    const pair = Buffer.alloc(8);
    await acall.syscall('pipe2', [pair, 0]);
    const epoll = await acall.syscall('epoll_create1', [0]);
    const event = Buffer.alloc(12);
    event.writeUInt32LE(1);
    await acall.syscall('epoll_ctl', [epoll, 1, pair.readInt32LE(0), event]);
    process.on('SIGUSR2', () => fs.writeSync(pair.readInt32LE(4), 'x'));`;

  it('is not shown to a promise: the call is made again', async () => {
    const lines = await stopAndContinue(`${begin}
      const promise = acall.syscall('epoll_wait', [epoll, Buffer.alloc(12), 1, -1]);
      await until(() => threadsIn('epoll_wait') === 1);
      console.log('waits');
      console.log(String(await outcome(promise)));
      process.exit(0);`);
    expect(lines).toEqual(['1']);
  });

  it('is delivered to a raw op', async () => {
    const lines = await stopAndContinue(`${begin}
      const arena = new acall.Arena();
      const ring = new acall.AcallCompletionRing(arena, 4);
      const submission = new acall.AcallSubmission(arena);
      Object.assign(submission, { nr: acall.SYS.epoll_wait, cookie: 1n, completion_ring_pointer: ring.address });
      submission.args[0] = BigInt(epoll);
      submission.args[1] = acall.addressOf(arena.alloc(12));
      submission.args[2] = 1n;
      submission.args[3] = -1n;
      acall.acall_submit([submission]);
      await until(() => threadsIn('epoll_wait') === 1);
      console.log('waits');
      await ring.wait();
      ring.drain((_, code) => console.log(String(code)));
      process.exit(0);`);
    expect(lines).toEqual(['-4']);
  });
});
