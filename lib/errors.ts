/* Errors in Node's shapes: SyscallError like the errors of node:fs, ERR_* for misuse, AbortError for aborts. */
import { inspect } from 'node:util';
import { errnoName, errnoText } from './generated/errno';

/** What a SyscallError may carry besides code, errno and syscall. */
interface SyscallErrorDetails {
  path?: string | undefined;
  dest?: string | undefined;
  refused?: boolean | undefined;
}

let systemErrors: Map<number, [string, string]> | undefined;

/** Name and text of a negative error number: those of Node, or of the kernel headers for a number that Node does not know. */
export function describeErrno(errno: number): [name: string, text: string] {
  systemErrors ??= (require('node:util') as { getSystemErrorMap(): Map<number, [string, string]> }).getSystemErrorMap();
  const known = systemErrors.get(errno);
  if (known) return known;
  const name = errnoName(-errno) ?? `ERRNO_${-errno}`;
  return [name, (errnoText(-errno) ?? `unknown error ${-errno}`).toLowerCase()];
}

/* The text that the kernel was given: a lone surrogate is encoded as U+FFFD. */
function wellFormed(text: string): string {
  return (text as string & { toWellFormed(): string }).toWellFormed();
}

/**
 * A system call that failed, in the shape and with the message of Node's own errors:
 * `ENOENT: no such file or directory, open '/nope'`.
 *
 * @example
 * try {
 *   await syscall('mkdir', ['/proc/x', 0o777]);
 * } catch (error) {
 *   console.log(error.code, error.errno, error.syscall); // ENOENT -2 mkdir
 * }
 */
export class SyscallError extends Error {
  /** The name of the error: `ENOENT`. */
  declare code: string;
  /** The negative error number: -2. */
  declare errno: number;
  /** The name of the call: `open`. */
  declare syscall: string;
  /** The path that was asked for, where there is one. */
  declare path?: string;
  /** The second path (rename, link, copyFile). */
  declare dest?: string;
  /** True when acall's policy refused the call; the kernel has not seen it. */
  declare refused?: true;

  /**
   * @param errno negative error number
   * @param syscall name of the call
   */
  constructor(errno: number, syscall: string, { path, dest, refused }: SyscallErrorDetails = {}) {
    const [code, text] = describeErrno(errno);
    let message = `${code}: ${text}, ${syscall}`;
    if (path !== undefined) message += ` '${wellFormed(path)}'`;
    if (dest !== undefined) message += ` -> '${wellFormed(dest)}'`;
    super(message);
    this.errno = errno;
    this.code = code;
    this.syscall = syscall;
    if (path !== undefined) this.path = wellFormed(path);
    if (dest !== undefined) this.dest = wellFormed(dest);
    if (refused) this.refused = true;
  }
}
// As Node's own errors: the name is Error, and util.inspect() prints Error too. It looks for a `constructor` that is a plain
// value, and a getter is none.
Object.defineProperties(SyscallError.prototype, {
  name: { value: 'Error', writable: true, configurable: true },
  constructor: { get: () => SyscallError, configurable: true },
});

/* Gives an error a `code` as Node does: `code` is the only enumerable property, and the stack and toString() contain it. */
function coded<E extends Error>(error: E, code: string): E {
  error.name = `${error.name} [${code}]`;
  void error.stack;
  delete (error as Partial<E>).name; // the stack is made: the class's name holds again
  const asText = function (this: Error): string {
    return `${this.name} [${code}]: ${this.message}`;
  };
  Object.defineProperty(error, 'toString', { value: asText, configurable: true, writable: true });
  return Object.assign(error, { code });
}

/* A value as util.inspect() prints it. A revoked proxy, a getter or a custom inspect may throw; that must not hide the error. */
function printed(value: unknown, options?: object): string {
  try {
    return inspect(value, options);
  } catch {
    return `<${typeof value}>`;
  }
}

/** `instanceof` that answers false for a revoked proxy, where the operator throws. */
export function isA<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** Array.isArray() that answers false for a revoked proxy, where the original throws. */
export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** Whether a value is an object whose properties can be read. A revoked proxy is not. */
export function isObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  try {
    Array.isArray(value);
    return true;
  } catch {
    return false;
  }
}

function nameOf(holder: () => unknown): string {
  try {
    return String(holder() ?? '');
  } catch {
    return '';
  }
}

function received(value: unknown): string {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === 'function') return ` Received function ${nameOf(() => value.name)}`;
  if (typeof value === 'object') {
    const name = nameOf(() => value.constructor?.name);
    return name ? ` Received an instance of ${name}` : ` Received ${printed(value, { depth: -1 })}`;
  }
  if (typeof value === 'string') {
    const text = value.length > 28 ? `${value.slice(0, 25)}...` : value;
    return ` Received type string (${text.includes("'") ? JSON.stringify(text) : `'${text}'`})`;
  }
  return ` Received type ${typeof value} (${printed(value)})`;
}

/* 1234567 becomes 1_234_567, as in Node's messages about numbers that are out of range. */
function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, '_');
}

function numberReceived(value: unknown): string {
  if (typeof value === 'bigint') return `${value > 2n ** 32n || value < -(2n ** 32n) ? grouped(`${value}`) : value}n`;
  if (Number.isInteger(value) && Math.abs(value as number) > 2 ** 32) return grouped(`${value}`);
  return printed(value);
}

/** ERR_INVALID_ARG_TYPE, with Node's wording. */
export function invalidArgType(name: string, expected: string, value: unknown): TypeError {
  const what = name.includes('.') ? 'property' : 'argument';
  return coded(new TypeError(`The "${name}" ${what} must be ${expected}.${received(value)}`), 'ERR_INVALID_ARG_TYPE');
}

/** ERR_INVALID_ARG_VALUE, with Node's wording. */
export function invalidArgValue(name: string, reason: string, value: unknown): TypeError {
  const what = name.includes('.') ? 'property' : 'argument';
  let text = printed(value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  return coded(new TypeError(`The ${what} '${name}' ${reason}. Received ${text}`), 'ERR_INVALID_ARG_VALUE');
}

/** ERR_INVALID_ARG_TYPE with a message of acall's own. */
export function typeError(message: string): TypeError {
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
}

/** ERR_OUT_OF_RANGE, with Node's wording. */
export function outOfRange(name: string, range: string, value: unknown): RangeError {
  return coded(
    new RangeError(`The value of "${name}" is out of range. It must be ${range}. Received ${numberReceived(value)}`),
    'ERR_OUT_OF_RANGE',
  );
}

/** ERR_OUT_OF_RANGE with a message of acall's own. */
export function rangeError(message: string): RangeError {
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE');
}

/** The error of an aborted operation: `name` is AbortError, `code` is ABORT_ERR, `cause` is the signal's reason. */
export class AbortError extends Error {
  /** Always ABORT_ERR, as in Node. */
  readonly code = 'ABORT_ERR';

  constructor(cause?: unknown) {
    super('The operation was aborted', cause === undefined ? undefined : { cause });
    this.name = 'AbortError';
  }

  /** @internal An AbortError with a given stack: to capture a stack takes ten times as long as all else. */
  static withStack(cause: unknown, stack: string | undefined): AbortError {
    const limit = Error.stackTraceLimit;
    const mayChange = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true;
    if (mayChange) Error.stackTraceLimit = 0;
    try {
      const error = new AbortError(cause);
      if (stack !== undefined) error.stack = stack;
      return error;
    } finally {
      if (mayChange) Error.stackTraceLimit = limit;
    }
  }
}

/** The error of fs.readFile for a file longer than a Buffer may be. */
export function fileTooLarge(size: number): RangeError {
  return coded(new RangeError(`File size (${size}) is greater than 2 GiB`), 'ERR_FS_FILE_TOO_LARGE');
}

/** The error of fs.copyFile for a wrong mode. The native half of node:fs makes it, so the stack does not contain the code. */
export function copyModeError(wrong: 'type' | 'number' | 'range', most = 0): Error {
  if (wrong === 'type') {
    return Object.assign(new TypeError('mode must be int32 or null/undefined'), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const range = wrong === 'range' ? `: >= 0 && <= ${most}` : '';
  return Object.assign(new RangeError(`mode is out of range${range}`), { code: 'ERR_OUT_OF_RANGE' });
}

/**
 * Checks an integer from `min` to `max` and returns it.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function checkInteger(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
  return value;
}

/**
 * Checks a descriptor and returns it. The native half of node:fs makes the errors for a wrong one, so their stacks do not contain
 * the code.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function checkDescriptor(fd: unknown): number {
  try {
    return checkInteger(fd, 'fd', 0, 0x7fffffff);
  } catch (error) {
    const { message, code } = error as Error & { code: string };
    throw Object.assign(error instanceof RangeError ? new RangeError(message) : new TypeError(message), { code });
  }
}

/** The names of the options that a function takes. */
export type OptionNames = ReadonlySet<string>;

/** Makes a set of option names from a text with blanks between the names. */
export function optionNames(names: string): OptionNames {
  return new Set(names.split(' '));
}

/**
 * Checks that options are an object or undefined, and that each given option is in `known`, so that no misspelt option is
 * ignored. `checkCommonOptions` also checks the values of the options that every call takes.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
export function checkOptions(options: unknown, known: OptionNames): void {
  if (options === undefined) return;
  if (!isObject(options)) throw invalidArgType('options', 'of type object', options);
  for (const name of Object.keys(options)) {
    if (known.has(name)) continue;
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined)
      throw invalidArgValue(`options.${name}`, `is unknown; there are ${[...known].join(', ')}`, value);
  }
}
