/* Steps: a call that takes several ops has one signal and one time-out for all of them, and errors as node:fs has them. */

import { abortError, onAbort } from '../abort';
import { AbortError, type OptionNames, SyscallError } from '../errors';
import type { SyscallArg, SyscallName } from '../generated/syscalls';
import { kNoHandle } from '../native';
import { timeoutError } from '../promise/op';
import { type CommonOptions, checkCommonOptions, commonOf } from '../promise/options';
import { clearTimeout, now, setTimeout } from '../timers';
import { callThatOpens, callThrough, type Opened } from './request';

/** The common options of a call that takes several ops, and the time that is left of its time-out. */
export class Steps {
  readonly #common: CommonOptions | undefined;
  readonly #deadline: number;
  readonly #syscall: string;
  readonly #path: string | undefined;

  /** Checks the options. `syscall` and `path` are for the error of a time-out. */
  constructor(options: CommonOptions | undefined, syscallName: string, path?: string, known?: OptionNames) {
    checkCommonOptions(options, known);
    this.#common = commonOf(options);
    this.#deadline = options?.timeout === undefined ? Number.POSITIVE_INFINITY : now() + options.timeout;
    this.#syscall = syscallName;
    this.#path = path;
  }

  /** Options for the next op. @throws AbortError, SyscallError ETIMEDOUT when the call is aborted or has timed out */
  next(): CommonOptions | undefined {
    if (this.#common === undefined) return undefined;
    const { signal, timeout, ref } = this.#common;
    if (signal?.aborted) throw new AbortError(signal.reason);
    if (timeout === undefined) return this.#common;
    const left = this.#deadline - now();
    if (left <= 0 && timeout > 0) throw this.timedOut();
    return { signal, timeout: Math.max(0, left), ref };
  }

  /** Whether an abort or a time-out can end the call. */
  get canEndEarly(): boolean {
    return this.#common?.signal !== undefined || this.#common?.timeout !== undefined;
  }

  get signal(): AbortSignal | undefined {
    return this.#common?.signal;
  }

  /** Waits for a promise that is no op of this call. Rejects with an AbortError or ETIMEDOUT when the call ends first. */
  async until(other: Promise<void>): Promise<void> {
    const { signal, timeout, ref } = this.next() ?? {};
    if (signal === undefined && timeout === undefined) return other;
    let timer: NodeJS.Timeout | undefined;
    let forget: (() => void) | undefined;
    try {
      await Promise.race([
        other,
        new Promise<never>((_, reject) => {
          if (signal !== undefined) forget = onAbort(signal, () => reject(abortError(signal)));
          if (timeout === undefined || timeout > 0x7fffffff) return;
          timer = setTimeout(() => reject(this.timedOut()), timeout);
          if (ref === false) timer.unref();
        }),
      ]);
    } finally {
      clearTimeout(timer);
      forget?.();
    }
  }

  timedOut(): SyscallError {
    return timeoutError(this.#syscall, this.#path);
  }

  /** Makes one system call. Its error has `label` and `path`, as the error of node:fs would. `handle`: see callThrough(). */
  async call(
    name: SyscallName,
    args: readonly SyscallArg[],
    label: string,
    path?: string,
    handle = kNoHandle,
  ): Promise<number> {
    try {
      return await callThrough(handle, name, args, this.next());
    } catch (error) {
      throw renamed(error, label, path);
    }
  }

  /** Makes one system call whose result is a descriptor; the descriptor gets a handle of the core. */
  async open(
    name: SyscallName,
    args: readonly SyscallArg[],
    label: string,
    path?: string,
    handle = kNoHandle,
  ): Promise<Opened> {
    try {
      return await callThatOpens(handle, name, args, this.next());
    } catch (error) {
      throw renamed(error, label, path);
    }
  }
}

/** A SyscallError with another name of the call and another path. Any other error is returned as it is. */
export function renamed(error: unknown, label: string, path?: string): unknown {
  if (!(error instanceof SyscallError)) return error;
  return new SyscallError(error.errno, label, { path, refused: error.refused });
}
