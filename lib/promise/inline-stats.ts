/* Inline stats, before any op is made of them: within the turn's inline budget, or to help a pool that is behind. */
import { Wire } from '../generated/wire';
import { native } from '../native';
import type { InlineBudget } from './inline-budget';
import { kNoSlot } from './op';
import type { PoolLag } from './pool-lag';
import type { Results } from './results';
import type { Slots } from './slots';

/* Bench case `stat-promises`: 15 % more processor time without a harvest there. */
const kHelpsPerHarvest = Wire.maxStatsInBatch;

/** Instead of a result, below any -errno: the stat may block, and a thread has to make it. */
export const kNotNow: number = -Wire.maxErrno - 1;
/** Instead of a result: this turn's inline budget is spent; the stat may still run inline at the end of the tick or later. */
export const kLater: number = kNotNow - 1;

/** Makes inline stats into one slot of its own. */
export class InlineStats {
  readonly #slots: Slots;
  readonly #budget: InlineBudget;
  readonly #lag: PoolLag;
  readonly #results: Results;
  #slot = kNoSlot; // for all results

  constructor(slots: Slots, budget: InlineBudget, lag: PoolLag, results: Results) {
    this.#slots = slots;
    this.#budget = budget;
    this.#lag = lag;
    this.#results = results;
  }

  /** The stat of a path: the slot with its result (0 or more), -errno, {@link kNotNow} or {@link kLater}. */
  ofPath(path: string | Uint8Array, flags: number): number {
    if (!this.#budget.mayCall && !this.#mayHelp()) return kLater;
    if (!this.#hasSlot() || !this.#budget.isWorthwhile()) return kNotNow;
    return this.#made(native.inlineStat(path, this.#slot * Wire.statPlaceSlot + flags));
  }

  /** The stat of a descriptor: the slot with its result (0 or more), -errno or {@link kNotNow}. */
  ofDescriptor(fd: number, flags: number): number {
    if (!this.#hasSlot() || !this.#budget.mayCall || !this.#budget.isWorthwhile()) return kNotNow;
    return this.#made(native.inlineFstat(fd, this.#slot * Wire.statPlaceSlot + flags));
  }

  #mayHelp(): boolean {
    if (!this.#lag.mayHelp()) return false;
    if (this.#lag.helpsLeft % kHelpsPerHarvest === 0) this.#results.harvest();
    return true;
  }

  #hasSlot(): boolean {
    if (this.#slot === kNoSlot && this.#slots.open() === undefined) this.#slot = this.#slots.take();
    return this.#slot !== kNoSlot;
  }

  #made(result: number): number {
    this.#budget.made(result <= 0);
    if (result === 0) return this.#slot;
    return result < 0 ? result : kNotNow;
  }
}
