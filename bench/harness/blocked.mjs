/** Calls that block for ever, and how to see in /proc that they do. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @returns {string} a FIFO that nobody writes to; it goes with the process */
export function makeFifo() {
  const folder = mkdtempSync(join(tmpdir(), 'acall-bench-fifo-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  return fifo;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Waits until `count` threads that are not the main thread sleep inside the call with this number. A thread that has been found
 * there is not looked at again.
 * @param {number} number
 * @param {number} count
 * @param {number} [patienceMs] after this time it returns the number reached so far
 * @returns {Promise<number>} how many there are
 */
export async function untilBlocked(number, count, patienceMs = 60_000) {
  const blocked = new Set();
  const begin = performance.now();
  for (;;) {
    for (const task of readdirSync('/proc/self/task')) {
      if (blocked.has(task) || Number(task) === process.pid) continue;
      try {
        if (Number.parseInt(readFileSync(`/proc/self/task/${task}/syscall`, 'latin1'), 10) === number)
          blocked.add(task);
      } catch {
        // It has ended.
      }
    }
    if (blocked.size >= count || performance.now() - begin > patienceMs) return blocked.size;
    await turn();
  }
}

/** Resident memory of this process in KiB, without the free part of V8's heap. */
export function residentKiB() {
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return (rss - heapTotal + heapUsed) / 1024;
}

/**
 * The value below which this part of the values lies.
 * @param {number[]} values
 * @param {number} part
 */
export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/**
 * Whether a promise settles in time.
 * @param {Promise<unknown>} promise
 * @param {number} ms
 * @returns {Promise<boolean>}
 */
export async function settlesWithin(promise, ms) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const inTime = /** @type {boolean} */ (await Promise.race([settled, late]));
  clearTimeout(timer);
  return inTime;
}
