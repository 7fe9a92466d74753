/* How much one turn of the event loop may run inline, on the loop's own thread, and whether an inline stat is worthwhile now. */

/* Fairness: what a turn of the loop may take. */
const kInlineInTurn = 64; // inline calls that may turn out to block, in one turn of the loop: about a tenth of a millisecond
const kNeverBlockingInTurn = 4096; // calls that never block, made inline in one turn of the loop: about a millisecond
/* Awaited stats of /proc, which are never had inline, take a quarter more processor time without the pause. */
const kMissesToPause = 4; // so many misses in a row, and the next inline stats are left out
const kLongestPause = 32;

/** The inline budget of one environment. */
export class InlineBudget {
  #calls = kInlineInTurn;
  #neverBlocking = kNeverBlockingInTurn;
  #misses = 0; // in a row
  #pause = 0; // calls to leave out

  /** Begins a new turn of the loop. */
  renew(): void {
    this.#calls = kInlineInTurn;
    this.#neverBlocking = kNeverBlockingInTurn;
  }

  /** Whether this turn may make one more inline call that may turn out to block. */
  get mayCall(): boolean {
    return this.#calls > 0;
  }

  /** Whether this turn may make calls that never block inline. */
  get mayCallNeverBlocking(): boolean {
    return this.#neverBlocking > 0;
  }

  /** False: the last inline stats were misses, and this one is left out. */
  isWorthwhile(): boolean {
    if (this.#pause === 0) return true;
    this.#pause--;
    return false;
  }

  /** Counts one inline call. `hit`: it gave an answer. */
  made(hit: boolean): void {
    this.#calls--;
    if (hit) this.#misses = 0;
    else if (++this.#misses >= kMissesToPause) this.#pause = Math.min(this.#misses, kLongestPause);
  }

  /** Counts so many inline calls. */
  spend(calls: number): void {
    this.#calls -= calls;
    this.#neverBlocking -= calls;
  }
}
