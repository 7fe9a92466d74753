/* acall sys NAME ARGS...: any system call, printed as strace prints it. */

import { type ArgSignature, returnsLength, type Signature, signatureOf, syscallName } from '../call/signature';
import { syscall, unsafe } from '../call/syscall';
import { AbortError, describeErrno, SyscallError } from '../errors';
import { constants } from '../generated/constants';
import { ArgFlag, ArgKind, SYS, type SyscallArg, type SyscallName } from '../generated/syscalls';
import { complain, Exit, line, messageOf } from './output';

/** Options of `acall sys` and `acall run`. */
export interface SysCommandOptions {
  json?: boolean;
  own?: boolean;
  unsafe?: boolean;
  signal?: AbortSignal | undefined;
}

interface Argument {
  readonly value: SyscallArg;
  /** The text that is printed for the argument; for an output buffer its content is printed instead, once the call succeeded. */
  readonly text: string;
  readonly buffer?: Buffer;
}

const kMaxBuffer = 1 << 30;
const kShown = 1024; // bytes of a buffer that are shown

/** Bytes as a string of C, in quotes. */
function quote(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes.subarray(0, kShown)) {
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte === 10) text += '\\n';
    else if (byte === 13) text += '\\r';
    else if (byte === 9) text += '\\t';
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `"${text}"${bytes.length > kShown ? '...' : ''}`;
}

/** A number: decimal, 0x, 0o, 0b, or octal with a leading 0 as in C. Undefined for anything else. */
function numberOf(text: string): number | bigint | undefined {
  const match = /^(-?)(0x[0-9a-f]+|0o[0-7]+|0b[01]+|0[0-7]+|[1-9][0-9]*|0)$/i.exec(text);
  if (!match) return undefined;
  const digits = /^0[0-7]+$/.test(match[2]!) ? `0o${match[2]!.slice(1)}` : match[2]!;
  const value = match[1] ? -BigInt(digits) : BigInt(digits);
  return value >= -0x80000000n && value <= 0xffffffffn ? Number(value) : value;
}

/** A value from numbers and constants joined by `|`. Undefined when one part is neither. */
function constantOf(text: string): number | bigint | undefined {
  const table = constants as Readonly<Record<string, number>>;
  let sum: number | bigint | undefined;
  for (const part of text.split('|')) {
    const one = numberOf(part) ?? (Object.hasOwn(table, part) ? table[part] : undefined);
    if (one === undefined) return undefined;
    if (sum === undefined) sum = one;
    else sum = BigInt.asIntN(64, BigInt(sum) | BigInt(one));
  }
  return typeof sum === 'bigint' && sum >= -0x80000000n && sum <= 0xffffffffn ? Number(sum) : sum;
}

function read(text: string, rule: ArgSignature | undefined, name: string): Argument {
  if (text === 'NULL') return { value: null, text };
  const isPointer = rule === undefined || rule.kind >= ArgKind.path;
  if (isPointer && text.startsWith('@')) {
    const size = constantOf(text.slice(1));
    if (typeof size !== 'number' || size < 0 || size > kMaxBuffer)
      throw new Exit(2, `'${text}' is no buffer: write @ and its size in bytes`);
    const buffer = Buffer.alloc(size);
    return { value: buffer, text, buffer };
  }
  if (isPointer && text.startsWith('=')) return { value: text.slice(1), text: quote(Buffer.from(text.slice(1))) };
  const isText = rule !== undefined && (rule.kind === ArgKind.path || rule.kind === ArgKind.string);
  if (isText) return { value: text, text: quote(Buffer.from(text)) };
  const value = constantOf(text);
  if (value !== undefined) return { value, text };
  if (rule !== undefined && !isPointer)
    throw new Exit(2, `'${text}' is neither a number nor a constant of the kernel headers (${name})`);
  if (rule !== undefined && (rule.flags & ArgFlag.out) !== 0)
    throw new Exit(2, `'${name}' is written by the call: give it a buffer, as @64`);
  return { value: Buffer.from(text), text: quote(Buffer.from(text)) };
}

function describe(errno: number): string {
  const [code, text] = describeErrno(errno);
  return `-1 ${code} (${text})`;
}

/**
 * The part of a buffer to print: as many bytes as the result says, where it is a length; otherwise all but the zeros at the
 * end.
 */
function filled(signature: Signature | undefined, buffer: Buffer, result: bigint): Buffer {
  if (returnsLength(signature)) return buffer.subarray(0, Number(result));
  let end = buffer.length;
  while (end > 0 && buffer[end - 1] === 0) end--;
  return buffer.subarray(0, end);
}

/** Makes the call and prints one line; exits 1 when it failed, 2 when it was not understood. */
export async function sysCommand(asked: string, texts: readonly string[], options: SysCommandOptions): Promise<void> {
  const number = numberOf(asked);
  const name = (typeof number === 'number' ? syscallName(number) : undefined) ?? asked;
  const target = typeof number === 'number' && name === asked ? number : name;
  if (typeof target === 'string' && !Object.hasOwn(SYS, target)) throw new Exit(2, `unknown system call '${name}'`);
  const plain = texts.map((text) => (constantOf(text) ?? text) as SyscallArg);
  const signature = typeof target === 'string' ? signatureOf(target, plain) : undefined;
  const most = signature?.args.length ?? 6;
  if (texts.length > most) throw new Exit(2, `${name} takes at most ${most} arguments, not ${texts.length}`);
  const args = texts.map((text, i) => read(text, signature?.args[i], signature?.args[i]?.name ?? `argument ${i + 1}`));
  const call = options.unsafe ? unsafe.syscall : syscall;
  let result: bigint;
  let failure: SyscallError | undefined;
  try {
    result = await call(target as SyscallName, args.map(({ value }) => value) as never, {
      bigint: true,
      thread: options.own ? 'own' : 'pool',
      signal: options.signal,
    });
  } catch (error) {
    if (error instanceof AbortError) {
      const shown = args.map(({ text }) => text).join(', ');
      await line(
        options.json
          ? JSON.stringify({ syscall: name, args: texts, cancelled: true })
          : `${name}(${shown}) = ? (cancelled)`,
      );
      throw error;
    }
    if (!(error instanceof SyscallError)) throw new Exit(2, messageOf(error));
    failure = error;
    result = BigInt(error.errno);
  }
  const shown = args.map(({ text, buffer }) => (buffer && !failure ? quote(filled(signature, buffer, result)) : text));
  if (options.json) {
    const value = Number.isSafeInteger(Number(result)) ? Number(result) : String(result);
    const buffers = args
      .filter(({ buffer }) => buffer)
      .map(({ buffer }) => filled(signature, buffer!, result).toString('latin1'));
    await line(
      JSON.stringify({
        syscall: name,
        args: texts,
        result: value,
        ...(failure ? { code: failure.code, errno: failure.errno, refused: failure.refused } : { buffers }),
      }),
    );
  } else {
    const refused = failure?.refused ? ', refused by acall' : '';
    await line(`${name}(${shown.join(', ')}) = ${failure ? describe(failure.errno) + refused : result}`);
  }
  if (failure) {
    complain(messageOf(failure));
    throw new Exit(1);
  }
}
