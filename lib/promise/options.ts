/* The options that every promise call takes: what they are, how they are checked, and the one place that picks them. */
import { isAbortSignal } from '../abort';
import { checkOptions, invalidArgType, type OptionNames, optionNames, outOfRange } from '../errors';

/** Options that every promise call takes. */
export interface CommonOptions {
  /** Rejects the promise with an AbortError within one turn of the loop and cancels the call. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for the whole call; then the promise rejects with a SyscallError ETIMEDOUT and the call is cancelled. */
  timeout?: number | undefined;
  /** false: the call in flight does not keep the process alive. */
  ref?: boolean | undefined;
}

const kCommonNames = 'signal timeout ref';

/** The names of a function's own options, separated by blanks, together with the names of the common options. */
export function withCommon(own: string): OptionNames {
  return optionNames(`${own} ${kCommonNames}`);
}

const kOnlyCommon = optionNames(kCommonNames);

/**
 * Checks the common options: an object or undefined, no option outside of `known`, `ref` a boolean, `timeout` a number of at
 * least 0, `signal` an AbortSignal.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function checkCommonOptions(options: CommonOptions | undefined, known: OptionNames = kOnlyCommon): void {
  if (options === undefined) return;
  checkOptions(options, known);
  const { signal, timeout, ref } = options;
  if (ref !== undefined && typeof ref !== 'boolean') throw invalidArgType('options.ref', 'of type boolean', ref);
  if (timeout !== undefined && typeof timeout !== 'number')
    throw invalidArgType('options.timeout', 'of type number', timeout);
  if (timeout !== undefined && !(timeout >= 0)) throw outOfRange('options.timeout', '>= 0', timeout);
  if (signal !== undefined && !isAbortSignal(signal)) {
    throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
  }
}

/** Picks the common options out of a call's options, which have been checked. Undefined when none is given. */
export function commonOf(options: CommonOptions | undefined): CommonOptions | undefined {
  if (options === undefined) return undefined;
  const { signal, timeout, ref } = options;
  return signal === undefined && timeout === undefined && ref === undefined ? undefined : { signal, timeout, ref };
}
