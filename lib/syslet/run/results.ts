/* The result of a run: values by name, the step where it stopped, the error of a run that failed. */
import { invalidArgType, invalidArgValue, isA, isObject, rangeError, SyscallError } from '../../errors';
import {
  sysletReportLayout as report,
  SYSLET_END_CANCELLED,
  SYSLET_END_DONE,
  SYSLET_END_STEPS,
  SYSLET_END_STOPPED,
} from '../../generated/layout';
import { Errno } from '../../generated/wire';
import { kFirstWord, type Linked, type Step, type Word } from '../build/assembler';
import { kNotRun } from '../build/emitter';
import {
  BytesResult,
  ProgramBytes,
  ProgramDescriptor,
  ProgramValue,
  ProgramVariable,
  WideResult,
} from '../build/values';

/** A part of the result that a build function may return by name. */
export type ResultPart = ProgramValue | ProgramBytes | BytesResult | WideResult;

/** The values of a run, by name: numbers, bigints for `asBigInt()`, Buffers for memory. */
export type ValuesOf<Parts> = {
  [K in keyof Parts]: Parts[K] extends ProgramBytes | BytesResult
    ? Buffer
    : Parts[K] extends WideResult
      ? bigint
      : number;
};

/** A run that is done. */
export interface ProgramDone<Values> {
  /** The run is done. */
  readonly done: true;
  /** The values, by the names that the build function has returned. */
  readonly values: Values;
  /** Null: no step has stopped the run. */
  readonly stoppedAt: null;
  /** The number of atoms executed. */
  readonly steps: number;
}

/** A run that `stopOn` of a call or `stop()` has ended. Its descriptors are closed. */
export interface ProgramStopped<Values> {
  /** The run has stopped. */
  readonly done: false;
  /** The values so far; null for descriptors and for calls that were not made. */
  readonly values: { [K in keyof Values]: Values[K] | null };
  /** The name of the step: the call, or the stop. */
  readonly stoppedAt: string;
  /** The result that stopped the run, 0 or more; 0 for `stop()`. */
  readonly result: number;
  /** The number of atoms executed. */
  readonly steps: number;
}

/** The result of a run that did not fail: `done` says which of the two it is. */
export type ProgramResult<Values> = ProgramDone<Values> | ProgramStopped<Values>;

/**
 * The error of a run in which a call or `fail()` failed. `code`, `errno`, `syscall` and `path` are those of the call. Every
 * descriptor of the run is closed.
 */
export class ProgramError extends SyscallError {
  /** The name of the step that failed. */
  declare step: string;
  /** The values at that time; null for descriptors and for calls that were not made. */
  declare values: Record<string, number | bigint | Buffer | null>;
  /** The number of atoms executed. */
  declare steps: number;

  constructor(errno: number, step: Step, path: string | undefined, values: ProgramError['values'], steps: number) {
    super(errno, step.syscall, { path });
    this.step = step.name;
    this.steps = steps;
    Object.defineProperty(this, 'values', { value: values, enumerable: false });
  }
}

type Reader = (
  words: BigInt64Array,
  copyOut: (offset: number, into: Uint8Array) => void,
  done: boolean,
) => number | bigint | Buffer | null;

/** Makes the results of the runs of one program from their reports and memory. */
export class ResultReader {
  /** The words that are copied out after a run. */
  readonly words: Word[] = [];
  /** The words whose descriptors belong to the caller after a run that was done. */
  readonly handed = new Set<Word>();
  readonly #parts: [name: string, reader: Reader][] = [];

  constructor(parts: unknown) {
    if (parts === undefined) return;
    if (!isObject(parts)) throw invalidArgType('results', 'of type object', parts);
    for (const [name, part] of Object.entries(parts)) this.#parts.push([name, this.#readerOf(name, part)]);
  }

  #take(name: string, value: ProgramValue): number {
    if (value.depth > 0 && !isA(value, ProgramVariable)) {
      throw invalidArgValue(
        `results.${name}`,
        'is bound inside a branch, a loop or a clean-up: set a variable there',
        value,
      );
    }
    const known = this.words.indexOf(value.word);
    return known >= 0 ? known : this.words.push(value.word) - 1;
  }

  #readerOf(name: string, part: unknown): Reader {
    if (isA(part, ProgramValue)) {
      const index = this.#take(name, part);
      const isDescriptor = isA(part, ProgramDescriptor);
      if (isDescriptor) this.handed.add(part.word);
      return (words, _, done) => {
        const value = words[index]!;
        if (value === kNotRun || (isDescriptor && !done)) return null;
        const number = Number(value);
        if (!Number.isSafeInteger(number))
          throw rangeError(`The value of ${name} is above 2^53 - 1: return its asBigInt()`);
        return number;
      };
    }
    if (isA(part, WideResult)) {
      const index = this.#take(name, part.value);
      return (words) => (words[index] === kNotRun ? null : words[index]!);
    }
    const bytes = isA(part, BytesResult) ? part.bytes : part;
    if (!isA(bytes, ProgramBytes)) throw invalidArgType(`results.${name}`, 'a value or memory of the program', part);
    const length = isA(part, BytesResult) ? part.length : bytes.byteLength;
    const index = isA(length, ProgramValue) ? this.#take(name, length) : -1;
    if (index < 0) bytes.region.isCleared = true;
    return (words, copyOut) => {
      const wanted = index < 0 ? (length as number) : Number(words[index]);
      const buffer = Buffer.allocUnsafeSlow(Math.max(0, Math.min(wanted, bytes.byteLength)));
      if (buffer.length > 0) copyOut(bytes.region.offset + bytes.offset, buffer);
      return buffer;
    };
  }

  /** Closes the descriptors of a run that was done and whose result cannot be read. */
  closeHanded(view: DataView, close: (fd: number) => void): void {
    if (view.getUint32(report.end, true) !== SYSLET_END_DONE) return;
    this.words.forEach((word, i) => {
      const fd = Number(view.getBigInt64(kFirstWord + i * 8, true));
      if (this.handed.has(word) && fd >= 0) close(fd);
    });
  }

  /**
   * Makes the result of a run.
   *
   * @param view the report and the result words
   * @param copyOut copies bytes of the run's memory
   * @param pathOf the text of an input that a step names
   * @throws ProgramError for a run that failed; ERR_ACALL_PROGRAM_STEPS, ERR_OUT_OF_RANGE
   */
  read(
    linked: Linked,
    view: DataView,
    copyOut: (offset: number, into: Uint8Array) => void,
    pathOf: (word: Word) => string | undefined,
  ): ProgramResult<Record<string, unknown>> {
    const end = view.getUint32(report.end, true);
    const steps = view.getUint32(report.steps, true);
    const result = Number(view.getBigInt64(report.result, true));
    const step = linked.stepAt(Number(view.getBigUint64(report.last, true)));
    const done = end === SYSLET_END_DONE;
    const words = new BigInt64Array(view.buffer, view.byteOffset + kFirstWord, this.words.length);
    const values: Record<string, number | bigint | Buffer | null> = {};
    for (const [name, reader] of this.#parts) values[name] = reader(words, copyOut, done);
    if (done) return { done, values, stoppedAt: null, steps };
    if (end === SYSLET_END_STOPPED && result >= 0) return { done: false, values, stoppedAt: step.name, result, steps };
    if (end === SYSLET_END_STEPS) {
      throw Object.assign(new Error(`The program ran more than ${steps} atoms`), {
        code: 'ERR_ACALL_PROGRAM_STEPS',
        steps,
        values,
      });
    }
    const path = typeof step.path === 'string' || step.path === undefined ? step.path : pathOf(step.path);
    const errno = end === SYSLET_END_CANCELLED && result >= 0 ? -Errno.ECANCELED : result;
    throw new ProgramError(errno, step, path, values, steps);
  }
}
