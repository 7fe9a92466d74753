/* Programs of eintr.test.ts: an epoll_wait that is stopped and continued, and ends by SIGUSR2. */
const acall = require('acall');
const fs = require('node:fs');
const { outcome, threadsIn, until } = require('../../support/inside.cjs');

const { SYS } = acall;

async function makeEpoll() {
  const pair = Buffer.alloc(8);
  await acall.syscall('pipe2', [pair, 0]);
  const epoll = await acall.syscall('epoll_create1', [0]);
  const event = Buffer.alloc(12);
  event.writeUInt32LE(1);
  await acall.syscall('epoll_ctl', [epoll, 1, pair.readInt32LE(0), event]);
  process.on('SIGUSR2', () => fs.writeSync(pair.readInt32LE(4), 'x'));
  return epoll;
}

async function waitsThere() {
  await until(() => threadsIn('epoll_wait') === 1);
  console.log('waits');
}

async function promise() {
  const epoll = await makeEpoll();
  const result = acall.syscall('epoll_wait', [epoll, Buffer.alloc(12), 1, -1]);
  await waitsThere();
  console.log(String(await outcome(result)));
  process.exit(0);
}

async function raw() {
  const epoll = await makeEpoll();
  const arena = new acall.Arena();
  const ring = new acall.AcallCompletionRing(arena, 4);
  const submission = new acall.AcallSubmission(arena);
  Object.assign(submission, { nr: SYS.epoll_wait, cookie: 1n, completion_ring_pointer: ring.address });
  submission.args[0] = BigInt(epoll);
  submission.args[1] = acall.addressOf(arena.alloc(12));
  submission.args[2] = 1n;
  submission.args[3] = -1n;
  acall.acall_submit([submission]);
  await waitsThere();
  await ring.wait();
  ring.drain((_, code) => console.log(String(code)));
  process.exit(0);
}

module.exports = { promise, raw };
