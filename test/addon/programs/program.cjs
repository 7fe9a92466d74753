/* A program of program.test.ts, for a Worker. */
const { constants } = require('acall');
const { Program } = require('acall/syslet');
const { parentPort } = require('node:worker_threads');

/** Runs programs that open two descriptors each and then block. @param {{ path: string, fifo: number }} input */
function runBlocking(input) {
  const program = new Program({ path: 'text', fifo: 'number' }, (p, { path, fifo }) => {
    const first = p.call('openat', [constants.AT_FDCWD, path, 0]);
    const second = p.call('dup', [first]);
    p.call('read', [fifo, p.bytes(1), 1]);
    return { second };
  });
  for (let i = 0; i < 8; i++) void program.run(input);
  setImmediate(() => parentPort?.postMessage('runs'));
}

module.exports = { runBlocking };
