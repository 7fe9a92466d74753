/*
 * The turns of the event loop in which results are brought. A bell that rings while results are brought is heard before the
 * loop goes on to timers and I/O. So a turn that has brought many results, or has heard bells for some milliseconds, brings
 * nothing more until the loop has turned.
 */
import { native } from '../native';
import { kTurnMs, now, setImmediate } from '../timers';
import { kDrainedAtOnce } from './results';

/** Decides when results are brought. */
export class Turns {
  readonly #bring: (began: number) => number;
  readonly #startMore: () => void;
  #isUsed = false;
  #isScheduled = false;
  #firstBell = 0; // when the first bell since the loop turned last was heard; 0: there was none

  /** `bring` brings results and returns how many; `startMore` starts ops that have been waiting. */
  constructor(bring: (began: number) => number, startMore: () => void) {
    this.#bring = bring;
    this.#startMore = startMore;
  }

  /** Called when the bell rings: results may have arrived. */
  bell(): void {
    if (this.#isUsed) return;
    const began = now();
    this.#run(began);
    if (this.#firstBell === 0) this.#firstBell = began;
    if (began - this.#firstBell > kTurnMs) this.#use();
  }

  /** Begins a turn without a bell, for ops that are tried again. */
  retry(): void {
    this.#run(now());
    native.endTurn();
  }

  /** Schedules a turn for when the loop has turned. */
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
