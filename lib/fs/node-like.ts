/* What node:fs takes beside paths, and acall therefore too: options as text, FileHandles of Node's own. */
import { types } from 'node:util';
import { invalidArgType, invalidArgValue, type OptionNames, SyscallError } from '../errors';
import { Errno } from '../generated/wire';
import { type CommonOptions, checkCommonOptions } from '../promise/options';
import { nodeVersion } from '../timers';

/** The major version of the Node whose node:fs acall is like; Deno and Bun tell one too. */
export const kNodeMajor = Number.parseInt(nodeVersion, 10);

/**
 * Options that may be just an encoding; null and a function, where a callback would stand, are none at all. Throws for an
 * encoding that is none and for an option that is not among `known`.
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

/** Whether an encoding is that of names and texts in the kernel. */
export function isUtf8(encoding: string): boolean {
  return /^utf-?8$/i.test(encoding);
}

/** A FileHandle of node:fs, open as long as somebody counts himself in. */
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

/** Whether something is a FileHandle as fs.promises.open gives it. */
export function isNodeHandle(value: unknown): value is object {
  return nodeHandle(value) !== undefined;
}

/** The descriptor, which is -1 where Node's FileHandle is closed: EBADF then. */
export function descriptor(fd: number, syscall: string): number {
  if (fd < 0) throw new SyscallError(-Errno.EBADF, syscall);
  return fd;
}

/** Runs `work` on the descriptor of Node's FileHandle, whose close() waits for it as for a call of its own; -1: closed. */
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
