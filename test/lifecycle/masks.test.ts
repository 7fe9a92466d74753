// Signal masks and sets of calls: libc reaches every thread by signals of its own, and a call that waits may not hold them.
import { describe, expect, it } from 'vitest';
import { runChild, slow } from './support/child';

const kTooLong = 20_000 * slow;

describe.each(['pool', 'own'])('a call that waits with every signal blocked, on a thread of kind %s', (thread) => {
  it.each([
    ['ppoll', '[null, 0, null, all, 8]'],
    ['pselect6', '[0, null, null, null, null, pack]'],
    ['epoll_pwait', '[epoll, Buffer.alloc(12), 1, -1, all, 8]'],
    ['epoll_pwait2', '[epoll, Buffer.alloc(12), 1, null, all, 8]'],
    ['rt_sigtimedwait', '[all, null, null, 8]'],
    ['rt_sigsuspend', '[all, 8]'],
  ])('%s does not keep process.setegid() waiting', { timeout: kTooLong + 5000 }, async (name, args) => {
    const { status, stdout, stderr } = await runChild(
      `
      const all = Buffer.alloc(8, 0xff);
      const arena = new acall.Arena();
      const mask = arena.alloc(8).fill(0xff);
      const pack = new BigUint64Array([acall.addressOf(mask), 8n]);
      const epoll = await acall.syscall('epoll_create1', [0]);
      const before = threadsIn('${name}'); // Node has waiting threads of its own
      acall.syscall('${name}', ${args}, { thread: '${thread}', ref: false }).catch(() => {});
      await until(() => threadsIn('${name}') > before);
      process.setegid(process.getegid());
      console.log('told');
      process.exit(0);`,
      { timeout: kTooLong },
    );
    expect([status, stdout, stderr]).toEqual([0, 'told\n', '']);
  });
});
