/* The runs of programs as ops: the runs that one tick starts are submitted in one native call, and their memory is bounded. */

import { closeQuietly } from '../../call/request';
import { SyscallError } from '../../errors';
import { RunFact, RunRecord, Wire } from '../../generated/wire';
import { native, type ProgramHandle } from '../../native';
import { kBatchBytes } from '../../promise/call-batch';
import { engine } from '../../promise/engine';
import { isError, Op, Phase, type Refusable, timeoutError } from '../../promise/op';
import { queueMicrotask } from '../../timers';
import type { Linked } from '../build/assembler';
import { type Encoded, type Inputs, Scratch } from './inputs';
import type { ProgramResult, ResultReader } from './results';

const kBatchRuns = 128; // a batch of so many runs is submitted at once, within the tick, so that the other cores begin
const kMaxBytesInFlight = 64 * 1024 * 1024; // a limit: the description of Program.run() names it

/** A program that can be run. */
export interface Compiled {
  readonly handle: ProgramHandle;
  readonly linked: Linked;
  readonly inputs: Inputs;
  readonly results: ResultReader;
  readonly batch: Batch;
}

/** The runs of one program that the current tick has started and that are not submitted yet. */
export class Batch {
  readonly #handle: ProgramHandle;
  #scratch = new Scratch(0);
  #used = 0;
  #runs: { run: Run; at: number }[] = [];

  constructor(handle: ProgramHandle) {
    this.#handle = handle;
  }

  /** Reserves memory for a record of `bytes`. Returns the memory and the record's offset in it. */
  add(run: Run, bytes: number): { into: Scratch; at: number } {
    if (this.#used + bytes > this.#scratch.bytes.length) {
      this.flush();
      if (bytes > this.#scratch.bytes.length) this.#scratch = new Scratch(Math.max(bytes, kBatchBytes));
    }
    const at = this.#used;
    this.#used += bytes;
    if (this.#runs.push({ run, at }) === 1) queueMicrotask(() => this.flush());
    return { into: this.#scratch, at };
  }

  get isFull(): boolean {
    return this.#runs.length >= kBatchRuns;
  }

  /** Submits the gathered runs. */
  flush(): void {
    const runs = this.#runs;
    if (runs.length === 0) return;
    this.#runs = [];
    const scratch = this.#scratch;
    const used = this.#used;
    this.#used = 0;
    const { bytes, words } = scratch;
    const going = runs.map(({ run }) => engine.mayStart(run) && run.phase === Phase.batched);
    runs.forEach(({ at }, i) => {
      if (!going[i]) words[(at >> 2) + RunRecord.facts] = RunFact.skip;
    });
    native.programSubmit(this.#handle, bytes, used);
    const statuses = runs.map(({ at }) => words[(at >> 2) + RunRecord.status]! | 0);
    if (bytes.length > kBatchBytes) this.#scratch = new Scratch(0); // a large one is not kept
    runs.forEach(({ run }, i) => {
      if (going[i]) engine.answered(run, statuses[i]!);
    });
  }
}

/* Runs that wait until others have freed their memory, in order. */
const waiting: Run[] = [];
let waitingFirst = 0;
let bytesInFlight = 0;
let holdsLoop = false;

function hold(wanted: boolean): void {
  if (holdsLoop === wanted) return;
  holdsLoop = wanted;
  native.holdLoop(wanted);
}

function startWaiting(): void {
  while (waitingFirst < waiting.length) {
    const run = waiting[waitingFirst]!;
    const isWanted = engine.mayStart(run);
    if (isWanted && !run.fits()) return;
    waiting[waitingFirst++] = undefined as never;
    if (isWanted) run.begin();
  }
  waiting.length = 0;
  waitingFirst = 0;
  hold(false);
}

/** One run of a program. */
export class Run extends Op implements Refusable {
  readonly #program: Compiled;
  readonly #encoded: Encoded;
  readonly #resolve: (result: ProgramResult<Record<string, unknown>>) => void;
  readonly #reject: (error: Error) => void;
  readonly #bytes: number;
  #isCounted = false;

  constructor(
    program: Compiled,
    encoded: Encoded,
    resolve: (result: ProgramResult<Record<string, unknown>>) => void,
    reject: (error: Error) => void,
  ) {
    super();
    this.#program = program;
    this.#encoded = encoded;
    this.#bytes = program.linked.bytes + encoded.bytes;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Starts the run, or lets it wait until there is memory for it. */
  start(): void {
    if (waitingFirst === waiting.length && this.fits()) {
      this.begin();
      return;
    }
    waiting.push(this);
    if (this.referenced) hold(true);
  }

  /** Whether there is memory for the run. A single run always fits. */
  fits(): boolean {
    return bytesInFlight === 0 || bytesInFlight + this.#bytes <= kMaxBytesInFlight;
  }

  /** Counts the memory of the run and starts it. */
  begin(): void {
    bytesInFlight += this.#bytes;
    this.#isCounted = true;
    engine.start(this);
  }

  override submit(): boolean {
    const { linked, inputs, batch } = this.#program;
    const { into, at } = batch.add(this, this.#encoded.bytes);
    into.words[(at >> 2) + RunRecord.slot] = this.slot;
    into.words[(at >> 2) + RunRecord.facts] = this.referenced ? 0 : RunFact.unreferenced;
    inputs.encode(into, at, this.#encoded, linked.bytes);
    if (batch.isFull) batch.flush();
    return true;
  }

  refused(errno: number): void {
    this.#settle();
    this.#reject(new SyscallError(errno, 'program'));
  }

  #settle(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    bytesInFlight -= this.#bytes;
    if (waiting.length > 0) queueMicrotask(startWaiting);
  }

  override complete(low: number, high: number): void {
    this.#settle();
    if (isError(low, high)) {
      native.release(this.slot);
      this.#reject(new SyscallError(low | 0, 'program'));
      return;
    }
    const { linked, results, inputs } = this.#program;
    const report = new Uint8Array(linked.resultBytes);
    const copyOut = (offset: number, into: Uint8Array): void => {
      native.copyOut(this.slot, Wire.programMemory + offset, into, into.length);
    };
    copyOut(0, report);
    const view = new DataView(report.buffer);
    let result: ProgramResult<Record<string, unknown>> | undefined;
    try {
      result = results.read(linked, view, copyOut, (word) => inputs.textOf(word, this.#encoded));
    } catch (error) {
      results.closeHanded(view, closeQuietly);
      this.#reject(error as Error);
    }
    native.release(this.slot);
    if (result !== undefined) this.#resolve(result);
  }

  override reject(error: Error): void {
    this.#settle();
    this.#reject(error);
  }

  override dispose(): void {
    native.release(this.slot);
  }

  override timedOut(): Error {
    return timeoutError('program');
  }
}
