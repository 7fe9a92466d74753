/* A program of masks.test.ts: a call that waits with every signal blocked. */
const acall = require('acall');
const { answerAndExit, threadsIn, until } = require('../../support/inside.cjs');

const all = Buffer.alloc(8, 0xff);

/** @satisfies {Record<string, (epoll: number, pack: BigUint64Array) => import('acall').SyscallArg[]>} */
const waits = {
  ppoll: () => [null, 0, null, all, 8],
  pselect6: (_, pack) => [0, null, null, null, null, pack],
  epoll_pwait: (epoll) => [epoll, Buffer.alloc(12), 1, -1, all, 8],
  epoll_pwait2: (epoll) => [epoll, Buffer.alloc(12), 1, null, all, 8],
  rt_sigtimedwait: () => [all, null, null, 8],
  rt_sigsuspend: () => [all, 8],
};

/**
 * @param {keyof typeof waits} name
 * @param {'pool' | 'own'} thread
 */
async function changeGroupBesideWait(name, thread) {
  const arena = new acall.Arena();
  const mask = arena.alloc(8).fill(0xff);
  const pack = new BigUint64Array([acall.addressOf(mask), 8n]);
  const epoll = await acall.syscall('epoll_create1', [0]);
  const before = threadsIn(name); // Node has waiting threads of its own
  acall.syscall(name, waits[name](epoll, pack), { thread, ref: false }).catch(() => {});
  await until(() => threadsIn(name) > before);
  process.setegid?.(process.getegid?.() ?? 0);
  return answerAndExit('changed');
}

module.exports = { waits, changeGroupBesideWait };
