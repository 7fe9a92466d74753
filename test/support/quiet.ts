// When the engine of this process is at rest, and what it has left behind; what programs of tests have in inside.cjs too.
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { constants, syscall } from 'acall';

const inside: typeof import('./inside.cjs') = createRequire(__filename)('./inside.cjs');
export const { descriptors, nextTurn, quiet, until } = inside;

export async function makePipe(): Promise<[number, number]> {
  const pair = Buffer.alloc(8);
  await syscall('pipe2', [pair, constants.O_CLOEXEC]);
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
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
