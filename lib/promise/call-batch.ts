/* The system calls of one tick: their records are submitted in one native call, which may make some of the calls inline. */
import { CallArgument, CallFact, CallRecord, Errno, InlineCalls, Wire } from '../generated/wire';
import { native } from '../native';
import type { Abandon } from './abandon';
import type { InlineBudget } from './inline-budget';
import { type Op, Phase, type Refusable } from './op';
import type { Results } from './results';
import type { Waiting } from './waiting';

type CallOp = Op & Refusable;

/** Room for the records of one batch. */
export const kBatchBytes = 64 * 1024;
/* Where the result of a call that ran inline stands in its record. */
const kLow = CallRecord.args + CallArgument.low;
const kHigh = CallRecord.args + CallArgument.high;

/** Result of {@link CallBatch.add} for a record that is larger than the whole batch: submit it alone. */
export const kGoesAlone = -1;

/** Gathers the records of calls (CallRecord of lib/generated/wire.ts) in 64 KiB of memory. */
export class CallBatch {
  readonly #abandon: Abandon;
  readonly #budget: InlineBudget;
  readonly #results: Results;
  readonly #waiting: Waiting;
  readonly records = new Uint8Array(kBatchBytes);
  readonly words = new Uint32Array(this.records.buffer);
  #bytes = 0;
  #ops: CallOp[] = [];
  #places: number[] = []; // of their records, in words

  constructor(abandon: Abandon, budget: InlineBudget, results: Results, waiting: Waiting) {
    this.#abandon = abandon;
    this.#budget = budget;
    this.#results = results;
    this.#waiting = waiting;
  }

  get length(): number {
    return this.#ops.length;
  }

  /** Reserves a record of `bytes` (a multiple of 8). Returns its offset in {@link records}, or {@link kGoesAlone}. */
  add(op: CallOp, bytes: number): number {
    if (bytes > kBatchBytes) return kGoesAlone;
    if (this.#bytes + bytes > kBatchBytes) this.flush(InlineCalls.neverBlocking);
    const at = this.#bytes;
    this.#bytes += bytes;
    this.#ops.push(op);
    this.#places.push(at >> 2);
    return at;
  }

  /** Submits the batch. `inlineCalls`, one of InlineCalls, names the calls that may run inline. */
  flush(inlineCalls: number): void {
    const ops = this.#ops;
    if (ops.length === 0) return;
    const places = this.#places;
    const words = this.words;
    const bytes = this.#bytes;
    this.#ops = [];
    this.#places = [];
    this.#bytes = 0;
    for (const op of ops) if (op.watched !== undefined) this.#abandon.mayStart(op);
    for (let i = 0; i < ops.length; i++) {
      if (ops[i]!.phase !== Phase.batched) words[places[i]! + CallRecord.facts]! |= CallFact.skip;
    }
    this.#budget.spend(
      native.submitCalls(this.records, bytes, this.#budget.mayCallNeverBlocking ? inlineCalls : InlineCalls.none),
    );
    // A completion may start more calls, whose records overwrite these. A single op is read before it completes.
    const answers = ops.length === 1 ? words : words.slice(0, bytes >> 2);
    let isShort = false;
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      if (op.phase !== Phase.batched) continue;
      const status = answers[places[i]! + CallRecord.status]! | 0;
      if (status === 0) op.phase = Phase.submitted;
      else if (status === -Errno.EAGAIN) isShort = true;
      else if (status === Wire.callDone) this.#abandon.unwatch(op); // another op's completion cannot abort it any more
    }
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      if (op.phase !== Phase.batched) continue;
      const at = places[i]!;
      const status = answers[at + CallRecord.status]! | 0;
      if (status === Wire.callDone) this.#results.complete(op, answers[at + kLow]!, answers[at + kHigh]!);
      else if (status !== -Errno.EAGAIN) this.#waiting.answered(op, status);
    }
    if (!isShort) return;
    for (let i = ops.length - 1; i >= 0; i--) {
      const isRefused = (answers[places[i]! + CallRecord.status]! | 0) === -Errno.EAGAIN;
      if (isRefused && ops[i]!.phase === Phase.batched) this.#waiting.takeBack(ops[i]!);
    }
  }
}
