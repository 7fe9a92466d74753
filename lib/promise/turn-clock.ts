/*
 * How long acall has been at work in this turn of the event loop. An iterator, a sort or a feeder of paths that handles very many
 * values without waiting asks this clock: such work and its consumers run in microtasks, and no timer fires between them.
 */
import { kTurnMs, now, setImmediate } from '../timers';

/** One turn of the loop: begins with the first look at the clock and ends with the next turn. */
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

/** Whether the loop should turn before more work is done. The first call in a turn starts the clock. */
export function isTurnOver(): boolean {
  return now() - thisTurn().began > kTurnMs;
}

/** Resolves in the next turn of the loop. All callers share one promise. `referenced`: the wait keeps the process alive. */
export function nextTurn(referenced = true): Promise<void> {
  const { next, immediate } = thisTurn();
  if (referenced) immediate.ref();
  return next;
}

/** Lets the loop turn if acall has worked long enough in this turn. */
export async function shareTurn(): Promise<void> {
  if (isTurnOver()) await nextTurn();
}
