// A request for a lock waits on a thread and times out. Usage: node examples/flock.mjs
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flock } from 'acall';

const folder = await mkdtemp(join(tmpdir(), 'acall-flock-'));
const first = await open(join(folder, 'lock'), 'w');
const second = await open(join(folder, 'lock'), 'r');

await flock(first, 'exclusive');
console.log('the first has it');
try {
  await flock(second, 'exclusive', { timeout: 100 });
} catch (error) {
  console.log('the second gave up:', error.code);
}
const waiting = flock(second, 'shared');
await flock(first, 'unlock');
await waiting;
console.log('now the second has it');

await Promise.all([first.close(), second.close()]);
await rm(folder, { recursive: true });
