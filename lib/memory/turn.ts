/* What runs when the engine rings this environment's bell: every room that waits for completions has one listener. */
import { native } from '../native';

const listeners: (() => void)[] = [];

function turn(): void {
  for (const listener of listeners) listener();
}

/** Calls `listener` on the event loop whenever completions may have arrived. Listeners must not throw. */
export function onTurn(listener: () => void): void {
  if (listeners.push(listener) === 1) native.open(turn);
}
