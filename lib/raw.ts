/* The four calls, with the names, arguments and results of the C interface. Wrong JavaScript types throw; results are numbers. */

import type * as os from 'node:os';
import { types } from 'node:util';
import { checkInteger, invalidArgType, invalidArgValue, rangeError } from './errors';
import { acallIdLayout, acallSubmissionLayout } from './generated/layout';
import { Errno, Wire } from './generated/wire';
import { type AcallCompletionRing, ringHandle } from './memory/ring';
import { AcallId, AcallSubmission } from './memory/structs';
import { native } from './native';

/** A relative time on CLOCK_MONOTONIC: seconds, and nanoseconds from 0 to 999,999,999. */
export type Timespec = {
  /** Seconds. */
  sec: number | bigint;
  /** Nanoseconds, 0 to 999,999,999. */
  nsec: number;
};

/** Signals that are blocked during a wait: the kernel's 8 bytes (signal n is bit n - 1), or names such as 'SIGINT'. */
export type SigSet = Uint8Array /* 8 */ | readonly NodeJS.Signals[];

const kMaxCount = 0xffffffff;
const kPieceEntries = 1024; // submissions gathered for one native call: a limit of the memory that they take

let gathered: Uint8Array | undefined;
let lastError: { index: number; errno: number } | null = null;

function rememberError(base: number): void {
  const packed = native.submitError();
  lastError =
    packed === Wire.noSubmitError
      ? null
      : { index: base + Math.floor(packed / Wire.submitErrorRange), errno: -(packed % Wire.submitErrorRange) };
}

function countFor(nr: number | undefined, available: number, what: string): number {
  if (nr === undefined) return available;
  checkInteger(nr, 'nr', 0, kMaxCount);
  if (nr > available) throw rangeError(`${what} holds ${available} entries, fewer than nr (${nr})`);
  return nr;
}

/**
 * Submits ops in order and stops at the first bad entry. Never blocks. The entries are copied and may be reused after
 * the call. `acall_submit_error` returns the entry at which the submission stopped. docs/abi.md describes the structures.
 *
 * Errors of an entry: -EINVAL (unknown flag bits, misaligned sink, a ring or completion slot with cookie 0, a ring of nr 0
 * or another nr than before), -EPERM (policy: see docs/syscalls.md), -EFAULT (a sink or pointer argument is not whole inside
 * an arena of this environment), -EAGAIN (no memory, or no thread of acall lives and none can be started). A bad syscall number is
 * no error of an entry: the op completes with -ENOSYS.
 *
 * @param submissions structs, or contiguous entries of 88 bytes in any buffer
 * @param nr how many of them; all by default
 * @returns how many were accepted, or -errno when the first was refused; 0 for nr 0
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE for wrong JavaScript types and counts
 *
 * @example
 * const submission = new AcallSubmission(arena);
 * submission.nr = SYS.getppid;
 * submission.flags = ACALL_SUBMIT_THREAD_POOL;
 * submission.cookie = 1n;
 * submission.completion_ring_pointer = ring.address;
 * acall_submit([submission]); // 1
 */
export function acall_submit(submissions: readonly AcallSubmission[] | ArrayBufferView, nr?: number): number {
  if (ArrayBuffer.isView(submissions)) {
    const count = countFor(nr, Math.floor(submissions.byteLength / acallSubmissionLayout.size), 'submissions');
    if (count === 0) {
      lastError = null;
      return 0;
    }
    const accepted = native.submit(submissions, count);
    rememberError(0);
    return accepted;
  }
  if (!Array.isArray(submissions))
    throw invalidArgType('submissions', 'an Array of AcallSubmission or an ArrayBufferView', submissions);
  const count = countFor(nr, submissions.length, 'submissions');
  for (let i = 0; i < count; i++) {
    if (!(submissions[i] instanceof AcallSubmission)) {
      throw invalidArgType(`submissions[${i}]`, 'an instance of AcallSubmission', submissions[i]);
    }
  }
  lastError = null;
  const size = acallSubmissionLayout.size;
  gathered ??= new Uint8Array(kPieceEntries * size);
  let accepted = 0;
  while (accepted < count) {
    const piece = Math.min(kPieceEntries, count - accepted);
    for (let i = 0; i < piece; i++) gathered.set((submissions[accepted + i] as AcallSubmission).raw, i * size);
    const taken = native.submit(gathered, piece);
    rememberError(accepted);
    if (taken < 0) return accepted === 0 ? taken : accepted;
    accepted += taken;
    if (taken < piece) break;
  }
  return accepted;
}

/**
 * The index of the entry at which the last `acall_submit` of this environment stopped, and the entry's negative `errno`. Null when
 * that call accepted all entries.
 *
 * @example
 * if (acall_submit(entries) < entries.length) console.log(acall_submit_error()); // { index: 2, errno: -1 }
 */
export function acall_submit_error(): { index: number; errno: number } | null {
  return lastError === null ? null : { ...lastError };
}

/** @internal A Timespec as two numbers. Undefined for a bad time: the call then returns -EINVAL. */
export function spanOf(utime: Timespec | null | undefined): [seconds: number, nanoseconds: number] | undefined {
  if (utime === null || utime === undefined) return [Wire.waitForever, 0];
  if (typeof utime !== 'object') throw invalidArgType('utime', 'a Timespec or null', utime);
  const { sec, nsec } = utime;
  if (typeof sec !== 'number' && typeof sec !== 'bigint')
    throw invalidArgType('utime.sec', 'of type number or bigint', sec);
  if (typeof nsec !== 'number') throw invalidArgType('utime.nsec', 'of type number', nsec);
  const seconds = Number(sec);
  if (!Number.isInteger(seconds) || !Number.isInteger(nsec) || seconds < 0 || nsec < 0 || nsec > 999_999_999)
    return undefined;
  return [seconds, nsec];
}

/* The mask as 8 bytes, or null for none. Undefined for a bad size: the call then returns -EINVAL. */
function maskOf(sigmask: SigSet | null | undefined, sigsetsize: number): Uint8Array | null | undefined {
  if (sigmask === null || sigmask === undefined) return null;
  if (types.isUint8Array(sigmask)) {
    if (sigsetsize !== 8) return undefined;
    if (sigmask.byteLength !== 8) throw invalidArgValue('sigmask', 'must have 8 bytes', sigmask);
    return sigmask;
  }
  if (!Array.isArray(sigmask))
    throw invalidArgType('sigmask', 'an instance of Uint8Array, an Array of signal names, or null', sigmask);
  const bytes = new Uint8Array(8);
  for (const name of sigmask) {
    const signal = (require('node:os') as typeof os).constants.signals[name as NodeJS.Signals];
    if (signal === undefined) throw invalidArgValue('sigmask', 'must hold names of signals', name);
    bytes[(signal - 1) >> 3]! |= 1 << ((signal - 1) & 7);
  }
  return sigsetsize === 8 ? bytes : undefined;
}

/**
 * Blocks the calling thread until at least one of the named ops is complete.
 *
 * @param uids ids, or contiguous ids of 16 bytes in any buffer
 * @param nr how many of them
 * @param utime relative, on CLOCK_MONOTONIC; null waits for ever, `{ sec: 0, nsec: 0 }` polls
 * @param sigmask signals blocked during the wait, applied and restored atomically with it, as ppoll(2) does
 * @param sigsetsize 8; anything else with a mask is -EINVAL
 * @returns 1 when one is complete (an id that the engine has forgotten counts as complete); 0 on time-out or nr 0; -EINVAL for
 *   an id never issued, a bad time or a bad `sigsetsize`; -EINTR when a signal came first, or the environment is ending
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for wrong JavaScript types and counts
 *
 * @example
 * const id = new AcallId(arena);
 * submission.id_pointer = id.address;
 * acall_submit([submission]);
 * acall_comp_pwait([id], 1, { sec: 1, nsec: 0 }); // 1 when the op completes within a second, otherwise 0
 */
export function acall_comp_pwait(
  uids: readonly AcallId[] | ArrayBufferView,
  nr: number,
  utime: Timespec | null = null,
  sigmask: SigSet | null = null,
  sigsetsize = 8,
): number {
  let bytes: ArrayBufferView;
  checkInteger(nr, 'nr', 0, kMaxCount);
  if (ArrayBuffer.isView(uids)) {
    countFor(nr, Math.floor(uids.byteLength / acallIdLayout.size), 'uids');
    bytes = uids;
  } else {
    if (!Array.isArray(uids)) throw invalidArgType('uids', 'an Array of AcallId or an ArrayBufferView', uids);
    countFor(nr, uids.length, 'uids');
    const copy = new Uint8Array(nr * acallIdLayout.size);
    for (let i = 0; i < nr; i++) {
      const uid: unknown = uids[i];
      if (!(uid instanceof AcallId)) throw invalidArgType(`uids[${i}]`, 'an instance of AcallId', uid);
      copy.set(uid.bytes, i * acallIdLayout.size);
    }
    bytes = copy;
  }
  const span = spanOf(utime);
  const mask = maskOf(sigmask, sigsetsize);
  if (span === undefined || mask === undefined) return -Errno.EINVAL;
  if (nr === 0) return 0;
  return native.compPwait(bytes, nr, span[0], span[1], mask);
}

/**
 * Blocks the calling thread until at least `min` completions since index `tail` are stored in the ring.
 *
 * @param tail index modulo 2^32, `ring.head` at some time
 * @param min 0 never blocks
 * @param utime relative, on CLOCK_MONOTONIC; null waits for ever, `{ sec: 0, nsec: 0 }` polls
 * @param sigmask signals blocked during the wait, applied and restored atomically with it, as ppoll(2) does
 * @param sigsetsize 8; anything else with a mask is -EINVAL
 * @returns how many completions are stored since `tail`; fewer than `min` on time-out or when the ring is full; -EINTR when
 *   a signal came first and there are fewer, or the environment is ending; -EINVAL for a bad time or a bad `sigsetsize`
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for wrong JavaScript types and ranges
 *
 * @example
 * const tail = ring.head;
 * acall_submit([submission, submission]);
 * acall_ring_pwait(ring, tail, 2); // 2
 */
export function acall_ring_pwait(
  ring: AcallCompletionRing,
  tail: number,
  min: number,
  utime: Timespec | null = null,
  sigmask: SigSet | null = null,
  sigsetsize = 8,
): number {
  const handle = ringHandle(ring);
  checkInteger(tail, 'tail', 0, kMaxCount);
  checkInteger(min, 'min', 0, 0x7fffffff);
  const span = spanOf(utime);
  const mask = maskOf(sigmask, sigsetsize);
  if (span === undefined || mask === undefined) return -Errno.EINVAL;
  return native.ringPwait(handle, tail, min, span[0], span[1], mask, false);
}

/**
 * Cancels an op and does not wait for it. The op completes all the same, exactly once. docs/cancellation.md has the table of
 * cases.
 *
 * @param uid the id that the submission stored, or at least 16 bytes with it
 * @returns 0 when the op was queued (it completes with -ECANCELED), or when its thread is being signalled (it completes with
 *   -EINTR, a partial count or its natural result; with -ECANCELED if it had not entered the kernel); -114 (-EALREADY) when the
 *   op has returned from the kernel, or is a close, close_range, dup2 or dup3, which are never interrupted; -2 (-ENOENT) when the
 *   op is complete or unknown
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE for anything but an id
 *
 * @example
 * acall_cancel(id); // 0: a completion follows
 */
export function acall_cancel(uid: AcallId | ArrayBufferView): number {
  const bytes = uid instanceof AcallId ? uid.bytes : uid;
  if (!ArrayBuffer.isView(bytes)) throw invalidArgType('uid', 'an instance of AcallId or an ArrayBufferView', uid);
  if (bytes.byteLength < acallIdLayout.size) throw rangeError('An id has 16 bytes');
  return native.cancel(bytes);
}
