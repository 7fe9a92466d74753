/* The arguments of a program's calls: each becomes a word that an atom points to. */

import { type ArgSignature, checkArgumentCount, signatureOf } from '../../call/signature';
import { invalidArgType, invalidArgValue, isA, isArray, SyscallError } from '../../errors';
import { ArgFlag, ArgKind, CallFlag, Place, SYS, type SyscallArg, type SyscallName } from '../../generated/syscalls';
import { Errno } from '../../generated/wire';
import type { Assembler, Word } from './assembler';
import { checkValue, ProgramBytes, ProgramData, ProgramText, ProgramValue } from './values';

/** The facts about a call with its arguments. */
interface CallFacts {
  readonly name: string;
  readonly nr: number;
  readonly flags: number;
  readonly args: readonly ArgSignature[];
  /** The call's first path: a constant, or the word of an input. */
  pathOf(args: readonly unknown[]): string | Word | undefined;
}

/**
 * Checks that the call may be part of a program, and the number of its arguments. `takesPair`: the caller takes care of
 * descriptors that the call stores in memory.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; SyscallError ENOSYS, or EPERM for a call that may not run in the pool
 */
export function callSignature(name: SyscallName, args: readonly unknown[], takesPair = false): CallFacts {
  if (typeof name !== 'string') throw invalidArgType('name', 'of type string', name);
  if (!Object.hasOwn(SYS, name)) throw invalidArgValue('name', 'must be the name of a system call', name);
  if (!isArray(args)) throw invalidArgType('args', 'an instance of Array', args);
  const constants = args.map((arg) => (typeof arg === 'number' || typeof arg === 'bigint' ? arg : null));
  const signature = signatureOf(name, constants as readonly SyscallArg[]);
  const nr = SYS[name];
  if (signature === undefined || nr === undefined) throw new SyscallError(-Errno.ENOSYS, name);
  if (signature.place !== Place.anywhere) throw new SyscallError(-Errno.EPERM, name, { refused: true });
  checkArgumentCount(name, signature, args);
  if (!takesPair && signature.args.some(({ flags }) => (flags & ArgFlag.holdsFds) !== 0)) {
    // At the end of a run the program could not know which of these descriptors are open.
    throw invalidArgValue('name', 'must not be a call that leaves descriptors in memory (see pair())', name);
  }
  return {
    name,
    nr,
    flags: signature.flags,
    args: signature.args,
    pathOf: (given) => {
      const index = signature.args.findIndex(({ kind }) => kind === ArgKind.path);
      const path = given[index];
      if (isA(path, ProgramText)) return path.word;
      return typeof path === 'string' ? path : undefined;
    },
  };
}

/** The word that holds an argument, or the argument's address. */
export function argumentWord(assembler: Assembler, { args }: CallFacts, index: number, arg: unknown): Word {
  const label = `args[${index}]`;
  const { kind, flags } = args[index]!;
  const isPointer = kind >= ArgKind.path;
  if (arg === null && isPointer) return assembler.constant(0n);
  if (isA(arg, ProgramBytes) || isA(arg, ProgramData) || isA(arg, ProgramText)) {
    if (arg.assembler !== assembler) throw invalidArgType(label, 'of this program', arg);
    if (!isPointer) throw invalidArgType(label, 'of type number or bigint, or a value of the program', arg);
    return isA(arg, ProgramBytes) ? arg.pointer : arg.word;
  }
  if (isA(arg, ProgramValue)) {
    if (arg.assembler !== assembler) throw invalidArgType(label, 'a value of this program', arg);
    return arg.word;
  }
  if (typeof arg === 'string') {
    if (!isPointer) throw invalidArgType(label, 'of type number or bigint, or a value of the program', arg);
    if (arg.includes('\0')) throw invalidArgValue(label, 'must be a string without null bytes', arg);
    if ((flags & ArgFlag.out) !== 0) throw invalidArgType(label, 'memory of the program: bytes()', arg);
    return assembler.pointer(assembler.text(arg));
  }
  if (ArrayBuffer.isView(arg)) {
    if (!isPointer) throw invalidArgType(label, 'of type number or bigint, or a value of the program', arg);
    if ((flags & ArgFlag.out) !== 0) throw invalidArgType(label, 'memory of the program: bytes()', arg);
    const content = new Uint8Array(arg.buffer, arg.byteOffset, arg.byteLength).slice();
    return assembler.pointer(assembler.region(content.length, content));
  }
  return assembler.constant(checkValue(arg, label));
}

/** @internal Whether the result of the call is a descriptor. */
export function returnsDescriptor({ flags }: CallFacts): boolean {
  return (flags & CallFlag.returnsFd) !== 0;
}
