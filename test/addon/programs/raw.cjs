/* Programs of raw.test.ts and bad-input.test.ts, for Workers. */
const { AcallCompletionRing, Arena, addressOf } = require('acall');
const { parentPort } = require('node:worker_threads');

/**
 * Takes completions from a ring of another environment until all have been taken.
 * @param {SharedArrayBuffer} buffer of the arena
 * @param {bigint} address of the ring
 * @param {SharedArrayBuffer} counter how many are left
 */
function drainShared(buffer, address, counter) {
  const ring = AcallCompletionRing.from(Arena.from(buffer), address);
  const left = new Int32Array(counter);
  let count = 0;
  let sum = 0n;
  while (Atomics.load(left, 0) > 0) {
    const got = ring.drain((cookie) => {
      count++;
      sum += cookie;
    });
    Atomics.sub(left, 0, got);
  }
  parentPort?.postMessage({ count, sum });
}

/** Posts an address of an arena that no other environment has, and keeps the arena until a message comes. */
function tellAddress() {
  const arena = new Arena();
  parentPort?.postMessage(addressOf(arena.alloc(64)));
  parentPort?.once('message', () => arena);
}

module.exports = { drainShared, tellAddress };
