// When the engine of this process is at rest, and what it has left behind; what the tests of aborts have in common.
import * as fs from 'node:fs';
import { constants, counters, syscall } from 'acall';

export async function makePipe(): Promise<[number, number]> {
  const pair = Buffer.alloc(8);
  await syscall('pipe2', [pair, constants.O_CLOEXEC]);
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

export const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** But for the one that the engine's supervisor may have open for a moment to look at a thread's state. */
export const descriptors = () =>
  fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return !fs.readlinkSync(`/proc/self/fd/${fd}`).includes('/task/');
    } catch {
      return false;
    }
  }).length;

/** Until no thread of the engine has anything to do. */
export async function quiet(): Promise<void> {
  while (counters().running > 0 || counters().queued > 0) await nextTurn();
}

/** Until so many threads of the engine sleep in a call that is none of their own (futex, /proc). */
export async function untilBlocked(count: number): Promise<void> {
  const own = new RegExp(`^(running|${process.arch === 'x64' ? 202 : 98}) ?`);
  for (let blocked = 0; blocked < count; await nextTurn()) {
    blocked = 0;
    for (const task of fs.readdirSync('/proc/self/task')) {
      try {
        const read = (what: string) => fs.readFileSync(`/proc/self/task/${task}/${what}`, 'latin1');
        if (/^acall-(pool|own)/.test(read('comm')) && !own.test(read('syscall'))) blocked++;
      } catch {
        // It has ended.
      }
    }
  }
}
