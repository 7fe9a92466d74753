/*
 * Signatures: what the table of calls (lib/generated/syscalls.ts) knows about the arguments of one call, for the code that
 * lays them out. The core checks how far pointers reach.
 */
import { invalidArgValue } from '../errors';
import {
  type ArgData,
  ArgFlag,
  CallFlag,
  type RuleData,
  SYS,
  type SyscallArg,
  type SyscallName,
  signatureData,
} from '../generated/syscalls';

/** One argument: the fields of ArgRule in native/core/syscalls/policy_table.h, where comments explain them. */
export interface ArgSignature {
  readonly name: string;
  /** One of {@link ArgKind}; a pointer from `ArgKind.path` on. */
  readonly kind: number;
  /** {@link ArgFlag} bits. */
  readonly flags: number;
  /** Index of the argument that holds the count; for `sized` the least number of bytes. */
  readonly length: number;
  /** Bytes in addition to the count; for `lenBytes` 1 when the word is unsigned. */
  readonly extra: number;
  /** Bytes of the whole, of one element, or at most: the kind decides. */
  readonly size: number;
}

/** One call, or one variant of it (`fcntl` with F_SETLK). */
export interface Signature {
  readonly name: string;
  readonly nr: number;
  /** One of {@link Place}. */
  readonly place: number;
  /** {@link CallFlag} bits. */
  readonly flags: number;
  readonly args: readonly ArgSignature[];
}

interface Node extends Signature {
  readonly selector: number;
}

const calls = new Map<string, Node>();
const variants = new Map<string, Node>();

function argSignature([name, kind = 0, flags = 0, length = 0, extra = 0, size = 0]: ArgData): ArgSignature {
  return { name, kind, flags, length, extra, size };
}

function node(name: string, [place, flags, args, selector = 0]: RuleData): Node {
  return { name, nr: SYS[name as SyscallName]!, place, flags, args: args.map(argSignature), selector };
}

function select(current: Node, args: readonly SyscallArg[]): Node {
  const data = signatureData();
  const [index, mask, cases] = data.selectors[current.selector]!;
  const given = args[index] ?? 0;
  const value =
    typeof given === 'bigint' ? Number(BigInt.asUintN(32, given)) : typeof given === 'number' ? given >>> 0 : 0;
  const masked = (value & mask) >>> 0;
  const found = cases.find(([low, high]) => low <= masked && masked <= high);
  if (!found) return current;
  const key = `${current.name} ${found[2]}`;
  let variant = variants.get(key);
  if (!variant) variants.set(key, (variant = node(current.name, data.variants[found[2]]!)));
  return variant.selector === 0 ? variant : select(variant, args);
}

/**
 * The signature of a call with these arguments. Where one argument decides what the others are (the command of fcntl), it is the
 * signature of that variant. Undefined for a name that the running architecture does not have.
 */
export function signatureOf(name: string, args: readonly SyscallArg[]): Signature | undefined {
  let call = calls.get(name);
  if (!call) {
    if (!Object.hasOwn(SYS, name)) return undefined;
    calls.set(name, (call = node(name, signatureData().calls[name]!)));
  }
  return call.selector === 0 ? call : select(call, args);
}

/** Whether the result of the call is the number of bytes that the kernel has stored in its buffer. */
export function returnsLength(signature: Signature | undefined): boolean {
  return signature !== undefined && (signature.flags & CallFlag.returnsLength) !== 0;
}

/**
 * Checks the number of arguments. A call without a signature takes up to six.
 *
 * @throws ERR_INVALID_ARG_VALUE for more arguments than the call has, or fewer than it needs
 */
export function checkArgumentCount(name: string, signature: Signature | undefined, args: readonly unknown[]): void {
  const rules = signature?.args;
  const most = rules?.length ?? 6;
  if (args.length > most) throw invalidArgValue('args', `must have at most ${most} entries for ${name}`, args);
  const least = rules === undefined ? 0 : rules.findLastIndex(({ flags }) => (flags & ArgFlag.optional) === 0) + 1;
  if (args.length < least) throw invalidArgValue('args', `must have at least ${least} entries for ${name}`, args);
}

let names: Map<number, string> | undefined;

/** The name of a syscall number of the running architecture, or undefined. */
export function syscallName(nr: number): string | undefined {
  names ??= new Map(Object.entries(SYS).map(([name, number]) => [number as number, name]));
  return names.get(nr);
}
