/* syscall(), unsafe.syscall() and restrict(): any system call as a promise. */
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
 * Makes a system call: inline where it cannot block (docs/inline.md), otherwise on a thread of the engine.
 *
 * A string is passed as NUL-terminated UTF-8. A view is copied in at the call (later only while more than 65,536 ops are in
 * flight) and, where the kernel writes to it, copied back before the promise resolves. A number or bigint in the place of a
 * pointer is a native address inside an arena (`addressOf`). `null` is a null pointer. Trailing arguments that the man page calls
 * optional may be left out. `undefined` is refused anywhere, and null where the call takes no pointer.
 *
 * Rejects with a {@link SyscallError} in Node's shape. Its `refused` is true when acall's policy refused the call and not the
 * kernel: EPERM for a call that may not run (docs/syscalls.md), EFAULT for a buffer that is shorter than the call may use. Rejects
 * with an AbortError or ETIMEDOUT for `signal` and `timeout`, and with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or
 * ERR_OUT_OF_RANGE for wrong arguments and for a result above 2^53 - 1 without `bigint: true`.
 *
 * @param name the name of the call, or its number on the running architecture
 * @param args the arguments in the order of the man page; see syscalls(2) for the calls
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

/** {@link syscall} with arguments of any kind: the table of calls does not always know which of them are pointers. */
interface UnsafeSyscall {
  (
    name: SyscallName | number,
    args: readonly SyscallArg[],
    options: SyscallOptions & { bigint: true },
  ): Promise<bigint>;
  (name: SyscallName | number, args?: readonly SyscallArg[], options?: SyscallOptions): Promise<number>;
}

/** Calls whose pointers acall cannot check. The kernel gets what you pass, and a wrong address corrupts the process. */
export const unsafe = {
  /**
   * {@link syscall} without the refusals that docs/syscalls.md lists under "Only with unsafe". Calls that never run stay refused.
   *
   * A view or a string may be given wherever the call takes 64 bits (the argument of `ioctl` and `fcntl`). It is copied in whole,
   * and a view is copied back whole, also when the call fails. An address inside an arena keeps the arena until the call has
   * ended; you must keep memory that only other memory points to. Memory that the kernel uses after the call has returned
   * (docs/syscalls.md) must lie in an arena.
   *
   * @example
   * const size = new Uint16Array(4);
   * await unsafe.syscall('ioctl', [1, 0x5413, size]); // TIOCGWINSZ: rows, columns
   */
  syscall: ((name: SyscallName | number, args: readonly SyscallArg[] = [], options?: SyscallOptions) =>
    request(name, args, options, ACALL_SUBMIT_UNSAFE)) as UnsafeSyscall,
};

/**
 * Leaves only these calls runnable through this copy of acall, in every environment of the process, for ever. A queued op is
 * checked again when it starts. Other copies of acall, other addons and Node itself are not covered. A second call can only take
 * more calls away. The names of calls that never run are accepted and have no effect. docs/guide.md lists the calls that each
 * helper needs.
 *
 * @throws ERR_INVALID_ARG_VALUE for a name that no system call has, ERR_INVALID_ARG_TYPE
 *
 * @example
 * restrict(['openat', 'read', 'close', 'statx']);
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
