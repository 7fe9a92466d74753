/* Program: several system calls, built once and run many times with other inputs. */

import { abortError, groupOf, onAbort } from '../../abort';
import { AbortError, checkInteger, checkOptions, invalidArgType, optionNames } from '../../errors';
import { native } from '../../native';
import { engine } from '../../promise/engine';
import { timeoutError } from '../../promise/op';
import { type CommonOptions, checkCommonOptions } from '../../promise/options';
import { isTurnOver, nextTurn } from '../../promise/turn-clock';
import { clearTimeout, kLongestMs, setTimeout } from '../../timers';
import { Assembler } from '../build/assembler';
import { ProgramBuilder } from '../build/builder';
import { type Encoded, type HandlesOf, type InputKind, Inputs, type InputsOf } from './inputs';
import { type ProgramError, type ProgramResult, type ResultPart, ResultReader, type ValuesOf } from './results';
import { Batch, type Compiled, Run } from './run';

/** Options of a {@link Program}. */
export interface ProgramOptions {
  /** The number of atoms that a run may execute, without the clean-up: 1,048,576 by default. */
  maxSteps?: number;
}

const kProgramOptions = optionNames('maxSteps');
const kMaxSteps = 1 << 20;

function isIterable(value: unknown): boolean {
  try {
    return typeof (value as Iterable<unknown> | undefined)?.[Symbol.iterator] === 'function';
  } catch {
    return false;
  }
}

/**
 * Several system calls that run one after the other on one pool thread, without returning to JavaScript in between. The result
 * of one call can be the argument of the next. Descriptors that a run opens are closed when the run ends, however it ends,
 * unless they are part of its result.
 *
 * @example
 * const readSmall = new Program({ path: 'text' }, (p, { path }) => {
 *   const fd = p.call('openat', [constants.AT_FDCWD, path, constants.O_RDONLY | constants.O_CLOEXEC]);
 *   const content = p.bytes(4096);
 *   const length = p.call('read', [fd, content, content.byteLength]);
 *   return { content: content.first(length) };
 * });
 * const { values } = await readSmall.run({ path: '/etc/hostname' });
 */
export class Program<
  const Kinds extends Record<string, InputKind> = Record<string, InputKind>,
  Parts extends Record<string, ResultPart> = Record<string, ResultPart>,
> {
  readonly #compiled: Compiled;

  /**
   * @param inputs the kinds of the inputs, by name
   * @param build adds the steps, and returns the parts of the result, by name; called once
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, and what `build` throws
   */
  constructor(
    inputs: Kinds,
    // biome-ignore lint/suspicious/noConfusingVoidType: a program may have no results
    build: (p: ProgramBuilder, inputs: HandlesOf<Kinds>) => Parts | void,
    options: ProgramOptions = {},
  ) {
    if (typeof build !== 'function') throw invalidArgType('build', 'of type function', build);
    checkOptions(options, kProgramOptions);
    const { maxSteps = kMaxSteps } = options;
    checkInteger(maxSteps, 'options.maxSteps', 1, 0xffffffff);
    const assembler = new Assembler();
    const builder = new ProgramBuilder(assembler);
    const given = new Inputs(inputs, assembler);
    const results = new ResultReader(build(builder, given.handles as HandlesOf<Kinds>));
    builder.finishBuilding(results.handed);
    const linked = assembler.link(results.words, [...results.handed], maxSteps);
    const handle = native.programMake(linked.image, linked.header, linked.relocations, linked.areas, linked.handed);
    this.#compiled = { handle, linked, inputs: given, results, batch: new Batch(handle) };
  }

  /**
   * Runs the program once.
   *
   * Resolves when the run is done or stops. Rejects with a {@link ProgramError} when a call failed, with
   * ERR_ACALL_PROGRAM_STEPS when the run took too many steps, with an AbortError or ETIMEDOUT for `signal` and `timeout`, and
   * with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong inputs. After an abort or time-out the run
   * ends before its next step and cleans up; the promise does not wait for that.
   *
   * @param inputs every input by name; data is copied when the run starts, within this tick unless 64 MiB are in flight
   *
   * @example
   * const { done, values } = await readSmall.run({ path: '/etc/hostname' }, { timeout: 1000 });
   */
  run(inputs: InputsOf<Kinds>, options?: CommonOptions): Promise<ProgramResult<ValuesOf<Parts>>> {
    return new Promise((resolve, reject) => {
      const encoded = this.#compiled.inputs.check(inputs);
      const run = new Run(
        this.#compiled,
        encoded,
        resolve as (result: ProgramResult<Record<string, unknown>>) => void,
        reject,
      );
      if (engine.watch(run, options)) run.start();
    });
  }

  /**
   * Runs the program once for each of `inputs`, several runs at the same time and in no order. Resolves with the results in
   * the order of the inputs; the error of a run that failed stands in its place. `signal` and `timeout` are for all runs
   * together, and reject the promise. Nothing runs when one of the inputs is wrong. Inputs are checked, and runs are started,
   * for some milliseconds in each turn of the event loop, so the inputs must not change until the promise has settled.
   *
   * @example
   * const results = await readSmall.runMany([{ path: '/etc/hostname' }, { path: '/nope' }]);
   */
  async runMany(
    inputs: Iterable<InputsOf<Kinds>>,
    options: CommonOptions = {},
  ): Promise<(ProgramResult<ValuesOf<Parts>> | ProgramError)[]> {
    checkCommonOptions(options);
    const { signal, timeout, ref } = options;
    if (!isIterable(inputs)) throw invalidArgType('inputs', 'an iterable', inputs);
    const all = new AbortController();
    const givenUp = new Promise<never>((_, reject) => {
      all.signal.addEventListener('abort', () =>
        reject(signal !== undefined && groupOf(signal).look() ? abortError(signal) : timeoutError('program')),
      );
    });
    givenUp.catch(() => {});
    const abort = (): void => all.abort();
    const forget = signal && onAbort(signal, abort);
    let timer: NodeJS.Timeout | undefined;
    if (timeout !== undefined && timeout <= kLongestMs) {
      timer = setTimeout(abort, timeout);
      if (ref === false) timer.unref();
    }
    let results: (ProgramResult<ValuesOf<Parts>> | ProgramError)[];
    try {
      const encoded: Encoded[] = [];
      for (const one of inputs) {
        encoded.push(this.#compiled.inputs.check(one));
        if (isTurnOver()) await nextTurn(ref !== false);
        if (all.signal.aborted) await givenUp;
      }
      if (signal?.aborted) throw new AbortError(signal.reason);
      results = new Array(encoded.length);
      if (encoded.length > 0) await Promise.race([this.#runAll(encoded, results, all.signal, ref), givenUp]);
    } finally {
      clearTimeout(timer);
      forget?.();
    }
    return results;
  }

  /** Starts the runs, for some milliseconds in each turn of the loop. Resolves when all have a result. */
  async #runAll(
    encoded: readonly Encoded[],
    results: unknown[],
    signal: AbortSignal,
    ref: boolean | undefined,
  ): Promise<void> {
    let left = encoded.length;
    let finish = (): void => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const settle = (index: number, result: unknown): void => {
      results[index] = result;
      if (--left === 0) finish();
    };
    for (let index = 0; index < encoded.length && !signal.aborted; index++) {
      const run = new Run(
        this.#compiled,
        encoded[index]!,
        (result) => settle(index, result),
        (error) => settle(index, error),
      );
      if (engine.watch(run, { signal, ref })) run.start();
      if (isTurnOver()) await nextTurn(ref !== false);
    }
    await finished;
  }
}
