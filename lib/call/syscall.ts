/* Any system call as a promise. */
import { invalidArgType, invalidArgValue, isArray } from '../errors';
import { ACALL_SUBMIT_UNSAFE } from '../generated/layout';
import { Place, SYS, type SyscallArg, type SyscallArgs, type SyscallName } from '../generated/syscalls';
import { native } from '../native';
import { request, type SyscallOptions } from './request';
import { signatureOf } from './signature';

export type { SyscallOptions } from './request';

/** The arguments of a call, by its name; any for a number. */
type ArgsOf<Name> = Name extends keyof SyscallArgs ? SyscallArgs[Name] : readonly SyscallArg[];

/**
 * Makes a system call on a thread of the engine. Text is passed NUL-terminated; views are copied in at the call and, where
 * the kernel writes to them, copied back before the promise resolves; a number or bigint where a pointer belongs is a native
 * address inside an arena (`addressOf`). Trailing arguments that the man page calls optional may be left out; `undefined` is
 * refused anywhere, and null where the call takes no pointer.
 *
 * Rejects with a {@link SyscallError} in Node's shape; its `refused` is true when acall's policy refused the call and not the
 * kernel: EPERM for a call that may not run (see docs/syscalls.md), EFAULT for a buffer shorter than the call may use.
 *
 * @param name the call, or its number on the running architecture
 * @example
 * const fd = await syscall('openat', [constants.AT_FDCWD, '/etc/hostname', constants.O_RDONLY]);
 * const buffer = Buffer.alloc(64);
 * const length = await syscall('read', [fd, buffer, buffer.length]);
 * await syscall('close', [fd]);
 */
export function syscall<Name extends SyscallName>(
  name: Name,
  args: ArgsOf<Name>,
  options: SyscallOptions & { bigint: true },
): Promise<bigint>;
export function syscall<Name extends SyscallName>(
  name: Name,
  args?: ArgsOf<Name>,
  options?: SyscallOptions,
): Promise<number>;
export function syscall(
  name: SyscallName | number,
  args: readonly SyscallArg[],
  options: SyscallOptions & { bigint: true },
): Promise<bigint>;
export function syscall(
  name: SyscallName | number,
  args?: readonly SyscallArg[],
  options?: SyscallOptions,
): Promise<number>;
export function syscall(
  name: SyscallName | number,
  args: readonly SyscallArg[] = [],
  options?: SyscallOptions,
): Promise<number | bigint> {
  return request(name, args, options, 0);
}

/** {@link syscall} with arguments of any kind, because the table does not always know which of them are pointers. */
interface UnsafeSyscall {
  (
    name: SyscallName | number,
    args: readonly SyscallArg[],
    options: SyscallOptions & { bigint: true },
  ): Promise<bigint>;
  (name: SyscallName | number, args?: readonly SyscallArg[], options?: SyscallOptions): Promise<number>;
}

/** Calls whose pointers cannot be checked. The kernel gets what you pass: a wrong address corrupts the process. */
export const unsafe = {
  /**
   * {@link syscall} without the refusals that the table marks `unsafe`; the calls that are never run stay refused.
   *
   * Views and text may stand wherever 64 bits may (the argument of `ioctl` and `fcntl`): they are copied in whole, and views
   * are copied out whole, also when the call fails. An address that lies in an arena keeps the arena until the call has ended;
   * you must keep memory that only other memory points to. What the kernel uses after the call has returned (docs/syscalls.md)
   * must lie in an arena.
   *
   * @example
   * const size = new Uint16Array(4);
   * await unsafe.syscall('ioctl', [1, 0x5413, size]); // TIOCGWINSZ: rows, columns
   */
  syscall: ((name: SyscallName | number, args: readonly SyscallArg[] = [], options?: SyscallOptions) =>
    request(name, args, options, ACALL_SUBMIT_UNSAFE)) as UnsafeSyscall,
};

/**
 * Leaves only these calls runnable through this copy of acall, in every environment of the process, for ever. Queued ops are
 * checked again when they start. Other copies, other addons and Node itself are not covered. A second call can only leave fewer
 * calls. Names of calls that never run are accepted and have no effect.
 *
 * @throws ERR_INVALID_ARG_VALUE for a name that no system call has
 */
export function restrict(names: readonly SyscallName[]): void {
  if (!isArray(names)) throw invalidArgType('names', 'an instance of Array', names);
  const numbers: number[] = [];
  for (const name of names) {
    if (typeof name !== 'string' || !Object.hasOwn(SYS, name))
      throw invalidArgValue('names', 'must hold names of system calls', name);
    const nr = SYS[name as SyscallName];
    if (nr !== undefined && signatureOf(name, [])?.place !== Place.never) numbers.push(nr);
  }
  native.restrict(Uint32Array.from(numbers));
}
