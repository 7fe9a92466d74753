/*
 * How far behind the pool is with the stats of one turn of the event loop. When the pool is far behind in the middle of a burst,
 * the burst's own thread makes some of the stats. Otherwise the promises of very many waiting stats would be moved by the garbage
 * collector again and again, and this core would be idle at the end of the burst.
 */
import type { Op, StatTarget } from './op';

/* Bench case `stat-promises`: without this help a stat takes 7 % more processor time. */
const kAhead = 1024; // so many stats of this turn in the pool, and the burst's own thread makes the next ones
const kHelpsInTurn = 16_384; // fairness: at most so many in one turn, some 30 ms

/** Counts the stats of this turn that the pool has not done yet. */
export class PoolLag {
  #helpsLeft = kHelpsInTurn;
  #turn = 1;
  #ahead = 0; // stats of this turn that the pool has. Those of earlier turns may be stuck, and do not count

  /** Begins a new turn of the loop. */
  renew(): void {
    this.#helpsLeft = kHelpsInTurn;
    this.#turn++;
    this.#ahead = 0;
  }

  /** Whether the burst's own thread should make one more stat. */
  mayHelp(): boolean {
    if (this.#ahead < kAhead || this.#helpsLeft <= 0) return false;
    this.#helpsLeft--;
    return true;
  }

  get helpsLeft(): number {
    return this.#helpsLeft;
  }

  /** Counts an op that has gone to the pool. */
  sent(op: StatTarget): void {
    op.sent = this.#turn;
    this.#ahead++;
  }

  /** Counts an op that has come back; an op that is no stat changes nothing. */
  back(op: Op): void {
    if ((op as Op & Partial<StatTarget>).sent === this.#turn) this.#ahead--;
  }
}
