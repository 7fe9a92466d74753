/*
 * Promises over the core: one slot per promise in flight, what one tick asks for goes down in one native call, completions
 * come back in batches with a budget per turn. What cannot block is done inline, with a budget per turn as well. Helpers
 * derive an Op and never see slots, batches or back-pressure.
 */
import type { OptionNames } from '../errors';
import { Abandon } from './abandon';
import { CallBatch, kGoesAlone } from './call-batch';
import { InlineBudget } from './inline-budget';
import { InlineStats } from './inline-stats';
import type { Op, Refusable, StatTarget } from './op';
import { type CommonOptions, checkCommonOptions } from './options';
import { PoolLag } from './pool-lag';
import { Results } from './results';
import { Slots } from './slots';
import { StatBatch } from './stat-batch';
import { Tick } from './tick';
import { Turns } from './turns';
import { Waiting } from './waiting';

/** The promise engine of this environment. One instance, `engine`. */
export class Engine {
  readonly #turns: Turns = new Turns(
    (began) => this.#bring(began),
    () => this.#startMore(),
  );
  readonly slots = new Slots(() => this.#turns.bell());
  readonly #abandon: Abandon = new Abandon(this.slots, () => {
    if (this.#waiting.length > 0) this.#turns.schedule();
  });
  readonly #waiting: Waiting = new Waiting(this.slots, this.#abandon, this.#turns, {
    place: (op) => this.#tick.place(op),
    flush: () => this.#tick.flush(),
  });
  readonly #budget = new InlineBudget();
  readonly #lag = new PoolLag();
  readonly #results = new Results(this.slots, this.#abandon, this.#lag);
  readonly #inline = new InlineStats(this.slots, this.#budget, this.#lag, this.#results);
  readonly #stats = new StatBatch(this.#abandon, this.#budget, this.#lag, this.#results, this.#waiting);
  readonly calls = new CallBatch(this.#abandon, this.#budget, this.#results, this.#waiting);
  readonly #tick: Tick = new Tick(this.#abandon, this.#waiting, this.#budget, this.#stats, this.calls, this.#turns);

  /** Of the ops that wait for their turn: those that a helper begins again by itself. */
  waitingElsewhere = 0;

  /** How many ops wait here for their turn: too many are in flight, or memory or threads are short. */
  get waiting(): number {
    return this.waitingElsewhere + this.#waiting.length;
  }

  /** Checks the options and hooks the op up to signal and timeout. Call before `start`; false: rejected already. */
  watch(op: Op, options: CommonOptions | undefined, known?: OptionNames): boolean {
    if (options === undefined) return true;
    checkCommonOptions(options, known);
    return this.#abandon.watch(op, options);
  }

  /** Starts an op, or lets it wait for its turn when too many are in flight. */
  start(op: Op): void {
    this.#waiting.start(op);
  }

  /** Settles the promise now and lets the kernel finish the call without anybody listening. */
  abandon(op: Op, error: Error): void {
    this.#abandon.abandon(op, error);
  }

  /** Whether the op may still start: its signal may be aborted, and others be told of that before us. */
  mayStart(op: Op): boolean {
    return this.#abandon.mayStart(op);
  }

  /** Ends an op that has completed without having been started. */
  settle(op: Op): void {
    this.#abandon.settle(op);
  }

  /** What became of an op that has been sent down by itself: 0, or -errno. */
  answered(op: Op & Refusable, status: number): void {
    this.#waiting.answered(op, status);
  }

  /** For stats: adds a path to the batch. */
  addStat(op: Op & StatTarget): void {
    this.#stats.add(op);
    if (this.#stats.length > 0) this.#tick.schedule();
  }

  /** For calls: room for a record of `bytes` in the batch, or {@link kGoesAlone}. */
  addCall(op: Op & Refusable, bytes: number): number {
    const at = this.calls.add(op, bytes);
    if (at !== kGoesAlone) this.#tick.schedule();
    return at;
  }

  /** Sends down what has been gathered, all of it and now. */
  flush(): void {
    this.#tick.flush();
  }

  /**
   * Makes a stat here and now: the slot with its result (0 or more), -errno, or one of `kNotNow` and `kLater`. The next inline
   * stat uses the same slot.
   */
  inlineStat(path: string | Uint8Array, flags: number): number {
    return this.#inline.ofPath(path, flags);
  }

  /** The same for a descriptor; never `kLater`. */
  inlineFstat(fd: number, flags: number): number {
    return this.#inline.ofDescriptor(fd, flags);
  }

  #bring(began: number): number {
    this.#budget.renew();
    this.#lag.renew(began);
    return this.#results.bring(began);
  }

  #startMore(): void {
    this.#waiting.pump();
    if (this.#stats.length > 0 || this.calls.length > 0) this.#tick.flushTick();
  }
}

/** The engine of this environment (main thread or Worker). */
export const engine = new Engine();
