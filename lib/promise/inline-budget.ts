/* What one turn of the loop may do inline, on the loop's own thread, and whether doing a stat inline is worth a try just now. */

/* Fairness: what a turn of the loop may take. */
const kTriesInTurn = 64; // ops tried inline in one turn of the loop: about a tenth of a millisecond
const kQuickInTurn = 4096; // calls that never block, made inline in one turn of the loop: about a millisecond
/* Awaited stats of /proc, which are never had inline, take a quarter more processor time without the pause. */
const kMissesToPause = 4; // so many tries in vain in a row, and the next ones are left out
const kLongestPause = 32;

export class InlineBudget {
  #tries = kTriesInTurn;
  #quick = kQuickInTurn;
  #misses = 0; // in a row
  #pause = 0; // tries to leave out

  /** A new turn of the loop. */
  renew(): void {
    this.#tries = kTriesInTurn;
    this.#quick = kQuickInTurn;
  }

  /** Whether this turn may try any op inline. */
  get hasTries(): boolean {
    return this.#tries > 0;
  }

  /** Whether this turn may make calls that never block inline. */
  get hasQuick(): boolean {
    return this.#quick > 0;
  }

  /** False: the last tries were in vain, and this one is left out. */
  mayTry(): boolean {
    if (this.#pause === 0) return true;
    this.#pause--;
    return false;
  }

  /** What came of one try: `hit`, the op is done. */
  tried(hit: boolean): void {
    this.#tries--;
    if (hit) this.#misses = 0;
    else if (++this.#misses >= kMissesToPause) this.#pause = Math.min(this.#misses, kLongestPause);
  }

  /** So many calls were made inline. */
  spend(calls: number): void {
    this.#tries -= calls;
    this.#quick -= calls;
  }
}
