/*
 * The exports of 'acall/asys': the pair of calls of the fibril patches of January 2007, made of the raw calls. One ring for each
 * environment.
 */
import { checkInteger, invalidArgType, invalidArgValue, rangeError } from '../errors';
import { ACALL_SUBMIT_INLINE, ACALL_SUBMIT_THREAD_POOL } from '../generated/layout';
import { Errno, Wire } from '../generated/wire';
import { Arena } from '../memory/arena';
import { AcallCompletionRing } from '../memory/ring';
import { AcallSubmission } from '../memory/structs';
import { acall_ring_pwait, acall_submit } from '../raw';

const kSlots = 256; // further completions wait in the ring's backlog, in order

/** One call: the `struct asys_input` of 2007. Pointers among the arguments are addresses in an arena (see `addressOf`). */
export interface AsysInput {
  /** The number of the system call (see `SYS`). */
  syscall_nr: number;
  /** Any 64-bit number but 0n; the result carries it. */
  cookie: bigint;
  /** At most six; missing arguments are 0. */
  args?: readonly (number | bigint)[];
}

/** One result: the `struct asys_completion` of 2007. */
export interface AsysCompletion {
  /** The result of the call, -errno when the call failed. */
  return_code: bigint;
  /** The cookie of the call. */
  cookie: bigint;
}

let ring: AcallCompletionRing | undefined;
let submission: AcallSubmission | undefined;
let pending = 0;
let taken = 0; // completions returned so far, modulo 2^32

function fill(entry: AcallSubmission, input: AsysInput, index: number): void {
  const name = `inputs[${index}]`;
  if (typeof input !== 'object' || input === null) throw invalidArgType(name, 'of type object', input);
  const { syscall_nr, cookie, args = [] } = input;
  checkInteger(syscall_nr, `${name}.syscall_nr`, 0, 0xffffffff);
  if (typeof cookie !== 'bigint') throw invalidArgType(`${name}.cookie`, 'of type bigint', cookie);
  if (!Array.isArray(args)) throw invalidArgType(`${name}.args`, 'an instance of Array', args);
  if (args.length > Wire.argumentCount) throw invalidArgValue(`${name}.args`, 'has more than 6 entries', args);
  const words = args.map((arg: unknown, at) => {
    if (typeof arg === 'bigint') return BigInt.asIntN(64, arg);
    return BigInt(checkInteger(arg, `${name}.args[${at}]`, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
  });
  entry.nr = syscall_nr;
  entry.cookie = cookie;
  entry.args.fill(0n);
  entry.args.set(words);
}

/**
 * Starts calls in order and stops at the first bad entry. Each call runs inline, on this thread, where it cannot block
 * (docs/inline.md), and in the pool otherwise. Either way `asys_await_completion` gives its result once.
 *
 * @param nr how many of them; all by default
 * @returns how many were accepted, or -errno when the first was refused, as `acall_submit` does: -EINVAL (-22) for cookie
 *   0n, -EPERM (-1), -EFAULT (-14), -EAGAIN (-11)
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for a wrong input; the inputs before it have been accepted
 *
 * @example
 * asys_submit([{ syscall_nr: SYS.getppid, cookie: 1n }]);
 * asys_await_completion(); // { return_code: 4711n, cookie: 1n }
 */
export function asys_submit(inputs: readonly AsysInput[], nr?: number): number {
  if (!Array.isArray(inputs)) throw invalidArgType('inputs', 'an Array of objects', inputs);
  const count = nr === undefined ? inputs.length : checkInteger(nr, 'nr', 0, 0xffffffff);
  if (count > inputs.length) throw rangeError(`inputs holds ${inputs.length} entries, fewer than nr (${count})`);
  if (ring === undefined || submission === undefined) {
    const arena = new Arena(kSlots * 16 + 4096);
    ring = new AcallCompletionRing(arena, kSlots);
    submission = new AcallSubmission(arena);
    submission.flags = ACALL_SUBMIT_INLINE | ACALL_SUBMIT_THREAD_POOL;
    submission.completion_ring_pointer = ring.address;
  }
  for (let i = 0; i < count; i++) {
    fill(submission, inputs[i] as AsysInput, i);
    const accepted = acall_submit([submission]);
    if (accepted < 0) return i === 0 ? accepted : i;
    pending++;
  }
  return count;
}

/**
 * Blocks the calling thread until one call is complete, and returns its result. Results come in the order of completion.
 *
 * @returns the result; or a number: -EINTR (-4) when a signal came first or the environment is ending, -EDEADLK (-35) when
 *   no call is pending
 *
 * @example
 * const result = asys_await_completion();
 * if (typeof result !== 'number') console.log(result.cookie, result.return_code);
 */
export function asys_await_completion(): AsysCompletion | number {
  if (ring === undefined || pending === 0) return -Errno.EDEADLK;
  const found = acall_ring_pwait(ring, taken, 1);
  if (found < 0) return found;
  let result: AsysCompletion | undefined;
  ring.drain((cookie, return_code) => {
    result = { return_code, cookie };
  }, 1);
  if (result === undefined) return -Errno.EDEADLK;
  pending--;
  taken = (taken + 1) >>> 0;
  return result;
}
