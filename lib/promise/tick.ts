/*
 * What one tick asks for: gathered, and sent down in its microtask, or earlier where a batch is full. A few ops are tried
 * inline there.
 */
import { InlineCalls } from '../generated/wire';
import { queueMicrotask } from '../timers';
import type { Abandon } from './abandon';
import type { CallBatch } from './call-batch';
import type { InlineBudget } from './inline-budget';
import { type Op, Phase } from './op';
import type { StatBatch } from './stat-batch';
import type { Turns } from './turns';
import type { Waiting } from './waiting';

const kFew = 8; // so many are tried when a tick ends, or wait for the next turn; more go to the pool, where all cores work

export class Tick {
  readonly #abandon: Abandon;
  readonly #waiting: Waiting;
  readonly #budget: InlineBudget;
  readonly #stats: StatBatch;
  readonly #calls: CallBatch;
  readonly #turns: Turns;
  #alone: Op[] = []; // they go down by themselves
  #isScheduled = false;

  constructor(
    abandon: Abandon,
    waiting: Waiting,
    budget: InlineBudget,
    stats: StatBatch,
    calls: CallBatch,
    turns: Turns,
  ) {
    this.#abandon = abandon;
    this.#waiting = waiting;
    this.#budget = budget;
    this.#stats = stats;
    this.#calls = calls;
    this.#turns = turns;
  }

  /** The op has got a slot: into its batch, or down by itself. */
  place(op: Op): void {
    if (op.watched !== undefined && op.goesAlone()) {
      this.#alone.push(op);
      this.schedule();
    } else this.#submit(op);
  }

  /* What the op is made of belongs to the caller, and may throw: then nobody else is to suffer. */
  #submit(op: Op): void {
    let taken = true;
    try {
      taken = op.submit();
    } catch (error) {
      if (op.phase === Phase.batched) this.#waiting.fail(op, error as Error);
      else this.#abandon.abandon(op, error as Error);
    }
    if (!taken) this.#waiting.takeBack(op);
  }

  /** Something has been gathered: it goes down at the end of the tick. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(this.#end);
  }

  readonly #end = (): void => {
    this.#isScheduled = false;
    this.flushTick();
  };

  /** Sends down what has been gathered, all of it and now. */
  flush(): void {
    this.#flushAlone();
    this.#stats.flush(InlineCalls.none);
    this.#calls.flush(InlineCalls.neverBlocking);
  }

  /** A few are tried inline, and wait for the next turn of the loop when this one has had its share. */
  flushTick(): void {
    this.#flushAlone();
    const few = this.#stats.length <= kFew && this.#calls.length <= kFew;
    if (few && !this.#budget.mayCall) {
      this.#turns.schedule();
      return;
    }
    this.#stats.flush(few ? InlineCalls.all : InlineCalls.none);
    this.#calls.flush(few ? InlineCalls.all : InlineCalls.neverBlocking);
  }

  /* What was aborted in its tick never runs. */
  #flushAlone(): void {
    if (this.#alone.length === 0) return;
    const ops = this.#alone;
    this.#alone = [];
    for (const op of ops) if (this.#abandon.mayStart(op)) this.#submit(op);
  }
}
