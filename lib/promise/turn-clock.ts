/*
 * How long acall has been at work in this turn of the event loop: one clock for whatever can give or take very many things one
 * after the other. Their consumers run in microtasks, and no timer fires meanwhile.
 */
import { kTurnMs, now, setImmediate } from '../timers';

/** From the first work in a turn of the loop to the turn after it. */
interface Turn {
  readonly began: number;
  readonly next: Promise<void>;
  readonly immediate: NodeJS.Immediate;
}

let turn: Turn | undefined;

function thisTurn(): Turn {
  if (turn !== undefined) return turn;
  let resolveNext: () => void;
  const next = new Promise<void>((resolve) => {
    resolveNext = resolve;
  });
  const immediate = setImmediate(() => {
    turn = undefined;
    resolveNext();
  }).unref();
  turn = { began: now(), next, immediate };
  return turn;
}

/** Whether the loop is to turn before anything more is done. The first who asks in a turn starts its clock. */
export function isTurnOver(): boolean {
  return now() - thisTurn().began > kTurnMs;
}

/** The next turn of the loop: one for all who wait for it. `referenced`: it keeps the process alive. */
export function nextTurn(referenced = true): Promise<void> {
  const { next, immediate } = thisTurn();
  if (referenced) immediate.ref();
  return next;
}

/** Lets the loop turn if it is time. */
export async function shareTurn(): Promise<void> {
  if (isTurnOver()) await nextTurn();
}
