/* A program of syslet.test.ts, for a Worker. */
const { AcallCompletionRing, Arena, addressOf, SYS } = require('acall');
const { async_exec, SYSLET_SYNC, SysletAtom } = require('acall/syslet');
const { parentPort } = require('node:worker_threads');

/** Waits in a read that never ends. @param {number} fd */
function readSync(fd) {
  const arena = new Arena();
  const words = new BigInt64Array(arena.buffer, arena.alloc(32).byteOffset, 4);
  words.set([BigInt(fd), addressOf(words.subarray(3)), 1n]);
  const atom = new SysletAtom(arena);
  atom.nr = SYS.read;
  atom.flags = SYSLET_SYNC;
  for (let i = 0; i < 3; i++) atom.arg_ptr[i] = addressOf(words.subarray(i));
  parentPort?.postMessage('reads');
  async_exec(atom, new AcallCompletionRing(arena, 4));
}

module.exports = { readSync };
