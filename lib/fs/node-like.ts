/* What functions of node:fs take beside paths, and those of acall too: options given as an encoding, FileHandles of node:fs. */
import { types } from 'node:util';
import { invalidArgType, invalidArgValue, type OptionNames, SyscallError } from '../errors';
import { Errno } from '../generated/wire';
import { type CommonOptions, checkCommonOptions } from '../promise/options';
import { nodeVersion } from '../timers';

/** The major version of Node, whose node:fs acall follows. Deno and Bun have such a version too. */
export const kNodeMajor = Number.parseInt(nodeVersion, 10);

/**
 * Checks options that may be just an encoding. As in node:fs, null and a function (in the place of a callback) count as no
 * options.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for an unknown encoding or option, ERR_OUT_OF_RANGE
 */
export function textOptions<Options extends CommonOptions & { encoding?: unknown }>(
  options: unknown,
  known: OptionNames,
): Options {
  if (options === undefined || options === null || typeof options === 'function') return {} as Options;
  if (typeof options !== 'object' && typeof options !== 'string') {
    throw invalidArgType('options', 'one of type string or object', options);
  }
  const given = (typeof options === 'string' ? { encoding: options } : options) as Options;
  const { encoding } = given;
  if (encoding && encoding !== 'buffer' && !Buffer.isEncoding(encoding as string)) {
    throw invalidArgValue('encoding', 'is invalid encoding', encoding);
  }
  checkCommonOptions(given, known);
  return given;
}

/** Whether an encoding is UTF-8, in any of the spellings that Buffer takes. */
export function isUtf8(encoding: string): boolean {
  return /^utf-?8$/i.test(encoding);
}

/** A FileHandle of node:fs: its close() waits as long as more calls have called `enter` than `leave`. */
interface NodeFileHandle {
  readonly fd: number;
  readonly enter: (() => void) | undefined;
  readonly leave: (() => void) | undefined;
}

function methodNamed(object: object, description: string): (() => void) | undefined {
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const symbol = Object.getOwnPropertySymbols(at).find((one) => one.description === description);
    if (symbol !== undefined) return (object as Record<symbol, () => void>)[symbol];
  }
  return undefined;
}

function nodeHandle(value: unknown): NodeFileHandle | undefined {
  if (typeof value !== 'object' || value === null || types.isProxy(value) || ArrayBuffer.isView(value))
    return undefined;
  const { fd, constructor: made } = value as { fd?: unknown; constructor?: { name?: unknown } };
  if (typeof fd !== 'number' || made?.name !== 'FileHandle') return undefined;
  return { fd, enter: methodNamed(value, 'kRef'), leave: methodNamed(value, 'kUnref') };
}

/** Whether a value is a FileHandle of fs.promises.open. */
export function isNodeHandle(value: unknown): value is object {
  return nodeHandle(value) !== undefined;
}

/** Checks the descriptor of a FileHandle of node:fs. @throws SyscallError EBADF for -1: the handle is closed */
export function descriptor(fd: number, syscall: string): number {
  if (fd < 0) throw new SyscallError(-Errno.EBADF, syscall);
  return fd;
}

/** Runs `work` on the descriptor of a FileHandle of node:fs, -1 when it is closed. Its close() waits for `work`. */
export async function useNodeHandle<T>(handle: object, work: (fd: number) => Promise<T>): Promise<T> {
  const { fd, enter, leave } = nodeHandle(handle)!;
  if (fd < 0) return work(fd);
  enter?.call(handle);
  try {
    return await work(fd);
  } finally {
    if (enter !== undefined) leave?.call(handle);
  }
}
