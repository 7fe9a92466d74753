/* The arguments of one call as the addon takes them: a header of words (CallRecord), and the bytes that the pointers point to. */
import { invalidArgType, invalidArgValue, outOfRange } from '../errors';
import { ArgFlag, ArgKind, type SyscallArg } from '../generated/syscalls';
import { ArgumentKind, CallArgument, CallRecord } from '../generated/wire';
import { type ArgSignature, returnsLength, type Signature } from './signature';

/** Bytes that the kernel writes, and the view that they are copied back to. */
interface OutCopy {
  readonly view: ArrayBufferView;
  /** In the op's memory. */
  readonly offset: number;
  readonly length: number;
  /** The result of the call is the number of bytes to copy. */
  readonly byResult: boolean;
  readonly alsoOnFailure: boolean;
}

/** The arguments of one call, laid out: where each lies in the record, and what is copied back. */
export interface Layout {
  /** The record's header. */
  readonly words: Uint32Array;
  /** Text and views that are copied in, each at its offset in the op's memory. */
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

/* Shared by all calls without data, so that such a call allocates no arrays. */
const kNoData: Layout['data'] = [];
const kNoOuts: OutCopy[] = [];

/** Rounds up to a multiple of 16. */
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

/*
 * Whether the kernel takes only 32 bits of the argument. A number that fits neither signed nor unsigned would reach the kernel as
 * another number: 2 ** 32 as 0.
 */
function takes32Bits(rule: ArgSignature | undefined): boolean {
  return rule !== undefined && rule.kind >= ArgKind.uint && rule.kind <= ArgKind.dirfd;
}

function check32Bits(value: number | bigint, name: string): void {
  const signed = typeof value === 'bigint' && value >= 2n ** 63n ? BigInt.asIntN(64, value) : value;
  if (signed < -(2 ** 31) || signed >= 2 ** 32) throw outOfRange(name, '>= -(2 ** 31) and < 2 ** 32', value);
}

/*
 * Whether memory is copied back also when the call fails: with ERANGE and EOVERFLOW the kernel stores the size it needs
 * there, with EINTR the time that is left. Plain buffers are not copied back then.
 */
function isWrittenOnFailure(rule: ArgSignature | undefined): boolean {
  return rule !== undefined && ((rule.flags & ArgFlag.in) !== 0 || rule.kind === ArgKind.fixed);
}

/**
 * Lays out the arguments, whose number has been checked.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for an argument that the call cannot take
 */
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
    // An argument of 64 bits in the table may be a pointer in calls that run only with `unsafe` (ioctl, fcntl).
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
        const alsoOnFailure = isUnknown || isWrittenOnFailure(rule);
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
