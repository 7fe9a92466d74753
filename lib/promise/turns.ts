/*
 * The turns of the event loop in which results are brought. Node hears a bell that rings during a turn before it lets the loop
 * go on: of results and bells the loop has its share.
 */
import { native } from '../native';
import { now, setImmediate } from '../timers';
import { kDrainedAtOnce, kTurnMs } from './results';

export class Turns {
  readonly #bring: (began: number) => number;
  readonly #startMore: () => void;
  #isUsed = false;
  #isScheduled = false;
  #firstBell = 0; // when the first bell was heard since the loop is known to have turned; 0: none was

  /** `bring` brings results and says how many; `startMore` starts what has been waiting for them. */
  constructor(bring: (began: number) => number, startMore: () => void) {
    this.#bring = bring;
    this.#startMore = startMore;
  }

  /** The bell has rung: results may have arrived. */
  bell(): void {
    if (this.#isUsed) return;
    const began = now();
    this.#run(began);
    if (this.#firstBell === 0) this.#firstBell = began;
    if (began - this.#firstBell > kTurnMs) this.#use();
  }

  /** A turn out of the order: something may be asked again. */
  retry(): void {
    this.#run(now());
    native.endTurn();
  }

  /** Asks for a turn after the loop has turned. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#immediate);
  }

  readonly #immediate = (): void => {
    this.#isScheduled = false;
    this.#isUsed = false;
    this.#firstBell = 0;
    this.#run(now());
    native.endTurn();
  };

  /* Nothing more is brought before the loop has turned. */
  #use(): void {
    this.#isUsed = true;
    this.schedule();
  }

  #run(began: number): void {
    if (this.#bring(began) >= kDrainedAtOnce) this.#use();
    this.#startMore();
  }
}
