/* async_exec() and async_wait() of 2007: run a program whose atoms lie in an arena, and wait for programs. */
import { checkInteger, invalidArgType } from '../../errors';
import { Errno } from '../../generated/wire';
import { type AcallCompletionRing, ringHandle } from '../../memory/ring';
import { AcallId } from '../../memory/structs';
import { native } from '../../native';
import { spanOf, type Timespec } from '../../raw';
import { SysletAtom } from './atom';

/**
 * Runs a program: its atoms one after the other, on this thread as long as nothing can block, then on one pool thread. Every
 * check of `acall_submit` applies to each atom when it runs; the result of an atom that may not run is -EPERM, -EFAULT or
 * -ENOSYS. The program may use the arenas that exist now.
 *
 * A program that cannot go on leaves a ring entry even when its last atom has `SYSLET_NO_COMPLETE`: -EFAULT or -EINVAL with the
 * address of the atom that cannot be read or has unknown flags, -ELOOP after 1,048,576 atoms, -ECANCELED with the address of the
 * atom before which it was cancelled.
 *
 * @param atom the first atom, or its address
 * @param ring gets an entry when the program does not end on this thread. The cookie is the address of the atom executed last, the
 *   return code is the result of that atom.
 * @param id receives an id for `acall_cancel` and `acall_comp_pwait`
 * @returns the address of the atom executed last when all ran without blocking (then there is no ring entry); null when the
 *   program goes on in the pool; or a negative number, and nothing has run: -EFAULT (-14n) for an atom, ring or id that is
 *   not whole inside an arena, -EINVAL (-22n) for a misaligned one, unknown flags of the first atom or a ring of another
 *   nr, -EAGAIN (-11n) without memory
 * @throws ERR_INVALID_ARG_TYPE
 *
 * @example
 * const last = async_exec(open, ring);
 * if (last === null) async_wait(ring, tail, 1);
 */
export function async_exec(atom: SysletAtom | bigint, ring: AcallCompletionRing, id?: AcallId | null): bigint | null {
  if (typeof atom !== 'bigint' && !(atom instanceof SysletAtom)) {
    throw invalidArgType('atom', 'an instance of SysletAtom or of type bigint', atom);
  }
  ringHandle(ring);
  if (id !== undefined && id !== null && !(id instanceof AcallId))
    throw invalidArgType('id', 'an instance of AcallId', id);
  const last = native.execProgram(typeof atom === 'bigint' ? atom : atom.address, ring.address, id?.address ?? 0n);
  return typeof last === 'number' ? BigInt(last) : last;
}

/**
 * `acall_ring_pwait` that also returns when no program for this ring is pending: blocks the calling thread until at least
 * `min` completions since index `tail` are stored, or none can come any more.
 *
 * @param tail index modulo 2^32, `ring.head` at some time
 * @param min 0 never blocks
 * @param utime relative; null waits for ever, `{ sec: 0, nsec: 0 }` polls
 * @returns how many completions are stored since `tail`; -EINTR (-4) when a signal came first or the environment is ending;
 *   -EINVAL (-22) for a bad time
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 *
 * @example
 * async_wait(ring, 0, 1, { sec: 1, nsec: 0 }); // the number of completions after at most a second
 */
export function async_wait(
  ring: AcallCompletionRing,
  tail: number,
  min: number,
  utime: Timespec | null = null,
): number {
  const handle = ringHandle(ring);
  checkInteger(tail, 'tail', 0, 0xffffffff);
  checkInteger(min, 'min', 0, 0x7fffffff);
  const span = spanOf(utime);
  if (span === undefined) return -Errno.EINVAL;
  return native.ringPwait(handle, tail, min, span[0], span[1], null, true);
}
