/* A program of asys.test.ts, for a Worker. */
const { SYS } = require('acall');
const { asys_await_completion, asys_submit } = require('acall/asys');
const { parentPort } = require('node:worker_threads');

/** Posts the result of a wait without a pending call, and waits for a call that never ends. */
function waitForEver() {
  parentPort?.postMessage(asys_await_completion());
  asys_submit([{ syscall_nr: SYS.pause ?? SYS.ppoll, cookie: 3n }]);
  asys_await_completion();
}

module.exports = { waitForEver };
