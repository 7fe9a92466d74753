/*
 * The promise engine: promises over the core. Each promise in flight has one slot. The ops of one tick are submitted in one
 * native call, and their results come back in batches. What cannot block runs inline. Both have a budget for each turn of the
 * event loop. A helper of lib/fs, lib/call or lib/syslet derives an Op and never sees slots, batches or back-pressure.
 *
 * This file only joins the parts; each part is a file of this folder. docs/design.md follows an awaited stat through them.
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
class Engine {
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

  /** How many calls wait in a helper, which begins them again by itself. */
  waitingElsewhere = 0;

  /** How many ops wait in JavaScript, because too many are in flight, or memory or threads are short. */
  get waiting(): number {
    return this.waitingElsewhere + this.#waiting.length;
  }

  /** Checks the options and connects the op with signal and time-out. Call it before `start`. False: the op is rejected. */
  watch(op: Op, options: CommonOptions | undefined, known?: OptionNames): boolean {
    if (options === undefined) return true;
    checkCommonOptions(options, known);
    return this.#abandon.watch(op, options);
  }

  /** Starts an op, or lets it wait in order when too many are in flight. */
  start(op: Op): void {
    this.#waiting.start(op);
  }

  /** Rejects the promise of an op now. A call that the kernel has is cancelled, and its result is disposed of. */
  abandon(op: Op, error: Error): void {
    this.#abandon.abandon(op, error);
  }

  /** Whether the op may still start. Looks at its signal, because listeners of others may run before the engine's listener. */
  mayStart(op: Op): boolean {
    return this.#abandon.mayStart(op);
  }

  /** Ends an op that has completed without having been started. */
  settle(op: Op): void {
    this.#abandon.settle(op);
  }

  /** Takes the status of an op that was submitted outside of a batch: 0, or -errno. */
  answered(op: Op & Refusable, status: number): void {
    this.#waiting.answered(op, status);
  }

  /** For stats: adds the op to the batch of stats. */
  addStat(op: Op & StatTarget): void {
    this.#stats.add(op);
    if (this.#stats.length > 0) this.#tick.schedule();
  }

  /** For calls: reserves a record of `bytes` in the batch of calls. Returns its offset, or {@link kGoesAlone}. */
  addCall(op: Op & Refusable, bytes: number): number {
    const at = this.calls.add(op, bytes);
    if (at !== kGoesAlone) this.#tick.schedule();
    return at;
  }

  /** Submits all gathered ops now. */
  flush(): void {
    this.#tick.flush();
  }

  /**
   * Makes a stat inline, before any op is made of it. Returns the slot with the stat result (0 or more), -errno, `kNotNow` or
   * `kLater`. The next inline stat uses the same slot.
   */
  inlineStat(path: string | Uint8Array, flags: number): number {
    return this.#inline.ofPath(path, flags);
  }

  /** The same for a descriptor; never returns `kLater`. */
  inlineFstat(fd: number, flags: number): number {
    return this.#inline.ofDescriptor(fd, flags);
  }

  #bring(began: number): number {
    this.#budget.renew();
    this.#lag.renew();
    return this.#results.bring(began);
  }

  #startMore(): void {
    this.#waiting.pump();
    if (this.#stats.length > 0 || this.calls.length > 0) this.#tick.flushTick();
  }
}

/** The engine of this environment (main thread or Worker). */
export const engine = new Engine();
