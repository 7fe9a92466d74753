/* Brings results from the ring of the promise layer to their ops: in a turn of the event loop, or in the middle of a burst. */
import { DrainedResult, DrainedWord, Wire } from '../generated/wire';
import { native, type Slot } from '../native';
import { kTurnMs, kTurnOps, now, warnOf } from '../timers';
import type { Abandon } from './abandon';
import { type Op, Phase } from './op';
import type { PoolLag } from './pool-lag';
import type { Slots } from './slots';

/** Fairness: results between two looks at the clock. A rejection and who awaits it may take 20 us each. */
export const kDrainedAtOnce = 64;
/* Bench case `stat-promises`: without harvests a stat takes a fifth more processor time, with 64 at once a seventh more. */
const kHarvest = Wire.maxStatsInBatch; // results taken at once in the middle of a burst
const kHarvestInTurn = 131_072; // fairness: at most so many before the next turn, some 30 ms that the caller's tick takes longer

const slotOf = (word: number): Slot => (word & DrainedWord.slot) as Slot;

/** Drains the ring of the promise layer and completes the ops. */
export class Results {
  readonly #slots: Slots;
  readonly #abandon: Abandon;
  readonly #lag: PoolLag;
  readonly #drained = new Uint32Array(kDrainedAtOnce * DrainedResult.sizeInWords);
  readonly #harvested = new Uint32Array(kHarvest * DrainedResult.sizeInWords);
  #harvestLeft = kHarvestInTurn;
  #isHarvesting = false;
  /* Harvested results of ops that are not quiet, three words each (DrainedResult). The next turn brings them. */
  #held: number[] = [];
  #heldFirst = 0;

  constructor(slots: Slots, abandon: Abandon, lag: PoolLag) {
    this.#slots = slots;
    this.#abandon = abandon;
    this.#lag = lag;
  }

  /** Brings this turn's results in order, until there are none or the turn's budget is spent. Returns how many. */
  bring(began: number): number {
    const out = this.#drained;
    this.#harvestLeft = kHarvestInTurn;
    let budget = kTurnOps - this.#bringHeld(kTurnOps);
    while (budget > 0) {
      const wanted = Math.min(kDrainedAtOnce, budget);
      const count = native.drain(out, wanted);
      for (let i = 0, at = 0; i < count; i++, at += DrainedResult.sizeInWords) {
        this.#arrived(out[at + DrainedResult.word]!, out[at + DrainedResult.low]!, out[at + DrainedResult.high]!);
      }
      budget -= count;
      if (count < wanted) break;
      if (now() - began > kTurnMs) return kTurnOps;
    }
    return kTurnOps - budget;
  }

  /* Brings results that were harvested before this turn. */
  #bringHeld(budget: number): number {
    const held = this.#held;
    let at = this.#heldFirst;
    const most = at + budget * DrainedResult.sizeInWords;
    for (; at < held.length && at < most; at += DrainedResult.sizeInWords) {
      this.#arrived(held[at + DrainedResult.word]!, held[at + DrainedResult.low]!, held[at + DrainedResult.high]!);
    }
    const taken = (at - this.#heldFirst) / DrainedResult.sizeInWords;
    if (at < held.length) {
      this.#heldFirst = at;
    } else {
      this.#held = [];
      this.#heldFirst = 0;
    }
    return taken;
  }

  /**
   * Takes the results that are there, in the middle of a burst. Early results leave short-lived objects behind, which cost the
   * garbage collector little, and their slots serve the rest of the burst.
   */
  harvest(): void {
    if (this.#harvestLeft <= 0 || this.#isHarvesting) return;
    this.#isHarvesting = true;
    const out = this.#harvested;
    const count = native.drain(out, kHarvest);
    this.#harvestLeft -= count;
    for (let i = 0, at = 0; i < count; i++, at += DrainedResult.sizeInWords) {
      const word = out[at + DrainedResult.word]!;
      const low = out[at + DrainedResult.low]!;
      const high = out[at + DrainedResult.high]!;
      if (this.#slots.opOf(slotOf(word))?.quiet) this.#arrived(word, low, high);
      else this.#held.push(word, low, high);
    }
    this.#isHarvesting = false;
  }

  #arrived(word: number, low: number, high: number): void {
    const slot = slotOf(word);
    const op = this.#slots.opOf(slot);
    if (op === undefined) return;
    op.watched?.group?.look(); // the signal may be aborted before its listener here has run: the op then counts as rejected
    const unwanted = op.phase === Phase.abandoned;
    if (word !== slot) native.settleSlot(slot, unwanted, low, high);
    if (!unwanted) {
      this.complete(op, low, high);
      return;
    }
    this.#lag.back(op);
    this.#abandon.rejectMarked(op); // before dispose(), which may report that the call has ended
    op.phase = Phase.settled;
    try {
      op.dispose();
    } catch (error) {
      warnOf(error);
    }
    this.#slots.free(slot);
  }

  /**
   * Completes an op with its result. complete() may throw: a view's buffer may have been transferred, and a callback is the
   * caller's code. Then this op is rejected, and no other op is affected.
   */
  complete(op: Op, low: number, high: number): void {
    const { slot } = op;
    this.#slots.inFlight--;
    this.#lag.back(op);
    if (op.watched !== undefined) this.#abandon.unwatch(op);
    op.phase = Phase.settled;
    try {
      op.complete(low, high);
    } catch (error) {
      native.release(slot);
      this.#abandon.reject(op, error as Error);
    }
    this.#slots.free(slot);
  }
}
