/*
 * How far behind the pool is with stats. In the middle of a burst, when the pool is behind by much, the burst's own thread does
 * some of the stats: what waits in the pool for long is moved about by the collector, and this core would have nothing to do
 * in the end.
 */
import { now } from '../timers';
import type { Op, StatTarget } from './op';

/* Bench case `stat-promises`: without this help a stat takes an eighth more processor time. */
const kAhead = 1024; // stats of late that the pool has, in the middle of a burst: beyond it the burst's own thread does some,
const kLateMs = 10; // what the pool has not done by then is stuck, and says nothing of how far behind the pool is
const kHelpsInTurn = 16_384; // fairness: at most so many in one turn, some 30 ms

export class PoolLag {
  #helpsLeft = kHelpsInTurn;
  /* Stats that the pool has, of this span of time and of the one before; those of earlier spans count no more. */
  #span = 1;
  #spanBegan = 0;
  #sentInSpan = 0;
  #sentBefore = 0;

  /** A new turn of the loop. */
  renew(time: number): void {
    this.#helpsLeft = kHelpsInTurn;
    this.#nextSpan(time);
  }

  /** Whether the burst's own thread does one more stat. */
  mayHelp(): boolean {
    if (this.#sentInSpan + this.#sentBefore < kAhead || this.#helpsLeft <= 0) return false;
    if (this.#helpsLeft === kHelpsInTurn) {
      this.#nextSpan(now());
      if (this.#sentInSpan + this.#sentBefore < kAhead) return false;
    }
    this.#helpsLeft--;
    return true;
  }

  get helpsLeft(): number {
    return this.#helpsLeft;
  }

  /** The op has gone to the pool. */
  sent(op: StatTarget): void {
    op.sent = this.#span;
    this.#sentInSpan++;
  }

  /** An op has come back, a stat or not. */
  back(op: Op): void {
    const { sent } = op as Op & Partial<StatTarget>;
    if (sent === undefined) return;
    if (sent === this.#span) this.#sentInSpan--;
    else if (sent === this.#span - 1) this.#sentBefore--;
  }

  #nextSpan(time: number): void {
    if (time - this.#spanBegan < kLateMs) return;
    const isNext = time - this.#spanBegan < 10 * kLateMs;
    this.#spanBegan = time;
    this.#span += isNext ? 1 : 2;
    this.#sentBefore = isNext ? this.#sentInSpan : 0;
    this.#sentInSpan = 0;
  }
}
