/*
 * How long the event loop of this environment has not turned, for whatever can give very many things one after the other
 * without waiting: its consumer runs in microtasks, and no timer fires meanwhile.
 */
import { now, setImmediate } from '../timers';

const kTurnMs = 8;
const kBriefMs = 1;
const kMostUnseen = 16;

let turned = Number.NEGATIVE_INFINITY; // when the loop has turned last, as far as we know
let next: Promise<void> | undefined;

/** Whether the loop is to turn before anything more is given. */
export function isTurnOver(): boolean {
  return now() - turned > kTurnMs;
}

/** The next turn of the loop: one for all who wait for it. */
export function nextTurn(): Promise<void> {
  next ??= new Promise((resolve) => {
    setImmediate(() => {
      next = undefined;
      turned = now();
      resolve();
    });
  });
  return next;
}

/** {@link isTurnOver} for things that are cheap to give: where they follow each other quickly it looks at the clock now and then. */
export class Pace {
  #stride = 1;
  #left = 1;
  #looked = 0;

  isTurnOver(): boolean {
    if (--this.#left > 0) return false;
    const time = now();
    this.#stride = time - this.#looked > kBriefMs ? 1 : Math.min(kMostUnseen, this.#stride * 2);
    this.#left = this.#stride;
    this.#looked = time;
    return time - turned > kTurnMs;
  }
}
