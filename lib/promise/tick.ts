/*
 * The ops of one tick: gathered, and submitted in the tick's microtask, or earlier when a batch is full. When there are only a
 * few, that microtask tries to run them inline first.
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

/*
 * So many are tried when a tick ends, or wait for the next turn; more go to the pool, where all cores work. Bench case `stat-await`
 * with four chains side by side: 8 % more processor time when none waits for the next turn; with fifty: a quarter more time when
 * all do.
 */
const kFew = 8;

/** Puts each op with a slot into its batch, and submits the batches at the end of the tick. */
export class Tick {
  readonly #abandon: Abandon;
  readonly #waiting: Waiting;
  readonly #budget: InlineBudget;
  readonly #stats: StatBatch;
  readonly #calls: CallBatch;
  readonly #turns: Turns;
  #alone: Op[] = []; // each is submitted by a native call of its own
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

  /** Takes an op with a slot: adds it to its batch, or submits it alone. */
  place(op: Op): void {
    if (op.watched !== undefined && op.goesAlone()) {
      this.#alone.push(op);
      this.schedule();
    } else this.#submit(op);
  }

  /* Arguments of the op belong to the caller, and reading them may throw. Then only this op is rejected. */
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

  /** Submits what has been gathered at the end of the tick. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(this.#end);
  }

  readonly #end = (): void => {
    this.#isScheduled = false;
    this.flushTick();
  };

  /** Submits all gathered ops now. */
  flush(): void {
    this.#flushAlone();
    this.#stats.flush(InlineCalls.none);
    this.#calls.flush(InlineCalls.neverBlocking);
  }

  /** Submits the gathered ops. A few are tried inline first; they wait for the next turn when this turn's budget is spent. */
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

  /* An op that was aborted within its tick never runs. */
  #flushAlone(): void {
    if (this.#alone.length === 0) return;
    const ops = this.#alone;
    this.#alone = [];
    for (const op of ops) if (this.#abandon.mayStart(op)) this.#submit(op);
  }
}
