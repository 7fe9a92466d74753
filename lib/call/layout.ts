/* The arguments of one call as the addon takes them: a header of words, and the bytes that they point to. */
import { invalidArgType, invalidArgValue, outOfRange } from '../errors';
import { ArgFlag, ArgKind, type SyscallArg } from '../generated/syscalls';
import { ArgumentKind, CallArgument, CallRecord } from '../generated/wire';
import { type ArgSignature, returnsLength, type Signature } from './signature';

/** What the kernel writes, and where it is wanted. */
interface OutCopy {
  readonly view: ArrayBufferView;
  readonly offset: number; // in the op's memory
  readonly length: number;
  readonly byResult: boolean;
  readonly alsoOnFailure: boolean;
}

/** Where the arguments of one call lie in its record. */
export interface Layout {
  readonly words: Uint32Array; // the record's header
  readonly data: {
    readonly offset: number;
    readonly length: number;
    readonly text?: string;
    readonly view?: ArrayBufferView;
  }[];
  readonly dataBytes: number;
  readonly outs: OutCopy[];
  readonly path?: string | undefined;
  readonly dest?: string | undefined;
}

/* Most calls have none: not an array for each. */
const kNoData: Layout['data'] = [];
const kNoOuts: OutCopy[] = [];

export function align16(bytes: number): number {
  return (bytes + 15) & ~15;
}

function valueWords(value: number | bigint, name: string): [low: number, high: number] {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw outOfRange(name, 'a safe integer', value);
    return [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
  }
  if (value < -(2n ** 63n) || value >= 2n ** 64n) throw outOfRange(name, '>= -(2n ** 63n) and < 2n ** 64n', value);
  const bits = BigInt.asUintN(64, value);
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
}

/* The kernel takes 32 bits of it: what does not fit, signed or unsigned, would be another number to it, 2 ** 32 the 0. */
function takes32Bits(rule: ArgSignature | undefined): boolean {
  return rule !== undefined && rule.kind >= ArgKind.uint && rule.kind <= ArgKind.dirfd;
}

function check32Bits(value: number | bigint, name: string): void {
  const signed = typeof value === 'bigint' && value >= 2n ** 63n ? BigInt.asIntN(64, value) : value;
  if (signed < -(2 ** 31) || signed >= 2 ** 32) throw outOfRange(name, '>= -(2 ** 31) and < 2 ** 32', value);
}

/*
 * What the kernel has left in memory is told also when it refuses: the size it wants with ERANGE and EOVERFLOW, what is left
 * of a time-out with EINTR. Large buffers say nothing then.
 */
function saysSomethingOnFailure(rule: ArgSignature | undefined): boolean {
  return rule !== undefined && ((rule.flags & ArgFlag.in) !== 0 || rule.kind === ArgKind.fixed);
}

/** Lays out the arguments, which have been counted. Throws in Node's manner for what the call cannot take. */
export function lay(signature: Signature | undefined, args: readonly SyscallArg[], isUnsafe: boolean): Layout {
  const words = new Uint32Array(CallRecord.sizeInWords);
  let data = kNoData;
  let outs = kNoOuts;
  let path: string | undefined;
  let dest: string | undefined;
  let offset = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const rule = signature?.args[i];
    const label = `args[${i}]`;
    const at = CallRecord.args + i * CallArgument.sizeInWords;
    if (typeof arg === 'number' || typeof arg === 'bigint') {
      [words[at + CallArgument.low], words[at + CallArgument.high]] = valueWords(arg, label);
      if (takes32Bits(rule)) check32Bits(arg, label);
      continue;
    }
    // What the table takes for 64 bits may be a pointer to a call that only `unsafe` lets through (ioctl, fcntl).
    const mayPoint = rule === undefined || rule.kind >= ArgKind.path || (isUnsafe && rule.kind === ArgKind.long);
    if (!mayPoint) throw invalidArgType(label, 'of type number or bigint', arg);
    if (arg === null) continue;
    let length: number;
    if (typeof arg === 'string') {
      if (arg.includes('\0')) throw invalidArgValue(label, 'must be a string without null bytes', arg);
      if (rule !== undefined && (rule.flags & ArgFlag.out) !== 0)
        throw invalidArgType(label, 'an ArrayBufferView', arg);
      length = Buffer.byteLength(arg) + 1;
      if (data === kNoData) data = [];
      data.push({ offset, length, text: arg });
      if (rule?.kind === ArgKind.path) {
        if (path === undefined) path = arg;
        else dest ??= arg;
      }
    } else if (ArrayBuffer.isView(arg)) {
      length = arg.byteLength;
      if (data === kNoData) data = [];
      data.push({ offset, length, view: arg });
      const isUnknown = rule === undefined || rule.kind < ArgKind.path || rule.kind === ArgKind.unchecked;
      if (isUnknown || (rule.flags & ArgFlag.out) !== 0) {
        const byResult = rule?.kind === ArgKind.bytes && returnsLength(signature);
        const alsoOnFailure = isUnknown || saysSomethingOnFailure(rule);
        if (outs === kNoOuts) outs = [];
        outs.push({ view: arg, offset, length, byResult, alsoOnFailure });
      }
    } else throw invalidArgType(label, 'of type number, bigint or string, an ArrayBufferView, or null', arg);
    words[at + CallArgument.kind] = ArgumentKind.pointer;
    words[at + CallArgument.length] = length;
    words[at + CallArgument.low] = offset;
    offset += align16(Math.max(1, length));
  }
  return { words, data, dataBytes: offset, outs, path, dest };
}
