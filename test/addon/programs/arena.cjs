/* A program of arena.test.ts, for Workers. */
const { Arena, addressOf } = require('acall');
const { parentPort } = require('node:worker_threads');

/** Allocates and frees memory of a shared arena, and posts what it has in the end. */
function allocateAndFree(/** @type {SharedArrayBuffer} */ buffer) {
  const arena = Arena.from(buffer);
  /** @type {Uint8Array[]} */
  const mine = [];
  for (let i = 0; i < 3000; i++) {
    if (i % 3 === 2) for (const view of mine.splice((i * 7919) % mine.length, 1)) arena.free(view);
    else mine.push(arena.alloc(1 + ((i * 31) % 100), 1 << (i % 6)));
  }
  parentPort?.postMessage(mine.map((view) => [addressOf(view), view.length]));
  parentPort?.once('message', () => {});
}

module.exports = { allocateAndFree };
