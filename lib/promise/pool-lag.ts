/*
 * How far behind the pool is with stats. When the pool is far behind in the middle of a burst, the burst's own thread makes some
 * of the stats. Otherwise the promises of very many waiting stats would be moved by the garbage collector again and again, and
 * this core would be idle at the end of the burst.
 */
import { now } from '../timers';
import type { Op, StatTarget } from './op';

/* Bench case `stat-promises`: without this help a stat takes an eighth more processor time. */
const kAhead = 1024; // so many recent stats in the pool, and the burst's own thread makes the next ones
const kLateMs = 10; // length of a time span: a stat that takes longer than two spans is stuck and does not count
const kHelpsInTurn = 16_384; // fairness: at most so many in one turn, some 30 ms

/** Counts the recent stats that the pool has not done yet. */
export class PoolLag {
  #helpsLeft = kHelpsInTurn;
  /* Stats that the pool has, sent in this time span and in the one before. Those of earlier spans do not count. */
  #span = 1;
  #spanBegan = 0;
  #sentInSpan = 0;
  #sentBefore = 0;

  /** Begins a new turn of the loop. */
  renew(time: number): void {
    this.#helpsLeft = kHelpsInTurn;
    this.#nextSpan(time);
  }

  /** Whether the burst's own thread should make one more stat. */
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

  /** Counts an op that has gone to the pool. */
  sent(op: StatTarget): void {
    op.sent = this.#span;
    this.#sentInSpan++;
  }

  /** Counts an op that has come back; an op that is no stat changes nothing. */
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
