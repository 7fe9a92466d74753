/*
 * Since when the event loop of this environment has not turned. An iterator that can give very many values without waiting
 * asks this: its consumer runs in microtasks, and no timer fires between them.
 */
import { now, setImmediate } from '../timers';

const kTurnMs = 8;
const kBriefMs = 1;
const kMostUnseen = 16;

let turned = Number.NEGATIVE_INFINITY; // when the loop turned last, as far as this file knows
let next: Promise<void> | undefined;

/** Whether the loop should turn before the next value is given. */
export function isTurnOver(): boolean {
  return now() - turned > kTurnMs;
}

/** Resolves in the next turn of the loop. All callers share one promise. */
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

/** {@link isTurnOver} for values that are cheap to give: while they follow each other quickly, only some calls read the clock. */
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
